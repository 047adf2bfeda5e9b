import assert from "node:assert/strict";
import { durationMs } from "../../src/duration.ts";

Deno.test("durations: Go's grammar", () => {
  const good: [string, number][] = [
    ["0", 0],
    ["-0", 0],
    ["0s", 0],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1.5s", 1500],
    [".5s", 500],
    ["2.s", 2000],
    ["+2s", 2000],
    ["-1s", -1000],
    ["3us", 0.003],
    ["3µs", 0.003],
    ["3μs", 0.003],
    ["1ns", 1e-6],
    ["1s1s", 2000],
    ["2562047h47m16.854775807s", 2 ** 63 / 1e6],
  ];
  for (const [text, ms] of good) assert.equal(durationMs(text), ms, text);
  const bad = [
    "",
    "5",
    "-1",
    "m",
    ".s",
    "5 m",
    " 5m",
    "5m\n",
    "1e3s",
    "5min",
    "1d",
    "--1s",
    "2562048h",
    `${"1s".repeat(40)}`,
  ];
  for (const text of bad) assert.equal(durationMs(text), undefined, JSON.stringify(text));
  assert.equal(durationMs("1d2h", { days: true }), 93_600_000);
});
