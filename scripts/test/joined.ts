/**
 * Test files run as one module. An isolate for each file, which loads and compiles all that it imports, and for which `deno test` of
 * 2.9 fills an array of ten million places of its own, costs a third of a second of a processor: more than the tests of many files do.
 * `deno test` takes the tests of such a module for one file's, though it says of what failed where it is written; which tests are of
 * which file is told here, by how many each file registered.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** What a file must not do that runs in one module with others: what it leaves behind they would find. Or it says so itself. */
const LEAVES = [
  /\bisolate of its own\b/,
  /\bDeno\.(env\.(set|delete)|chdir|umask|addSignalListener|memoryUsage)\(/,
  /\bDeno\.test\.(before|after|only)/,
  /^\s*(globalThis|Deno|console|Date|Math|performance)\.\w+ = /m,
];

/** Whether a test file of this text may run in one module with others. */
export function mayJoin(text: string): boolean {
  return !LEAVES.some((pattern) => pattern.test(text));
}

/** A module of test files, and how many tests it got from each. */
export interface Joined {
  /** The module's path, for `deno test`. */
  readonly module: string;
  readonly files: readonly string[];
  /** By file, once the module is loaded; empty before, and if it cannot be. */
  readonly counts: () => readonly number[];
}

/** Writes a module that imports the files, one after the other. @param path Where, without `.ts`. */
export async function join(path: string, files: readonly string[]): Promise<Joined> {
  const counts = `${path}.json`;
  const lines = [
    // A function in between would be what `deno test` says that the test was written in: the register itself is handed out.
    "const { test } = Deno;",
    "let count = 0;",
    "const counts = [];",
    "const give = { configurable: true, get: () => (count++, test) };",
    'Object.defineProperty(Deno, "test", give);',
    ...files.flatMap((file) => [
      "count = 0;",
      `await import(${JSON.stringify(pathToFileURL(resolve(file)).href)});`,
      "counts.push(count);",
    ]),
    'Object.defineProperty(Deno, "test", { configurable: true, value: test });',
    `Deno.writeTextFileSync(${JSON.stringify(counts)}, JSON.stringify(counts));`,
  ];
  await Deno.writeTextFile(`${path}.ts`, lines.join("\n") + "\n");
  const read = () => {
    try {
      return JSON.parse(Deno.readTextFileSync(counts));
    } catch {
      return [];
    }
  };
  return { module: `${path}.ts`, files, counts: read };
}

/** Gives the output of a joined module the headings that `deno test` writes when each file is run by itself. */
export class Headings {
  #rest = "";
  /** Files whose tests have not all ended, the one that runs first. */
  #waiting: { path: string; tests: number }[] = [];
  #printing = false;

  constructor(private readonly joined: Joined) {}

  /** @param text Standard output, cut anywhere. @returns Lines that are whole. */
  take(text: string): string {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    return lines.map((line) => this.#line(line)).join("");
  }

  /** What is left when nothing comes any more. */
  end(): string {
    return this.#rest;
  }

  #line(line: string): string {
    const [, count, path] = /^running (\d+) tests? from (\S+)$/.exec(line) ?? [];
    if (path !== undefined && this.joined.module.endsWith(path.split("/").pop()!)) {
      const counts = this.joined.counts();
      // What is not loaded, or registers its tests in another way, is not taken apart.
      if (counts.reduce((a, b) => a + b, 0) !== Number(count)) return `${line}\n`;
      this.#waiting = this.joined.files
        .map((path, i) => ({ path, tests: counts[i]! }))
        .filter(({ tests }) => tests > 0);
      return this.#heading();
    }
    if (line === "------- output -------") this.#printing = true;
    if (line === "----- output end -----") this.#printing = false;
    const [first] = this.#waiting;
    if (!first || this.#printing || !/^\S.* \.\.\. (ok|FAILED|ignored)( \(.*\))?$/.test(line)) {
      return `${line}\n`;
    }
    if (--first.tests > 0) return `${line}\n`;
    this.#waiting.shift();
    return `${line}\n${this.#heading()}`;
  }

  #heading(): string {
    const [first] = this.#waiting;
    if (!first) return "";
    return `running ${first.tests} test${first.tests === 1 ? "" : "s"} from ./${first.path}\n`;
  }
}

/** What failed outside of a test, which `deno test` says of the module: of the files that the output's errors name, or of all. */
export function sayFiles(failure: string, { module, files }: Joined, text: string): string {
  if (!failure.includes(`/${module.split("/").pop()} (`)) return failure;
  const errors = text.slice(text.indexOf(" ERRORS "));
  const named = files.filter((file) => errors.includes(file));
  return `(uncaught error) ${(named.length > 0 ? named : files).join(" ")}`;
}
