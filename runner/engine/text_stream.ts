/**
 * From token pieces to text that may be sent: characters joined across tokens, and text held back while it may be
 * the beginning of a stop string.
 */
import type { Piece } from "./vocabulary.ts";

/** Joins UTF-8 across pieces. */
export class Utf8Joiner {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #pending = false;

  /** The whole characters so far; bytes that can never be a character become U+FFFD. */
  push(piece: Piece): string {
    if (!this.#pending && piece.text !== undefined) return piece.text;
    const text = this.#decoder.decode(piece.bytes, { stream: true });
    // Whole characters leave nothing behind in the decoder.
    if (piece.text === undefined) this.#pending = true;
    else if (piece.text !== "") this.#pending = false;
    return text;
  }
}

/** Looks for stop strings in text that arrives in pieces. The stop string itself is never given out. */
export class StopMatcher {
  readonly #stops: readonly Stop[];
  #held = "";

  /** @param stops Empty ones are ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "").map((stop) => new Stop(stop));
  }

  /** The text that may be given out now, and the stop string that was completed, if one was. */
  push(text: string): { text: string; stop?: string } {
    if (this.#stops.length === 0) return { text };
    if (text === "") return { text: "" };
    const all = this.#held + text;
    let at = -1;
    let found = "";
    let keep = 0;
    for (const stop of this.#stops) {
      const end = stop.push(text);
      keep = Math.max(keep, stop.begun);
      if (end < 0) continue;
      const index = this.#held.length + end - stop.text.length;
      if (at < 0 || index < at || index === at && stop.text.length > found.length) {
        at = index;
        found = stop.text;
      }
    }
    if (at >= 0) {
      this.#held = "";
      return { text: all.slice(0, at), stop: found };
    }
    this.#held = all.slice(all.length - keep);
    return { text: all.slice(0, all.length - keep) };
  }

  /** What is still held, once nothing more will come. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }
}

/** One stop string, looked for by Knuth, Morris and Pratt: each unit of text costs about one step, whatever came before. */
class Stop {
  readonly text: string;
  /** For each beginning of the text: the longest other beginning that is its end. */
  readonly #shorter: Int32Array;
  /** Units of the text that the reply ends with now. */
  begun = 0;

  constructor(text: string) {
    this.text = text;
    this.#shorter = new Int32Array(text.length + 1);
    for (let length = 2, shorter = 0; length <= text.length; length++) {
      shorter = this.#step(shorter, text.charCodeAt(length - 1));
      this.#shorter[length] = shorter;
    }
  }

  /** Where in `piece` the text is complete; -1: it is not. To be called with each piece, until it is. */
  push(piece: string): number {
    for (let at = 0; at < piece.length; at++) {
      this.begun = this.#step(this.begun, piece.charCodeAt(at));
      if (this.begun === this.text.length) return at + 1;
    }
    return -1;
  }

  #step(begun: number, unit: number): number {
    while (begun > 0 && this.text.charCodeAt(begun) !== unit) begun = this.#shorter[begun]!;
    return this.text.charCodeAt(begun) === unit ? begun + 1 : 0;
  }
}
