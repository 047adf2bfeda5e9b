/** Ollama's `keep_alive`: Go's duration strings, or seconds as a number. */
import { SecLlamaError } from "../../src/errors.ts";

export type KeepAlive = number | "forever";

/** Milliseconds of one unit of Go's time.ParseDuration. */
const UNIT_MS: Readonly<Record<string, number>> = {
  "ns": 1e-6,
  "us": 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  "ms": 1,
  "s": 1000,
  "m": 60_000,
  "h": 3_600_000,
};

/** Go's int64 of nanoseconds ends here; a longer time is no duration there. */
const MAX_MS = 2 ** 63 / 1e6;

const DURATION = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const TERM = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/**
 * Milliseconds a model stays loaded; anything negative is "forever", 0 is "unload".
 *
 * @throws {SecLlamaError} `bad-request` naming `keep_alive` for anything Ollama refuses: another type, a number without
 * a unit in a string, a time past 292 years.
 */
export function parseKeepAlive(value: unknown): KeepAlive {
  if (typeof value === "number") {
    if (value < 0 || value * 1000 > MAX_MS) return "forever";
    return value * 1000;
  }
  if (typeof value !== "string") throw wrong();
  if (/^[+-]?0$/.test(value)) return 0;
  const match = value.length <= 64 ? DURATION.exec(value) : null;
  if (match === null) throw wrong();
  let ms = 0;
  for (const [, digits, unit] of match[2]!.matchAll(TERM)) {
    ms += Number(digits) * UNIT_MS[unit!]!;
  }
  if (ms > MAX_MS) throw wrong();
  return match[1] === "-" && ms > 0 ? "forever" : ms;
}

function wrong(): SecLlamaError {
  return new SecLlamaError(
    "bad-request",
    'keep_alive must be a number of seconds or a duration such as "5m", "1h30m" or "-1s"',
    { field: "keep_alive" },
  );
}
