/** What is told of runs: medians over all, ranges, what was missed and why; the same runs always alike. */
import assert from "node:assert/strict";
import { GOALS, isMet } from "./goals.ts";
import { makeReport, placed } from "./report.ts";
import { keepRun, readRuns, type Run } from "./results.ts";

const run = (machine: string, samples: Run["samples"]): Run => ({
  machine,
  day: "2026-01-02",
  commit: "abc",
  load: [0.1, 1.2],
  threads: 1,
  short: true,
  samples,
  notMeasured: [],
});

Deno.test("a report: each machine for itself, all its runs together, a sentence for what was missed", () => {
  const runs = new Map([
    ["Fast, 2 processors", [
      run("Fast, 2 processors", { "15M q8_0 1": [1.1, 1.2], "memory 1B": [1.05] }),
      run("Fast, 2 processors", { "15M q8_0 1": [0.9, 1.3, 1.4], "start": [99, 300, 310] }),
    ]],
    ["Slow <1>", [run("Slow <1>", { "15M q8_0 1": [0.5], "15M q8_0 8": [0.6], "unread": [3] })]],
  ]);
  const { text, plots } = makeReport(runs);
  assert.match(text, /### Fast[^]*2 runs, 2026-01-02[^]*\| ≥ 1 +\| 1\.20 +\| 0\.90 – 1\.40 +\|/);
  assert.match(text, /\| ≤ 150 ms +\| \*\*300\*\* +\| 99 – 310 +\|/);
  assert.match(text, /Missed: `serve` to ready/);
  const slow = text.slice(text.indexOf("### Slow"));
  assert.match(
    slow.replaceAll("\n", " "),
    /Missed: 15 M Q8_0, one stream; 15 M Q8_0, eight streams\./,
  );
  assert.equal(plots.size, 5);
  for (const svg of plots.values()) {
    assert.match(svg, /^<svg [^]*<\/svg>\n$/);
    assert.doesNotMatch(svg, /NaN|Infinity|Slow <1>/);
  }
  assert.deepEqual(makeReport(runs), { text, plots });
  const page = placed(`a\n${text}\nb`, text.replace("1.20", "7"));
  assert.match(page, /^a\n[^]* 7 [^]*\nb$/);
  assert.throws(() => placed("a page", text), /no place/);
});

Deno.test("runs are kept and read back, two of one day beside each other", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    const at = new URL(`file://${folder}/results/`);
    const [one, two] = [run("A (R) 1", { start: [1] }), run("A (R) 1", { start: [2] })];
    assert.equal((await readRuns(at)).size, 0);
    assert.equal(await keepRun(one, at), "a-r-1-2026-01-02-1.json");
    assert.equal(await keepRun(two, at), "a-r-1-2026-01-02-2.json");
    assert.deepEqual(await readRuns(at), new Map([["A (R) 1", [one, two]]]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the page has a place for the report, and each goal a sense and a sentence", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/bench.md", import.meta.url));
  placed(page, "x");
  for (const goal of Object.values(GOALS)) {
    assert.match(goal.why, /^[A-Z].*[.)]$/);
    assert.equal(isMet(goal, goal.goal), true);
    assert.equal(isMet(goal, goal.sense === "at most" ? goal.goal + 1 : goal.goal - 1), false);
  }
});
