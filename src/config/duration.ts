/** Durations as people write them, in milliseconds here. */
import { SecLlamaError } from "../errors.ts";

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * `"90s"`, `"5m"`, `"1h30m"` → milliseconds. At most a year.
 * @throws {SecLlamaError} `bad-config` if it is anything else; `field` names the setting.
 */
export function parseDurationMs(text: string, field: string): number {
  const matches = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  const total = matches.reduce((sum, [, n, unit]) => sum + Number(n) * UNIT_MS[unit!]!, 0);
  if (
    matches.length === 0 || matches.map((m) => m[0]).join("") !== text ||
    total > 366 * UNIT_MS["d"]!
  ) {
    throw new SecLlamaError("bad-config", `${field} is not a duration`, {
      field,
      hint: `write it as 90s, 5m or 1h30m`,
    });
  }
  return Math.round(total);
}
