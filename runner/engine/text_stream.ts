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
  readonly #stops: readonly string[];
  #held = "";

  /** @param stops Empty ones are ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** The text that may be given out now, and the stop string that was completed, if one was. */
  push(text: string): { text: string; stop?: string } {
    if (this.#stops.length === 0) return { text };
    if (text === "") return { text: "" };
    const all = this.#held + text;
    let at = -1;
    let found = "";
    for (const stop of this.#stops) {
      const index = all.indexOf(stop);
      if (index >= 0 && (at < 0 || index < at || index === at && stop.length > found.length)) {
        at = index;
        found = stop;
      }
    }
    if (at >= 0) {
      this.#held = "";
      return { text: all.slice(0, at), stop: found };
    }
    const keep = this.#heldLength(all);
    this.#held = all.slice(all.length - keep);
    return { text: all.slice(0, all.length - keep) };
  }

  /** What is still held, once nothing more will come. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  /** Length of the longest end of `text` that begins a stop string. */
  #heldLength(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) {
          longest = length;
          break;
        }
      }
    }
    return longest;
  }
}
