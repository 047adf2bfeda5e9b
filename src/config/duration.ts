/** Durations of the settings. */
import { durationMs } from "../duration.ts";
import { SecLlamaError } from "../errors.ts";

const YEAR_MS = 366 * 86_400_000;

/**
 * `"90s"`, `"5m"`, `"1h30m"`, `"7d"` → milliseconds. At most a year.
 * @throws {SecLlamaError} `bad-config` if it is anything else; `field` names the setting.
 */
export function parseDurationMs(text: string, field: string): number {
  const ms = /^[\d.].*[a-z]$/.test(text) ? durationMs(text, { days: true }) : undefined;
  if (ms === undefined || ms > YEAR_MS) {
    throw new SecLlamaError("bad-config", `${field} is not a duration`, {
      field,
      hint: `write it as 90s, 5m or 1h30m`,
    });
  }
  return Math.round(ms);
}
