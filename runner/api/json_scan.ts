/** Finding where a JSON value ends in text that is still growing. */

/**
 * Index just past the JSON object or array that begins at `start`, or -1 while it is not complete. Brackets are only
 * counted: whether it is JSON is for the parser to say.
 */
export class JsonScanner {
  #at: number;
  #end = -1;
  #depth = 0;
  #inString = false;
  #escaped = false;

  constructor(start: number) {
    this.#at = start;
  }

  /** Goes on in `text`, of which everything looked at before must be unchanged. */
  scan(text: string): number {
    while (this.#end < 0 && this.#at < text.length) this.#next(text[this.#at]!);
    return this.#end;
  }

  /** Goes on in what comes right after all that was looked at. @returns Whether the value ends in it. */
  feed(piece: string): boolean {
    for (let i = 0; this.#end < 0 && i < piece.length; i++) this.#next(piece[i]!);
    return this.#end >= 0;
  }

  #next(char: string): void {
    this.#at++;
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (char === "\\") this.#escaped = true;
      else if (char === '"') this.#inString = false;
    } else if (char === '"') {
      this.#inString = true;
    } else if (char === "{" || char === "[") {
      this.#depth++;
    } else if (char === "}" || char === "]") {
      if (--this.#depth <= 0) this.#end = this.#at;
    }
  }
}
