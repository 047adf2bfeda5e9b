/** Each file and each command that a page names is there: pages outlive what they speak of. */
import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";
import { COMMON_OPTIONS } from "../src/cli/command.ts";
import { COMMANDS } from "../src/cli/commands.ts";
import { findCommand } from "../src/cli/main.ts";

const ROOT = new URL("../", import.meta.url).pathname;
/** What a page may name though it is made by a command or by its reader. */
const MADE = /^(?:build|dist)\/|^models\/(?:partial|blobs)/;

async function pages(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory && !/^(\.|node_modules|build|dist)/.test(entry.name)) {
      found.push(...await pages(path));
    } else if (entry.name.endsWith(".md")) found.push(path);
  }
  return found;
}

const there = (path: string) => Deno.stat(path).then(() => true, () => false);

Deno.test("docs: each file that a page names or links to is there", async () => {
  const missing: string[] = [];
  let count = 0;
  for (const page of await pages(ROOT)) {
    const text = await Deno.readTextFile(page);
    const name = relative(ROOT, page);
    for (
      const [, path] of text.matchAll(
        /`((?:src|runner|tests|scripts|bench|docs|examples|packaging|models|sandbox-profiles)\/[\w./-]*\w\/?)`/g,
      )
    ) {
      count++;
      if (!MADE.test(path!) && !await there(join(ROOT, path!))) missing.push(`${name}: ${path}`);
    }
    for (const [, target] of text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
      count++;
      if (!await there(join(dirname(page), target!))) missing.push(`${name}: ${target}`);
    }
  }
  assert.ok(count > 100, `only ${count} names were seen`);
  assert.deepEqual(missing, []);
});

/** What begins a command in a page: a line, a shell's prompt, Markdown's mark for code, a variable, a task. */
const COMMAND =
  /(?<=^ *|[`'(]|\$ |&& |[A-Z_]+=\S+ |task )(secllama|deno task|npx -y deno@[\d.]+ task) (?=([a-z][^`\n]*))/gm;

Deno.test("docs: each command that a page names is there, and has its options", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const wrong: string[] = [];
  let count = 0;
  for (const page of await pages(ROOT)) {
    // Its commands are wrong, to see what is said of that.
    if (page.endsWith("tests/cli/mistakes.md")) continue;
    for (const [, by, rest] of (await Deno.readTextFile(page)).matchAll(COMMAND)) {
      const line = rest!.split(/ (?:#|\||\|\||&&|>>?|;)(?= |$)/, 1)[0]!;
      // Of list|revoke the first.
      const words = line.trim().replace(/(?<=\w)\|\S+/, "").split(/\s+/);
      const refuse = (why: string) => wrong.push(`${relative(ROOT, page)}: ${line}: ${why}`);
      count++;
      if (by !== "secllama") {
        if (!Object.hasOwn(tasks, words[0]!)) refuse("no task");
        for (const path of words[0] === "test" ? words.slice(1) : []) {
          if (!await there(join(ROOT, path))) refuse("no such tests");
        }
        continue;
      }
      const [command] = await findCommand(words).catch(() => []);
      if (command === undefined) {
        // The first word alone names a group.
        if (!COMMANDS.some(({ path: [first] }) => words.join() === first)) refuse("no command");
        continue;
      }
      // What follows is another command line.
      if (command.handsOn) continue;
      const known: object = { ...command.options, ...COMMON_OPTIONS };
      for (const [, option] of line.matchAll(/ --([a-z][a-z-]*)/g)) {
        if (!Object.hasOwn(known, option!)) refuse(`no option --${option}`);
      }
    }
  }
  assert.ok(count > 300, `only ${count} commands were seen`);
  assert.deepEqual(wrong, []);
});

Deno.test("docs: each decision has a number of its own, and its line in the index, in order", async () => {
  const folder = join(ROOT, "docs/decisions");
  const files: string[] = [];
  for await (const { name } of Deno.readDir(folder)) if (name !== "README.md") files.push(name);
  files.sort();
  const numbers = files.map((name) => name.slice(0, 4));
  assert.deepEqual(numbers.filter((number, i) => numbers.indexOf(number) !== i), [], "twice");
  const index = await Deno.readTextFile(join(folder, "README.md"));
  // A file that was lost looks like a number that was skipped.
  const last = Number(numbers.at(-1));
  const all = Array.from({ length: last }, (_, i) => String(i + 1).padStart(4, "0"));
  assert.deepEqual(
    all.filter((number) => !numbers.includes(number)),
    /there is no ([\d, ]+)\./.exec(index)![1]!.split(", "),
    "skipped, as the index says",
  );
  assert.deepEqual([...index.matchAll(/^- \[.+\]\((.+)\)$/gm)].map(([, name]) => name), files);
  for (const name of files) assert.match(name, /^\d{4}-[a-z0-9-]+\.md$/);
});
