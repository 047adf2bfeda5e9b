import assert from "node:assert/strict";
import { parseKeepAlive } from "./duration.ts";

const GOOD: [unknown, number | "forever"][] = [
  ["5m", 300_000],
  ["1h30m", 5_400_000],
  ["1.5s", 1500],
  [".5s", 500],
  ["250ms", 250],
  ["0", 0],
  ["0s", 0],
  ["-1s", "forever"],
  ["-1h", "forever"],
  ["+2s", 2000],
  [0, 0],
  [300, 300_000],
  [0.5, 500],
  [-1, "forever"],
  [1e300, "forever"],
];

for (const [value, ms] of GOOD) {
  Deno.test(`keep_alive: ${JSON.stringify(value)} is ${ms}`, () => {
    assert.equal(parseKeepAlive(value), ms);
  });
}

const BAD = [
  "",
  "5",
  "-1",
  "m",
  "5 m",
  "5min",
  "1e3s",
  "99999999h",
  "5m ",
  true,
  [],
  {},
  "9".repeat(99),
];

for (const value of BAD) {
  Deno.test(`keep_alive: ${JSON.stringify(value)} is refused, as in Go`, () => {
    assert.throws(() => parseKeepAlive(value), { code: "bad-request", field: "keep_alive" });
  });
}
