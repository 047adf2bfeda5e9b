/**
 * How long work is shown: how much is done, how fast, how long still. On a terminal in one line that fits its width; elsewhere in a
 * plain line now and then, so that a log says that something goes on.
 */
import { columnsOfText, cutColumns } from "./columns.ts";
import { humanBytes } from "./models/print.ts";
import { spanOf } from "./spans.ts";
import type { Tui } from "./tui.ts";

/** What a speed is taken over: shorter and it jumps, longer and it lags. */
const SPEED_WINDOW_MS = 5_000;
/** Between two lines of a log. */
const LOG_INTERVAL_MS = 10_000;
/** Between two of a terminal. */
const DRAW_INTERVAL_MS = 100;
const BAR_COLUMNS = 24;
/** Of a log's line. */
const LOG_COLUMNS = 200;

/** Where work stands. Sizes in bytes. */
interface Stand {
  readonly label: string;
  readonly done: number;
  /** undefined: nobody knows. */
  readonly total: number | undefined;
  /** A second; undefined: not known yet. */
  readonly speed: number | undefined;
}

/** One line of it, no wider than `columns`: what matters least goes first. */
export function progressLine({ label, done, total, speed }: Stand, columns: number): string {
  const share = total === undefined ? undefined : total === 0 ? 1 : Math.min(1, done / total);
  const sizes = total === undefined
    ? humanBytes(done)
    : `${humanBytes(done)} of ${humanBytes(total)}`;
  const percent = share === undefined ? "" : `${Math.floor(share * 100)}%`.padStart(4);
  const bar = share === undefined
    ? ""
    : `[${"#".repeat(Math.floor(share * BAR_COLUMNS)).padEnd(BAR_COLUMNS, ".")}]`;
  const fast = speed === undefined || speed < 1 ? "" : `${humanBytes(Math.round(speed))}/s`;
  const left = speed === undefined || total === undefined || speed < 1 || done >= total
    ? ""
    : `${spanOf(1000 * (total - done) / speed)} left`;
  // Each with what it shows; of two that do not fit the later one goes.
  const ways = [
    [label, bar, percent, sizes, fast, left],
    [label, percent, sizes, fast, left],
    [label, percent, sizes, left],
    [label, percent, left],
    [label, percent],
  ];
  for (const parts of ways) {
    const line = parts.filter((part) => part !== "").join(" ");
    if (columnsOfText(line) <= columns) return line;
  }
  const rest = percent === "" ? humanBytes(done) : percent;
  return cutColumns(`${rest.trim()} ${label}`, columns);
}

/** Bytes of one file after the other. */
export class Progress {
  readonly #tui: Tui;
  readonly #now: () => number;
  #label = "";
  #seen: { at: number; done: number }[] = [];
  #shownAt = -Infinity;

  /** `now`: milliseconds. */
  constructor(tui: Tui, now: () => number = () => performance.now()) {
    this.#tui = tui;
    this.#now = now;
  }

  /** Work of this name stands there. Another name, or less than before, begins anew. */
  to(label: string, done: number, total?: number): void {
    const now = this.#now();
    const begins = label !== this.#label || done < (this.#seen.at(-1)?.done ?? 0);
    if (begins) this.#seen = [];
    this.#label = label;
    this.#seen.push({ at: now, done });
    while (this.#seen.length > 2 && now - this.#seen[0]!.at > SPEED_WINDOW_MS) this.#seen.shift();
    const replace = this.#tui.canReplace;
    // What a log has no line of when it ends was quick, and needs none.
    const due = replace
      ? begins || done === total || now - this.#shownAt >= DRAW_INTERVAL_MS
      : now - this.#shownAt >= LOG_INTERVAL_MS;
    if (!replace && this.#shownAt === -Infinity) this.#shownAt = now;
    else if (due) {
      this.#shownAt = now;
      const stand = { label, done, total, speed: this.#speed() };
      if (replace) this.#tui.progress(progressLine(stand, this.#tui.columns() - 1));
      else this.#tui.note(progressLine(stand, LOG_COLUMNS));
    }
  }

  /** A model on its way into its sandbox; once all of it is there, what is still to come. Bytes. */
  load(name: string, done: number, total: number): void {
    const then = `${name} is loaded, its sandbox is tried…`;
    if (this.#label === then) return;
    this.to(`loading ${name} into its sandbox`, done, total);
    if (done === total) this.say(then);
  }

  /** Work that is counted, so many of all. */
  count(label: string, done: number, total: number): void {
    this.#seen = [];
    this.#label = label;
    this.#tui.progress(`${label}: ${done} of ${total}`);
  }

  /** Work that has no size, in words. */
  say(words: string): void {
    this.#seen = [];
    this.#label = words;
    this.#tui.progress(words);
  }

  /** Takes the line away. */
  end(): void {
    this.#tui.progress(undefined);
  }

  #speed(): number | undefined {
    const [first, last] = [this.#seen[0]!, this.#seen.at(-1)!];
    const ms = last.at - first.at;
    return ms < DRAW_INTERVAL_MS ? undefined : 1000 * (last.done - first.done) / ms;
  }
}
