/**
 * A reply as it grows, read by generators: each goes on where it waited for more. What was looked at is not looked at again,
 * so a long call costs time in proportion to its length, however small the pieces are.
 */

import type { CallWatcher } from "./call_watcher.ts";
import { Draft } from "./draft.ts";
import { firstOf } from "./first_of.ts";
import type { Tools } from "./tools.ts";

/** Reading that waits, by yielding, wherever the text is not there yet. */
export type Reading<T> = Generator<void, T, void>;

export interface Passage {
  readonly text: string;
  /** Whether its end was found, and not that of the reply. */
  readonly closed: boolean;
}

export class Source {
  /** What is read of already, since the beginning of this attempt. */
  #read: string[] = [];
  #readLength = 0;
  #buffer = "";
  #at = 0;
  #ended = false;
  #cut = false;
  readonly #drafts: Draft[] = [];
  #settled = false;
  /** Up to where the text is in the drafts. */
  #mark = 0;

  push(piece: string): void {
    if (this.#at > 0) {
      this.#read.push(this.#buffer.slice(0, this.#at));
      this.#readLength += this.#at;
      this.#buffer = this.#buffer.slice(this.#at);
      this.#at = 0;
    }
    this.#buffer += piece;
  }

  /** @param cut Whether it ended for want of room, and not by itself. */
  end(cut: boolean): void {
    this.#ended = true;
    this.#cut = cut;
  }

  /** The reply is over, and was cut. */
  get cut(): boolean {
    return this.#ended && this.#cut;
  }

  /** Whether the reply was cut where one of the tags may have begun; what there is of it is consumed then. */
  cutWithin(...tags: readonly string[]): boolean {
    const { rest } = this;
    if (!this.cut || !tags.some((tag) => tag.startsWith(rest))) return false;
    this.#at = this.#buffer.length;
    return true;
  }

