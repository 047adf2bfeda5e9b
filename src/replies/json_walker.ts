/**
 * JSON as it comes, token by token, however it is cut into pieces. What it passes on is the same JSON without the space
 * between tokens, and with line breaks and tabs inside strings escaped, where models leave that out: joined, it is JSON that
 * means what was read.
 */
export interface JsonListener {
  /** Before the bracket is passed on. */
  open(bracket: "{" | "["): void;
  /** After the bracket was passed on. */
  close(): void;
  /** A string, whole: the name of a member, or a value. */
  string(value: string, isKey: boolean): void;
  /** Some JSON text, in order. */
  text(json: string): void;
}

/** More than any tool's schema has, and less than what ends a parser's stack. */
const MAX_DEPTH = 200;
/** Longer strings are not collected: no name is. */
const MAX_COLLECTED = 1024;
// deno-lint-ignore no-control-regex
const PLAIN = /[^"\\\u0000-\u001f]+/y;
const SCALAR = /[\w+.-]+/y;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const ESCAPED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

type Wanted = "value" | "key" | "colon" | "comma";

export class JsonWalker {
  readonly #listener: JsonListener;
  readonly #stack: ("{" | "[")[] = [];
  #wanted: Wanted = "value";
  /** A bracket may close where a key or value is wanted: behind the opening one. */
  #empty = false;
  #in: "string" | "scalar" | undefined;
  #isKey = false;
  /** An escape that is not whole yet, or a number or word. */
  #held = "";
  #collected: string[] = [];
  #length = 0;
  #state: "open" | "done" | "wrong" = "open";
  /** Units of all pieces before this one. */
  #before = 0;
  #read = 0;

  constructor(listener: JsonListener) {
    this.#listener = listener;
  }

  /** `done`: the value has ended; `wrong`: this is no JSON. */
  get state(): "open" | "done" | "wrong" {
    return this.#state;
  }

  /** Units that were passed on. */
  get read(): number {
    return this.#read;
  }

  /** Reads on. @returns How many units were read: fewer than there are if the value ended, or is none. */
  push(text: string): number {
    let at = 0;
    while (at < text.length && this.#state === "open") {
      if (this.#in === "string") at = this.#inString(text, at);
      else if (this.#in === "scalar") at = this.#inScalar(text, at);
      else at = this.#between(text, at);
    }
    this.#before += at;
    this.#read = this.#before - this.#held.length;
    return at;
  }

  #between(text: string, at: number): number {
    const char = text[at]!;
    if (char === " " || char === "\n" || char === "\r" || char === "\t") return at + 1;
    switch (this.#wanted) {
      case "colon":
        if (char !== ":") return this.#wrong(at);
        this.#listener.text(char);
        this.#wanted = "value";
        return at + 1;
      case "comma": {
        const top = this.#stack.at(-1)!;
        if (char === ",") {
          this.#listener.text(char);
          this.#wanted = top === "{" ? "key" : "value";
          return at + 1;
        }
        return this.#close(char, at);
      }
      case "key":
        if (char === '"') return this.#begin(true, at);
        return this.#empty ? this.#close(char, at) : this.#wrong(at);
      case "value":
        return this.#value(char, at);
    }
  }

  #value(char: string, at: number): number {
    if (char === '"') return this.#begin(false, at);
    if (char === "{" || char === "[") {
      if (this.#stack.length >= MAX_DEPTH) return this.#wrong(at);
      this.#listener.open(char);
      this.#stack.push(char);
      this.#listener.text(char);
      this.#wanted = char === "{" ? "key" : "value";
      this.#empty = true;
      return at + 1;
    }
    if (char === "]" && this.#empty) return this.#close(char, at);
    if (!/[-\dtfn]/.test(char)) return this.#wrong(at);
    this.#in = "scalar";
    this.#held = "";
    return at;
  }

  #close(char: string, at: number): number {
    const top = this.#stack.at(-1);
    if (top === undefined || char !== (top === "{" ? "}" : "]")) return this.#wrong(at);
    this.#stack.pop();
    this.#listener.text(char);
    this.#read = this.#before + at + 1;
    this.#listener.close();
    this.#valueEnded();
    return at + 1;
  }

  #begin(isKey: boolean, at: number): number {
    this.#in = "string";
    this.#isKey = isKey;
    this.#held = "";
    this.#collected = [];
    this.#length = 0;
    this.#listener.text('"');
    return at + 1;
  }

  #inString(text: string, at: number): number {
    if (this.#held !== "") return this.#inEscape(text, at);
    PLAIN.lastIndex = at;
    const plain = PLAIN.exec(text)?.[0];
    if (plain !== undefined) {
      this.#pass(plain);
      return at + plain.length;
    }
    const char = text[at]!;
    if (char === "\\") {
      this.#held = char;
      return at + 1;
    }
    if (char === '"') {
      this.#listener.text(char);
      this.#in = undefined;
      if (this.#length <= MAX_COLLECTED) {
        this.#listener.string(JSON.parse(`"${this.#collected.join("")}"`), this.#isKey);
      }
      if (this.#isKey) this.#wanted = "colon";
      else this.#valueEnded();
      return at + 1;
    }
    const escaped = ESCAPED[char];
    if (escaped === undefined) return this.#wrong(at);
    this.#pass(escaped);
    return at + 1;
  }

  #inEscape(text: string, at: number): number {
    const escape = this.#held + text[at];
    if (!/^\\(["\\/bfnrt]|u[\da-fA-F]{0,4})$/.test(escape)) return this.#wrong(at);
    if (escape[1] === "u" && escape.length < 6) this.#held = escape;
    else {
      this.#held = "";
      this.#pass(escape);
    }
    return at + 1;
  }

  #pass(text: string): void {
    this.#length += text.length;
    if (this.#length <= MAX_COLLECTED) this.#collected.push(text);
    this.#listener.text(text);
  }

  #inScalar(text: string, at: number): number {
    SCALAR.lastIndex = at;
    const more = SCALAR.exec(text)?.[0];
    if (more !== undefined) {
      this.#held += more;
      return this.#held.length > MAX_COLLECTED ? this.#wrong(at) : at + more.length;
    }
    const word = this.#held;
    if (!NUMBER.test(word) && !["true", "false", "null"].includes(word)) return this.#wrong(at);
    this.#held = "";
    this.#in = undefined;
    this.#listener.text(word);
    this.#valueEnded();
    return at;
  }

  #valueEnded(): void {
    this.#empty = false;
    if (this.#stack.length === 0) this.#state = "done";
    else this.#wanted = "comma";
  }

  #wrong(at: number): number {
    this.#state = "wrong";
    return at;
  }
}
