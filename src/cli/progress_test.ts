import assert from "node:assert/strict";
import { columnsOfText } from "./columns.ts";
import { Progress, progressLine } from "./progress.ts";
import type { Tui } from "./tui.ts";

const GB = 1e9;

Deno.test("progress: as much as fits, in columns, and never more", () => {
  for (const label of ["demo", "模型模型模型", "a-name-that-is-longer-than-any-narrow-terminal"]) {
    for (const total of [undefined, 0, 3 * GB]) {
      for (const speed of [undefined, 0, 12.3e6]) {
        for (let columns = 1; columns <= 120; columns++) {
          const line = progressLine({ label, done: total === 0 ? 0 : GB, total, speed }, columns);
          assert.ok(columnsOfText(line) <= columns, `${columns}: ${line}`);
        }
      }
    }
  }
  const stand = { label: "demo", done: GB, total: 3 * GB, speed: 10e6 };
  assert.equal(
    progressLine(stand, 100),
    "demo [########................]  33% 1.0 GB of 3.0 GB 10.0 MB/s 3 minutes left",
  );
  assert.equal(progressLine(stand, 50), "demo  33% 1.0 GB of 3.0 GB 3 minutes left");
  assert.equal(progressLine(stand, 10), "demo  33%");
  assert.equal(progressLine(stand, 6), "33% d…");
});

/** A terminal of 80 columns, or a log, that remembers. */
function recorder(canReplace: boolean): { tui: Tui; lines: string[] } {
  const lines: string[] = [];
  const keep = (line: string | undefined) => void (line !== undefined && lines.push(line));
  return {
    tui: { canReplace, columns: () => 80, progress: keep, note: keep } as unknown as Tui,
    lines,
  };
}

/** A file of 1 GB at 10 MB/s, in steps of 10 ms. */
function copy(canReplace: boolean): string[] {
  const { tui, lines } = recorder(canReplace);
  let now = 0;
  const progress = new Progress(tui, () => now);
  for (let done = 0; done <= GB; done += 1e5, now += 10) progress.to("file", done, GB);
  progress.end();
  return lines;
}

Deno.test("progress: a terminal is drawn ten times a second, with the speed and what is left", () => {
  const lines = copy(true);
  assert.ok(lines.length > 900 && lines.length <= 1002, `${lines.length} lines`);
  assert.match(lines[500]!, / 50% 50\d\.\d MB of 1\.0 GB 10\.0 MB\/s 50 seconds left$/);
  assert.match(lines.at(-1)!, /100% 1\.0 GB of 1\.0 GB 10\.0 MB\/s$/);
});

Deno.test("progress: a log gets a line every ten seconds, and none of what is quick", () => {
  const lines = copy(false);
  assert.ok(lines.length >= 9 && lines.length <= 11, lines.join("\n"));
  assert.match(lines[4]!, /^file \[.*\] {2}50% /);
  const { tui, lines: none } = recorder(false);
  const progress = new Progress(tui, () => 0);
  for (const done of [0, 50, 100]) progress.to("small", done, 100);
  assert.deepEqual(none, []);
});

Deno.test("progress: what is counted says how many of all, and what is said in words follows at once", () => {
  const { tui, lines } = recorder(true);
  const progress = new Progress(tui);
  for (let made = 1; made <= 3; made++) progress.count("attacks", made, 95);
  progress.say("done");
  assert.deepEqual(lines, ["attacks: 1 of 95", "attacks: 2 of 95", "attacks: 3 of 95", "done"]);
});

Deno.test("progress: a model that is loaded is said to be tried, once, and not to load at 0 B/s", () => {
  const { tui, lines } = recorder(true);
  let now = 0;
  const progress = new Progress(tui, () => now);
  for (const done of [0, GB, 2 * GB, 2 * GB, 2 * GB]) {
    progress.load("demo", done, 2 * GB);
    now += 1000;
  }
  const percents = lines.flatMap((line) => /^loading demo .* (\d+)%/.exec(line)?.[1] ?? []);
  assert.deepEqual(percents, ["0", "50", "100"]);
  assert.deepEqual(lines.slice(3), ["demo is loaded, its sandbox is tried…"]);
});