  /** Whether the reply is over where one of the tags has begun, cut or not; what there is of it is consumed then. */
  endsWithin(...tags: readonly string[]): boolean {
    const { rest } = this;
    if (!this.#ended || rest === "" || !tags.some((tag) => tag.startsWith(rest))) return false;
    this.#at = this.#buffer.length;
    return true;
  }

  /** Everything so far, read or not. */
  get all(): string {
    return this.#read.join("") + this.#buffer;
  }

  /** Units that were read. */
  get position(): number {
    return this.#readLength + this.#at;
  }

  /** Goes back to an earlier position. */
  rewind(position: number): void {
    if (position < this.#readLength) {
      this.#buffer = this.all;
      this.#read = [];
      this.#readLength = 0;
    }
    this.#at = position - this.#readLength;
  }

  /** Calls that have begun for certain. They come before all that the reading returns. */
  get drafts(): readonly Draft[] {
    return this.#drafts;
  }

  /** Up to where the text is in the drafts. */
  get mark(): number {
    return this.#mark;
  }

  /**
   * Begins a call of which something is shown before it is whole: from now on it is one, whatever comes.
   * `undefined`: one that came before is not shown yet, so that this one cannot be.
   */
  draft(name: string): Draft | undefined {
    if (this.#settled) return undefined;
    const draft = new Draft(name);
    this.#drafts.push(draft);
    this.drafted();
    return draft;
  }

  /** The draft has what was read until now. */
  drafted(): void {
    this.#mark = this.position;
  }

  /** Calls were found that no draft is of: those behind them come with them. */
  settle(): void {
    this.#settled = true;
  }

  /** What is not read yet. */
  get rest(): string {
    return this.#buffer.slice(this.#at);
  }

  /** The next UTF-16 unit, which stays; `undefined` at the end. */
  *peek(): Reading<string | undefined> {
    return (yield* this.#fill(1)) ? this.#buffer[this.#at] : undefined;
  }

  /** Whether the text follows; it is consumed if it does. */
  *skip(text: string): Reading<boolean> {
    for (let length = 1; length <= text.length; length++) {
      if (!(yield* this.#fill(length))) return false;
      if (this.#buffer[this.#at + length - 1] !== text[length - 1]) return false;
    }
    this.#at += text.length;
    return true;
  }

  /** Whether the text follows; it stays. */
  *ahead(text: string): Reading<boolean> {
    const there = yield* this.skip(text);
    if (there) this.#at -= text.length;
    return there;
  }

  /** Which of the texts follows; it is consumed. */
  *skipOne(texts: readonly string[]): Reading<string | undefined> {
    for (const text of texts) if (yield* this.skip(text)) return text;
    return undefined;
  }

  *space(): Reading<void> {
    yield* this.takeWhile((char) => /\s/.test(char));
  }

  /** The longest beginning of units that pass. */
  *takeWhile(passes: (char: string) => boolean): Reading<string> {
    let taken = "";
    for (;;) {
      const start = this.#at;
      while (this.#at < this.#buffer.length && passes(this.#buffer[this.#at]!)) this.#at++;
      taken += this.#buffer.slice(start, this.#at);
      if (this.#at < this.#buffer.length || !(yield* this.#fill(1))) return taken;
    }
  }

  /** The text up to the first of the stops, which is consumed too unless `keep`. `each` is told of it as it comes. */
  *until(
    stops: readonly string[],
    keep = false,
    each: (text: string) => void = () => {},
  ): Reading<Passage> {
    const parts: string[] = [];
    const part = (text: string) => {
      if (text === "") return;
      parts.push(text);
      each(text);
    };
    const longest = Math.max(...stops.map((stop) => stop.length));
    for (;;) {
      const stop = firstOf(stops, this.#buffer, this.#at);
      if (stop !== undefined) {
        const text = this.#buffer.slice(this.#at, stop.at);
        this.#at = stop.at + (keep ? 0 : stop.found.length);
        part(text);
        return { text: parts.join(""), closed: true };
      }
      const end = Math.max(this.#buffer.length - longest + 1, this.#at);
      const text = this.#buffer.slice(this.#at, end);
      this.#at = end;
      part(text);
      if (yield* this.#fill(this.#buffer.length - this.#at + 1)) continue;
      const rest = this.rest;
      this.#at = this.#buffer.length;
      part(rest);
      return { text: parts.join(""), closed: false };
    }
  }

  /** A tool's name up to one of the stops, with space and quotes around it; no more than may be one. */
  *name(tools: Tools, stops: readonly string[], keep = false): Reading<Passage> {
    let read = "";
    const quotes = stops.some((stop) => /^["']/.test(stop)) ? /$^/ : /^["']|["']$/g;
    const text = yield* this.takeWhile((char) => {
      if (read.length > tools.longestName + 64) return false;
      const name = (read + char).trim().replace(quotes, "");
      if (name !== "" && !tools.hasPrefix(name)) return false;
      read += char;
      return true;
    });
    const end = this.position;
    const closed = (yield* this.skipOne(stops)) !== undefined;
    if (closed && keep) this.rewind(end);
    return { text, closed };
  }

  /**
   * An object or a list of JSON to the end of it, or as far as it is JSON.
   * @returns Not closed: the reply ended before.
   */
  *json(watcher: CallWatcher): Reading<Passage> {
    const parts: string[] = [];
    const begin = this.position;
    for (;;) {
      const text = this.rest;
      const used = watcher.push(text);
      this.#at += used;
      parts.push(text.slice(0, used));
      if (watcher.mark !== undefined) this.#mark = begin + watcher.mark;
      if (watcher.ended) return { text: parts.join(""), closed: true };
      if (!(yield* this.#fill(1))) return { text: parts.join(""), closed: false };
    }
  }

  /** What there is by now. */
  more(): string {
    const text = this.rest;
    this.#at = this.#buffer.length;
    return text;
  }

  /** Everything to the end of the reply. */
  *toEnd(): Reading<string> {
    const parts: string[] = [];
    do {
      parts.push(this.rest);
      this.#at = this.#buffer.length;
    } while (yield* this.#fill(1));
    return parts.join("");
  }

  /** Waits until so many units are there; false if the reply ends before. */
  *#fill(count: number): Reading<boolean> {
    while (this.#buffer.length - this.#at < count) {
      if (this.#ended) return false;
      yield;
    }
    return true;
  }
}
