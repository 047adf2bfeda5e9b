/**
 * The days and hours of a role, as an administrator writes them: `mon-fri 08:00-18:00, sat 09:00-12:00`. Days without hours are whole,
 * hours without days are of every day, and hours that end before they begin belong to the day on which they begin.
 */

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES = 1440;
const MAX_SPANS = 32;

/** Minutes of some days, 0 Monday; `to` at or before `from` is of the next day. */
interface Span {
  readonly days: readonly number[];
  readonly from: number;
  readonly to: number;
}

/** The text in one form; undefined for what is none. */
export function canonicalHours(text: string): string | undefined {
  const spans = parse(text);
  if (spans === undefined) return undefined;
  return text.trim().toLowerCase().split(/\s*,\s*/).map((item) => item.replaceAll(/\s+/g, " "))
    .join(", ");
}

/** Whether the system knows a time zone, `Europe/Berlin`. */
export function isTimeZone(text: unknown): text is string {
  if (typeof text !== "string" || !/^[A-Za-z0-9_+/:-]{1,64}$/.test(text)) return false;
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

/** Whether it is one of these hours. @param hours As {@link canonicalHours} made them. @param nowMs Unix ms. */
export function isWithinHours(hours: string, timeZone: string | undefined, nowMs: number): boolean {
  const { day, minute } = localTime(timeZone ?? "UTC", nowMs);
  const before = (day + 6) % 7;
  return spansOf(hours).some(({ days, from, to }) =>
    from < to
      ? days.includes(day) && from <= minute && minute < to
      : days.includes(day) && from <= minute || days.includes(before) && minute < to
  );
}

const parsed = new Map<string, readonly Span[]>();

/** A role that cannot be understood lets nobody in at any time. */
function spansOf(hours: string): readonly Span[] {
  let spans = parsed.get(hours);
  if (spans === undefined) {
    if (parsed.size >= 1_000) parsed.clear();
    parsed.set(hours, spans = parse(hours) ?? []);
  }
  return spans;
}

function parse(text: string): Span[] | undefined {
  const items = text.trim().toLowerCase().split(",");
  const spans = items.map((item) => parseItem(item.trim()));
  return items.length <= MAX_SPANS && spans.every((span) => span !== undefined) ? spans : undefined;
}

function parseItem(item: string): Span | undefined {
  const match = /^(?:([a-z]{3})(?:-([a-z]{3}))?)?\s*(?:(\d\d:\d\d)-(\d\d:\d\d))?$/.exec(item);
  if (match === null || item === "") return undefined;
  const [, first, last, begins, ends] = match;
  const days = daysOf(first, last);
  if (days === undefined) return undefined;
  if (begins === undefined) return { days, from: 0, to: DAY_MINUTES };
  const [from, to] = [minutesOf(begins), minutesOf(ends!)];
  if (from === undefined || to === undefined || from === to || from === DAY_MINUTES) {
    return undefined;
  }
  return { days, from, to };
}

function daysOf(first: string | undefined, last: string | undefined): number[] | undefined {
  if (first === undefined) return [0, 1, 2, 3, 4, 5, 6];
  const [from, to] = [DAYS.indexOf(first), DAYS.indexOf(last ?? first)];
  if (from < 0 || to < 0) return undefined;
  return Array.from({ length: (to - from + 7) % 7 + 1 }, (_, i) => (from + i) % 7);
}

function minutesOf(text: string): number | undefined {
  const [hour, minute] = text.split(":").map(Number) as [number, number];
  const all = hour * 60 + minute;
  return minute < 60 && all <= DAY_MINUTES ? all : undefined;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

function localTime(timeZone: string, nowMs: number): { day: number; minute: number } {
  if (timeZone === "UTC") {
    const minutes = Math.floor(nowMs / 60_000);
    // 1970 began on a Thursday.
    return { day: (Math.floor(minutes / DAY_MINUTES) + 3) % 7, minute: minutes % DAY_MINUTES };
  }
  let clock = clocks.get(timeZone);
  if (clock === undefined) {
    const numbers = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
    clock = new Intl.DateTimeFormat("en-US", { timeZone, weekday: "short", ...numbers });
    clocks.set(timeZone, clock);
  }
  const parts = new Map(clock.formatToParts(nowMs).map(({ type, value }) => [type, value]));
  const [weekday, hour, minute] = (["weekday", "hour", "minute"] as const).map((part) =>
    parts.get(part)!
  );
  return {
    day: DAYS.indexOf(weekday!.toLowerCase()),
    minute: Number(hour) * 60 + Number(minute),
  };
}
