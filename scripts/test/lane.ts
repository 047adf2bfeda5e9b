/** One `deno test` over a group of files, and how it ends when whoever started it does. */
import { basename } from "node:path";
import { spawnGuarded } from "./guard.ts";
import { Headings, join, type Joined, sayFiles } from "./joined.ts";
import { type Counts, type Group, readCounts, readFailures, type Seconds } from "./queue.ts";

export interface Ran extends Counts {
  /** Standard output and standard error, as they came. */
  readonly text: string;
  readonly failures: readonly string[];
  readonly seconds: Seconds;
  /** Of the group, with all that it waited for: seconds on the clock, and of processors. */
  readonly took: { readonly wall: number; readonly processors: number };
}

export interface RunOptions {
  readonly deno: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Where a file for the processors' time may be put for a while. */
  readonly times: string;
  /** Those of the group's files that are run as one module, which is written at `module`. */
  readonly joined?: { readonly files: readonly string[]; readonly module: string };
  /** Is given the output as it comes. */
  readonly show?: (chunk: Uint8Array) => void;
}

/** Runs the group's files. What ended without counts counts as one failure, with a line that says how it ended. */
export async function runGroup(group: Group, o: RunOptions): Promise<Ran> {
  const watch = new Stopwatch();
  const begun = performance.now();
  const joined = o.joined && await join(o.joined.module, o.joined.files);
  const files = group.files.filter((file) => !joined?.files.includes(file));
  const words = [o.deno, "test", ...o.args, ...(joined ? [joined.module] : []), ...files] as const;
  const child = spawnGuarded([...words], { ...o.env, TIMES: o.times });
  let text = "";
  const read = async (stream: ReadableStream<Uint8Array>, of?: Joined) => {
    const decoder = new TextDecoder();
    const headings = of && new Headings(of);
    for await (const chunk of stream) {
      o.show?.(chunk);
      const some = decoder.decode(chunk, { stream: true });
      text += headings?.take(some) ?? some;
      watch.read(text);
    }
    text += headings?.end() ?? "";
  };
  const reading = Promise.all([read(child.stdout, joined), read(child.stderr)]);
  const { code } = await child.status;
  const wall = (performance.now() - begun) / 1000;
  await child.stdin.close().catch(() => {});
  await reading;
  const counts = readCounts(text);
  const failures = readFailures(text).map((line) => joined ? sayFiles(line, joined, text) : line);
  if (!counts || (code !== 0 && counts.failed === 0)) {
    failures.push(`deno test ended with ${code}: ${group.files.join(" ")}`);
  }
  return {
    passed: counts?.passed ?? 0,
    failed: Math.max(counts?.failed ?? 0, failures.length),
    ignored: counts?.ignored ?? 0,
    text,
    failures,
    seconds: watch.seconds((path) => !joined || basename(path) !== basename(joined.module)),
    took: { wall, processors: await processorSeconds(o.times) },
  };
}

/**
 * Seconds by file, by when `deno test` said that it begins with one. Its JUnit file has no use here: it knows a test by the file that
 * registered it, which may be one that the test file imports.
 */
class Stopwatch {
  readonly #begun = performance.now();
  readonly #starts: { path: string; at: number }[] = [];

  #read = 0;

  /** Takes all output so far. */
  read(text: string): void {
    const end = text.lastIndexOf("\n");
    const lines = text.slice(this.#read, end);
    this.#read = Math.max(end, this.#read);
    for (const [, path] of lines.matchAll(/^running \d+ tests? from \.\/(\S+)$/gm)) {
      this.#starts.push({ path: path!, at: performance.now() });
    }
  }

  /** @param isFile Whether it is a test file's path: a joined module whose files could not be told apart is none. */
  seconds(isFile: (path: string) => boolean): Seconds {
    const end = performance.now();
    // Loading is of all.
    const loading = ((this.#starts[0]?.at ?? end) - this.#begun) / this.#starts.length;
    const took = this.#starts.map(({ path, at }, i) => {
      const ms = (this.#starts[i + 1]?.at ?? end) - at + loading;
      return [path, Math.round(ms / 100) / 10] as const;
    });
    return Object.fromEntries(took.filter(([path]) => isFile(path)));
  }
}

/** What `times` of a shell wrote of its children. */
async function processorSeconds(path: string): Promise<number> {
  const [, ...children] = (await takeFile(path)).trim().split("\n");
  return [...children.join(" ").matchAll(/(\d+)m([\d.]+)s/g)]
    .reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}

/** What is in a file that nobody else reads; "": it is not there. */
async function takeFile(path: string): Promise<string> {
  const text = await Deno.readTextFile(path).catch(() => "");
  await Deno.remove(path).catch(() => {});
  return text;
}
