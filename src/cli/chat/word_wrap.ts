/**
 * Breaks streamed text at words, by the columns of a terminal. What stands between ``` lines is left as it is: a line of code that
 * was broken is another program.
 */

import { columnsOf, columnsOfText } from "../columns.ts";

/** Wraps text that comes piece by piece. */
export class WordWrap {
  readonly #columns: () => number;
  /** The word that is not written yet, and the white space before it. */
  #space = "";
  #word = "";
  #column = 0;
  #line = "";
  #code = false;

  /** `columns`: the terminal's width now; below 20 nothing is wrapped. */
  constructor(columns: () => number) {
    this.#columns = columns;
  }

  /** What can be written now. A word is held back until it ends. */
  push(text: string): string {
    let out = "";
    for (const char of text) {
      if (char === "\n") {
        out += this.#flushWord() + "\n";
        if (/^\s*```/.test(this.#line)) this.#code = !this.#code;
        this.#line = "";
        this.#column = 0;
        continue;
      }
      this.#line += char;
      const code = this.#code || /^\s*`{1,3}/.test(this.#line);
      if (code) {
        out += this.#flushWord() + char;
        this.#column += columnsOf(char);
      } else if (/\s/.test(char)) {
        out += this.#flushWord();
        this.#space += char;
      } else if (columnsOf(char) === 2) {
        // Chinese and Japanese break between any two characters.
        out += this.#flushWord();
        this.#word = char;
        out += this.#flushWord();
      } else {
        this.#word += char;
      }
    }
    return out;
  }

  /** The rest, at the end of the text. */
  end(): string {
    return this.#flushWord();
  }

  #flushWord(): string {
    if (this.#word === "") {
      const space = this.#space;
      if (space !== "") {
        this.#column += space.length;
        this.#space = "";
      }
      return space;
    }
    const width = columnsOfText(this.#word);
    const limit = this.#columns();
    const fits = limit < 20 || width > limit ||
      this.#column + this.#space.length + width <= limit;
    const lead = fits || this.#column === 0 ? this.#space : "\n";
    const out = lead + this.#word;
    this.#column = (lead === "\n" ? 0 : this.#column + lead.length) + width;
    this.#space = "";
    this.#word = "";
    return out;
  }
}
