/** Points in time as the audit commands take them. */
import { durationMs } from "../../duration.ts";
import { SecLlamaError } from "../../errors.ts";

/**
 * `2026-01-31`, `2026-01-31T12:00:00Z` or an age as `180d` → unix ms. A date alone is its first moment in UTC.
 * @throws {SecLlamaError} `usage`; `option` names the option.
 */
export function readTime(option: string, text: string | undefined, now = Date.now()): number {
  const age = /^[\d.].*[a-z]$/.test(text ?? "") ? durationMs(text!, { days: true }) : undefined;
  if (age !== undefined) return now - age;
  const isDate = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(\.\d{1,3})?(Z|[+-]\d\d:\d\d))?$/.test(
    text ?? "",
  );
  const time = isDate ? Date.parse(text!) : NaN;
  // Of a day that there is not, some make the next one.
  if (
    !Number.isNaN(time) && new Date(text!.slice(0, 10)).toISOString().startsWith(text!.slice(0, 10))
  ) {
    return time;
  }
  throw new SecLlamaError("usage", `${option} needs a date or an age`, {
    field: option,
    hint: `for instance: ${option} 2026-01-31, ${option} 180d`,
  });
}

/** As {@link readTime}, for what takes away all that is older: a year that was mistyped would be everything. */
export function readPast(option: string, text: string | undefined, now = Date.now()): number {
  const time = readTime(option, text, now);
  if (time <= now) return time;
  throw new SecLlamaError("usage", `${option} is later than now`, {
    field: option,
    hint: `for all that there is: ${option} 0s`,
  });
}
