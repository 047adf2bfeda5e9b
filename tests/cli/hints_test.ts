/** Every hint in the source: written once, and of commands, options, topics and settings that there are. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMON_OPTIONS } from "../../src/cli/command.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { TOPICS } from "../../src/cli/topics.ts";
import { FIELDS, OTHER_ENV } from "../../src/config/fields.ts";
import { ROOT } from "../support/serve.ts";

/** The string literals of the expression that begins at `at`, to its comma or the bracket that encloses it; `${…}` becomes "…". */
function literals(text: string, at: number): string[] {
  const found: string[] = [];
  for (let depth = 0; at < text.length; at++) {
    const char = text[at]!;
    if ("([{".includes(char)) depth++;
    else if (")]}".includes(char) && depth-- === 0) break;
    else if (",;".includes(char) && depth === 0) break;
    if (!"\"'`".includes(char)) continue;
    let word = "";
    for (at++; at < text.length && text[at] !== char; at++) {
      if (text[at] === "\\") word += text[++at];
      else if (char === "`" && text.startsWith("${", at)) {
        for (let inner = 0; at < text.length; at++) {
          if (text[at] === "{") inner++;
          else if (text[at] === "}" && --inner === 0) break;
        }
        word += "…";
      } else word += text[at];
    }
    found.push(word);
  }
  return found;
}

/** File and text of each hint. */
function hintsOf(text: string): string[] {
  const begins = text.matchAll(/\bhint(?:: | = | \?\? |:\n\s*)/g);
  return [...begins].flatMap((match) => literals(text, match.index + match[0].length));
}

async function sources(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    const path = `${folder}/${name}`;
    if (isDirectory) files.push(...await sources(path));
    else if (/(?<!_test)\.tsx?$/.test(name)) files.push(path);
  }
  return files;
}

/** What in a hint is not there. */
function missing(hint: string, settings: string): string[] {
  const faults: string[] = [];
  const options = new Set<string>();
  let said = 0;
  for (const [, rest] of hint.matchAll(/(?:: |\bsee |\bor )secllama((?: [^\s,;)]+)+)/g)) {
    const words = rest!.trim().split(" ").map((word) => word.replace(/[.:?]+$/, ""));
    if (!/^[a-z]/.test(words[0]!)) continue;
    const known = COMMANDS
      .filter(({ path }) => path.every((word, i) => words[i] === word))
      .sort((a, b) => b.path.length - a.path.length)[0];
    if (words[0] === "help") {
      const topic = words[1];
      if (
        topic !== undefined && /^[a-z]+$/.test(topic) &&
        ![...Object.keys(TOPICS), "config"].includes(topic)
      ) {
        faults.push(`help ${topic}`);
      }
    } else if (known === undefined) faults.push(words.slice(0, 2).join(" "));
    else for (const name of Object.keys(known.options ?? {})) options.add(name);
    said++;
  }
  for (const [, option] of hint.matchAll(/(?<!\S)--([a-z][a-z-]*)/g)) {
    if (said === 0 || option! in COMMON_OPTIONS || options.has(option!)) continue;
    // Of a command that the hint does not name, and its reader gave.
    if (!COMMANDS.some((command) => option! in (command.options ?? {}))) faults.push(`--${option}`);
  }
  for (const [name] of hint.matchAll(/\bSECLLAMA_[A-Z_]+\b/g)) {
    if (!settings.includes(name)) faults.push(name);
  }
  return faults;
}

Deno.test("hints: each is written once, and what it names is there", async () => {
  const settings = JSON.stringify([FIELDS, OTHER_ENV]);
  const places = new Map<string, string[]>();
  for (const path of [...await sources("src"), ...await sources("runner")]) {
    const text = await Deno.readTextFile(join(ROOT, path));
    const hints = path === "src/hints.ts"
      ? literals(`{${text.split("{").at(-1)}`, 0)
      : hintsOf(text);
    for (const hint of hints.filter((one) => one.includes(" "))) {
      places.set(hint, [...places.get(hint) ?? [], path]);
    }
  }
  assert.ok(places.size > 250, `${places.size}`);
  const twice = [...places]
    .filter(([hint, paths]) => paths.length > 1 && !hint.startsWith("did you mean:"));
  assert.deepEqual(twice, []);
  const wrong = [...places].flatMap(([hint, [path]]) =>
    missing(hint, settings).map((what) => `${path}: ${what}: ${hint}`)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("hints: the search finds what it must", () => {
  assert.deepEqual(
    hintsOf(
      'x({ hint: a ? "one, two" : `three ${f({ b: "no" })}` + "four", other: "no" }); hint = "five";',
    ),
    ["one, two", "three …", "four", "five"],
  );
  const of = (hint: string) => missing(hint, "SECLLAMA_PORT");
  assert.deepEqual(of("to see them, run: secllama lst"), ["lst"]);
  assert.deepEqual(of("run: secllama serve --prot 1"), ["--prot"]);
  assert.deepEqual(of("see secllama help frim"), ["help frim"]);
  assert.deepEqual(of("set SECLLAMA_PROT"), ["SECLLAMA_PROT"]);
  assert.deepEqual(of("run: secllama key rotate --to KID, or set SECLLAMA_PORT"), []);
});
