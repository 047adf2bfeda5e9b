/** Ollama's `keep_alive`: Go's duration strings, or seconds as a number. */
import { durationMs, MAX_DURATION_MS } from "../../src/duration.ts";
import { SecLlamaError } from "../../src/errors.ts";

export type KeepAlive = number | "forever";

/**
 * Milliseconds a model stays loaded; anything negative is "forever", 0 is "unload".
 *
 * @throws {SecLlamaError} `bad-request` naming `keep_alive` for anything Ollama refuses: another type, a number without
 * a unit in a string, a time past 292 years.
 */
export function parseKeepAlive(value: unknown): KeepAlive {
  if (typeof value === "number" && Number.isFinite(value)) {
    if (value < 0 || value * 1000 > MAX_DURATION_MS) return "forever";
    return value * 1000;
  }
  const ms = typeof value === "string" ? durationMs(value) : undefined;
  if (ms === undefined) throw wrong();
  return ms < 0 ? "forever" : ms;
}

function wrong(): SecLlamaError {
  return new SecLlamaError(
    "bad-request",
    'keep_alive must be a number of seconds or a duration such as "5m", "1h30m" or "-1s"',
    { field: "keep_alive" },
  );
}
