/**
 * A reply as it grows, read by generators: each goes on where it waited for more. What was looked at is not looked at again,
 * so a long call costs time in proportion to its length, however small the pieces are.
 */

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
  #buffer = "";
  #at = 0;
  #ended = false;
  #cut = false;

  push(piece: string): void {
    if (this.#at > 0) {
      this.#read.push(this.#buffer.slice(0, this.#at));
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

  /** Everything so far, read or not. */
  get all(): string {
    return this.#read.join("") + this.#buffer;
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

  /** The text up to the first of the stops, which is consumed too unless `keep`. */
  *until(stops: readonly string[], keep = false): Reading<Passage> {
    const parts: string[] = [];
    const longest = Math.max(...stops.map((stop) => stop.length));
    for (;;) {
      const found = stops.map((stop) => [this.#buffer.indexOf(stop, this.#at), stop] as const)
        .filter(([at]) => at >= 0).sort(([a], [b]) => a - b)[0];
      if (found !== undefined) {
        const [at, stop] = found;
        parts.push(this.#buffer.slice(this.#at, at));
        this.#at = at + (keep ? 0 : stop.length);
        return { text: parts.join(""), closed: true };
      }
      const end = Math.max(this.#buffer.length - longest + 1, this.#at);
      parts.push(this.#buffer.slice(this.#at, end));
      this.#at = end;
      if (yield* this.#fill(this.#buffer.length - this.#at + 1)) continue;
      parts.push(this.rest);
      this.#at = this.#buffer.length;
      return { text: parts.join(""), closed: false };
    }
  }

  /**
   * A JSON value: an object, an array or a string to the end of it, anything else up to what cannot belong to it. Brackets are
   * counted; whether it is JSON is for the parser to say.
   */
  *json(): Reading<Passage> {
    const parts: string[] = [];
    let depth = 0;
    let inString = false;
    let escaped = false;
    for (;;) {
      const start = this.#at;
      while (this.#at < this.#buffer.length) {
        const char = this.#buffer[this.#at]!;
        if (!inString && depth === 0 && /[\s,;\]})<|]/.test(char)) {
          parts.push(this.#buffer.slice(start, this.#at));
          return { text: parts.join(""), closed: true };
        }
        this.#at++;
        if (inString) {
          if (escaped) escaped = false;
          else if (char === "\\") escaped = true;
          else if (char === '"') inString = false;
          if (inString || depth > 0) continue;
        } else if (char === '"') {
          inString = true;
          continue;
        } else if (char === "{" || char === "[") {
          depth++;
          continue;
        } else if (char === "}" || char === "]") {
          if (--depth > 0) continue;
        } else continue;
        parts.push(this.#buffer.slice(start, this.#at));
        return { text: parts.join(""), closed: true };
      }
      parts.push(this.#buffer.slice(start));
      if (!(yield* this.#fill(1))) return { text: parts.join(""), closed: false };
    }
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
