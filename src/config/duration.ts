/** Durations of the settings. */
import { durationMs } from "../duration.ts";
import { SecLlamaError } from "../errors.ts";

const YEAR_MS = 366 * 86_400_000;

/**
 * `"90s"`, `"5m"`, `"1h30m"`, `"7d"` → milliseconds. At most a year.
 * @param least Milliseconds: what is shorter would be over before it is of use.
 * @throws {SecLlamaError} `bad-config` if it is anything else; `field` names the setting.
 */
export function parseDurationMs(text: string, field: string, least = 0): number {
  const ms = /^[\d.].*[a-z]$/.test(text) ? durationMs(text, { days: true }) : undefined;
  const what = ms === undefined
    ? "is not a duration"
    : ms > YEAR_MS
    ? "is longer than a year"
    : ms < least
    ? `is shorter than ${least / 1_000}s`
    : undefined;
  if (ms === undefined || what !== undefined) {
    throw new SecLlamaError("bad-config", `${field} ${what}`, {
      field,
      hint: `write it as 90s, 5m or 1h30m`,
    });
  }
  return Math.round(ms);
}
