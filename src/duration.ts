/** Durations in text, in milliseconds here: Go's grammar (time.ParseDuration), which Ollama has and people write. */

const UNIT_MS: Readonly<Record<string, number>> = {
  "ns": 1e-6,
  "us": 1e-3,
  "µs": 1e-3, // U+00B5
  "μs": 1e-3, // U+03BC
  "ms": 1,
  "s": 1000,
  "m": 60_000,
  "h": 3_600_000,
  "d": 86_400_000,
};
const DURATION = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d))+)$/;
const TERM = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)/g;

/** Go's int64 of nanoseconds ends here, in ms: some 292 years. */
export const MAX_DURATION_MS = 2 ** 63 / 1e6;

/**
 * `"90s"`, `"1h30m"`, `"-1.5s"` → milliseconds, which may be negative or a fraction. Undefined for anything else, for a number
 * without a unit (but 0), and beyond {@link MAX_DURATION_MS}.
 * @param options.days `d` is a unit too, which Go does not have.
 */
export function durationMs(text: string, options: { days?: boolean } = {}): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  const match = text.length <= 64 ? DURATION.exec(text) : null;
  if (!match) return undefined;
  let ms = 0;
  for (const [, digits, unit] of match[2]!.matchAll(TERM)) {
    if (unit === "d" && options.days !== true) return undefined;
    ms += Number(digits) * UNIT_MS[unit!]!;
  }
  if (ms > MAX_DURATION_MS) return undefined;
  return match[1] === "-" && ms > 0 ? -ms : ms;
}
