/** Days and hours of a role, against a list of all minutes that they name. */
import assert from "node:assert/strict";
import { seeded } from "../../../tests/support/seeds.ts";
import { canonicalHours, isTimeZone, isWithinHours } from "./hours.ts";

const MINUTE = 60_000;
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

Deno.test("hours: of a week, each minute that is named and no other", () => {
  const random = seeded(7);
  const upTo = (n: number) => Math.floor(random() * n);
  const clock = (minute: number) =>
    `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
  // 2026-11-30 is a Monday.
  const monday = Date.UTC(2026, 10, 30);
  for (let round = 0; round < 60; round++) {
    const open = new Set<number>();
    const items: string[] = [];
    for (let i = 0; i <= upTo(3); i++) {
      const [first, length, whole] = [upTo(7), 1 + upTo(7), random() < 0.2];
      let [from, to] = [upTo(1440), 1 + upTo(1440)];
      if (whole || from === to) [from, to] = [0, 1440];
      const days = Array.from({ length }, (_, at) => (first + at) % 7);
      for (const day of days) {
        const end = to > from ? to : to + 1440;
        for (let at = from; at < end; at++) open.add((day * 1440 + at) % (7 * 1440));
      }
      const named = length === 7 && random() < 0.5
        ? ""
        : length === 1
        ? DAYS[first]!
        : `${DAYS[first]}-${DAYS[days.at(-1)!]}`;
      const hours = whole && named !== "" ? "" : `${clock(from)}-${clock(to)}`;
      items.push(`${named} ${hours}`.trim());
    }
    const hours = canonicalHours(items.join(","));
    assert.ok(hours !== undefined, items.join());
    for (let at = 0; at < 7 * 1440; at += 1 + upTo(7)) {
      assert.equal(
        isWithinHours(hours, undefined, monday + at * MINUTE + upTo(MINUTE)),
        open.has(at),
        `${hours} at ${at}`,
      );
    }
  }
});

Deno.test("hours: in a time zone, through the nights when its clock is set", () => {
  const hours = canonicalHours("Mon-Fri 08:00-18:00")!;
  const at = (utc: string) => isWithinHours(hours, "Europe/Berlin", Date.parse(utc));
  // Friday before and Monday after the clock goes forward (2026-03-29) and back (2026-10-25).
  for (
    const [begins, ends] of [
      ["2026-03-27T07:00Z", "2026-03-27T17:00Z"],
      ["2026-03-30T06:00Z", "2026-03-30T16:00Z"],
      ["2026-10-23T06:00Z", "2026-10-23T16:00Z"],
      ["2026-10-26T07:00Z", "2026-10-26T17:00Z"],
    ] as const
  ) {
    assert.deepEqual([at(begins), at(ends)], [true, false], begins);
    const before = new Date(Date.parse(begins) - 1).toISOString();
    const last = new Date(Date.parse(ends) - 1).toISOString();
    assert.deepEqual([at(before), at(last)], [false, true], begins);
  }
  assert.equal(at("2026-03-28T12:00Z"), false, "a Saturday");
  assert.ok(isWithinHours("00:00-24:00", "Asia/Kathmandu", Date.now()));
  assert.ok(isWithinHours("22:00-06:00", "America/New_York", Date.parse("2026-01-05T10:59Z")));
  assert.ok(!isWithinHours("22:00-06:00", "America/New_York", Date.parse("2026-01-05T11:00Z")));
});

Deno.test("hours: what is none is refused, and lets nobody in", () => {
  for (
    const text of [
      "",
      " ",
      ",",
      "mon,",
      "monday",
      "mon-",
      "-fri",
      "mon-fri-sun",
      "mon 8-18",
      "mon 8:00-18:00",
      "mon 08:00",
      "mon 08:00-08:00",
      "mon 24:00-08:00",
      "mon 08:00-24:01",
      "mon 08:60-10:00",
      "08:00-18:00 mon",
      "mon 08:00-18:00 20:00-21:00",
      "mon;tue",
      "lun 08:00-18:00",
      Array(33).fill("mon").join(),
    ]
  ) {
    assert.equal(canonicalHours(text), undefined, text);
    assert.equal(isWithinHours(text, undefined, Date.now()), false);
  }
  assert.equal(canonicalHours(" MON-Fri   08:00-18:00 ,sat"), "mon-fri 08:00-18:00, sat");
  for (const zone of ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "+02:00"]) {
    assert.ok(isTimeZone(zone), zone);
  }
  for (const zone of ["", "Berlin", "Europe/Nowhere", "../etc/localtime", 1, undefined]) {
    assert.ok(!isTimeZone(zone), String(zone));
  }
});
