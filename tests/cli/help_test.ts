/** The pages that the program carries, and that what it says never points elsewhere. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { columnsOfText } from "../../src/cli/columns.ts";
import { renderMarkdown } from "../../src/cli/markdown.ts";
import { TOPICS } from "../../src/cli/topics.ts";
import { bothWays, cli, newHome, ROOT } from "../support/serve.ts";

async function sources(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) found.push(...await sources(path));
    else if (name.endsWith(".ts") && !/_test\.ts$|\/testing/.test(path)) found.push(path);
  }
  return found;
}

/** Without its comments. */
async function code(path: string): Promise<string> {
  const text = await Deno.readTextFile(path);
  return text.replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

Deno.test("help: nothing that the program says points to a file of this repository", async () => {
  const wrong: string[] = [];
  for (const path of [...await sources(`${ROOT}src`), ...await sources(`${ROOT}runner`)]) {
    // Not said by the program: the table of pages, and reasons that are data for docs/.
    if (/src\/(cli\/topics\.ts|escape\/)/.test(path)) continue;
    for (const [found] of (await code(path)).matchAll(/(?:docs\/[\w-]+|README|SECURITY)\.md/g)) {
      wrong.push(`${path.slice(ROOT.length)}: ${found}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("help: each command that the program names is one, each topic is there", async () => {
  const words = new Set(COMMANDS.map(({ path }) => path[0]!));
  const wrong: string[] = [];
  let count = 0;
  for (const path of await sources(`${ROOT}src`)) {
    for (
      const [, first, second] of (await code(path)).matchAll(/: secllama ([a-z]+)(?: ([a-z]+))?/g)
    ) {
      count++;
      const named = first === "help" ? second : first;
      const topic = first === "help" &&
        (second === undefined || second === "config" || Object.hasOwn(TOPICS, second));
      if (!topic && !words.has(named!)) {
        wrong.push(`${path.slice(ROOT.length)}: ${first} ${second}`);
      }
    }
  }
  assert.ok(count > 50, `only ${count} were seen`);
  assert.deepEqual(wrong, []);
});

for (const [name, { page, read }] of Object.entries(TOPICS)) {
  Deno.test(`help: ${page} is whole on a terminal of any width`, async () => {
    const text = (await read()).default;
    const options = { bold: (words: string) => words, command: () => undefined };
    const letters = (lines: string) => lines.replace(/[^\p{L}\p{N}]/gu, "");
    const wide = renderMarkdown(text, { ...options, width: 10_000 });
    for (const width of [20, 40, 72, 100, 160]) {
      const lines = renderMarkdown(text, { ...options, width });
      for (const line of lines) {
        if (line.startsWith("    ")) continue; // what is to be typed is not broken
        const word = Math.max(...line.trim().split(/\s+/).map(columnsOfText)) + 6;
        assert.ok(columnsOfText(line) <= Math.max(width, word), `${name} at ${width}: ${line}`);
      }
      // Every word of a paragraph is there, in its order; a table's cells may stand otherwise.
      const sorted = (all: readonly string[]) => letters(all.join(" ")).split("").sort().join("");
      if (width >= 100) assert.equal(sorted(lines), sorted(wide));
      assert.doesNotMatch(lines.join("\n"), /\]\(|^\|.*\|$|<!--|^#+ /m);
    }
  });
}

bothWays("help: a page is in the program, and a mistyped one is told", async () => {
  const { home, env } = await newHome();
  try {
    const { code, stdout } = await cli(["help", "keys"], { env });
    assert.equal(code, 0);
    assert.match(stdout, /^Keys without a desktop\n/);
    const wrong = await cli(["help", "kesy"], { env });
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /hint: did you mean: secllama help keys\n/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
