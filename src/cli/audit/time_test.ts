import assert from "node:assert/strict";
import { readPast, readTime } from "./time.ts";

const DAY = 86_400_000;
const NOW = Date.parse("2026-06-15T12:00:00Z");

Deno.test("audit times: dates that there are, with a zone or alone, and ages", () => {
  const cases: [text: string, time: number][] = [
    ["2026-01-31", Date.UTC(2026, 0, 31)],
    ["2024-02-29", Date.UTC(2024, 1, 29)],
    ["2026-06-15T14:00:00+02:00", NOW],
    ["2026-06-15T12:00:00.000Z", NOW],
    ["180d", NOW - 180 * DAY],
    ["1.5d", NOW - 1.5 * DAY],
    ["0s", NOW],
  ];
  for (const [text, time] of cases) {
    assert.equal(readTime("--before", text, NOW), time, text);
    assert.equal(readPast("--before", text, NOW), time, text);
  }
  const none = [
    "",
    "2026-02-30",
    "2026-13-01",
    "01.02.2026",
    "2026-01-31T12:00",
    "5",
    "-5d",
    "tomorrow",
  ];
  for (const text of [...none, undefined]) {
    assert.throws(() => readTime("--before", text, NOW), { code: "usage" }, text);
  }
});

Deno.test("audit times: what takes away all that is older takes no time to come", () => {
  for (const text of ["2026-06-16", "2062-01-31", "2026-06-15T12:00:00.001Z", "9999-12-31"]) {
    assert.ok(readTime("--since", text, NOW) > NOW, `control: ${text}`);
    assert.throws(() => readPast("--before", text, NOW), {
      code: "usage",
      message: "--before is later than now",
    }, text);
  }
});
