/** Spans of time as people say them. */
import { plural } from "../plural.ts";

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, "day"],
  [3_600, "hour"],
  [60, "minute"],
  [1, "second"],
];

/** "12 minutes", in the largest unit that gives two or more; "1 second" at least. */
export function spanOf(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const [size, name] = UNITS.find(([size]) => seconds >= 2 * size) ?? UNITS.at(-1)!;
  const count = Math.floor(seconds / size);
  return plural(count, name);
}
