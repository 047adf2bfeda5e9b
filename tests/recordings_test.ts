/** The README's recordings: each is drawn from what was recorded, and shows the commands that work today. */
import assert from "node:assert/strict";
import { COMMANDS } from "../src/cli/commands.ts";
import { drawRecording, linesOf, parseCast } from "../scripts/recordings/draw.ts";

const FOLDER = new URL("../docs/recordings/", import.meta.url);

Deno.test("recordings: each is what its recording draws (to draw them: scripts/recordings.ts --draw)", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const names = [...Deno.readDirSync(FOLDER)].map((entry) => entry.name);
  const casts = names.filter((name) => name.endsWith(".cast"));
  assert.ok(casts.length >= 3);
  // tests/readme_test.ts compares it with what serve says today.
  const [isolation] = /isolation strict: .*/.exec(readme)!;
  for (const name of casts) {
    const events = parseCast(await Deno.readTextFile(new URL(name, FOLDER)));
    const svg = await Deno.readTextFile(new URL(name.replace(/cast$/, "svg"), FOLDER));
    assert.equal(svg, drawRecording(events), name);
    assert.ok(readme.includes(`docs/recordings/${name.replace(/cast$/, "svg")}`), name);
    // What stays on the screen names no path of whoever recorded it, and only commands that there are.
    const screen = linesOf(events).map((versions) => versions.at(-1)?.text ?? "").join("\n");
    assert.ok(screen.includes(isolation), `${name} is of an older version: scripts/recordings.ts`);
    assert.doesNotMatch(screen, /\/(tmp|root|home)\/|\berror:/, name);
    const words = new Set(COMMANDS.map(({ path }) => path[0]!));
    for (const [, word] of screen.matchAll(/^.*\$.*secllama ([a-z]+)/gm)) {
      assert.ok(words.has(word!), `${name}: ${word}`);
    }
  }
});

Deno.test("recordings: a line that is replaced shows each of its states in its time", () => {
  const lines = linesOf([
    { at: 0, text: "\r\x1b[Kone" },
    { at: 1, text: "\r\x1b[Ktwo" },
    { at: 2, text: "\r\x1b[Kthree\r\nfour" },
  ]);
  assert.deepEqual(lines[0], [
    { from: 0, until: 1, text: "one" },
    { from: 1, until: 2, text: "two" },
    { from: 2, until: undefined, text: "three" },
  ]);
  assert.equal(lines[1]!.at(-1)!.text, "four");
});
