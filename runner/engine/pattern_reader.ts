/**
 * Reads ECMAScript's regular expressions, the part of them that a grammar can say: characters, classes, groups, alternatives
 * and repetitions. Look-around is passed over; anything else is refused, and so is what would make a grammar slow.
 */

/** Tunables. */
export const LIMITS = {
  chars: 2000,
  /** Characters, classes and groups. */
  parts: 500,
  depth: 20,
  /** Copies that one part comes to by counted repetitions inside each other. */
  repetition: 200,
  /** Parts that may be left out: of each, llama.cpp follows both ways at once. */
  optional: 24,
} as const;

/** An expression that is not converted. */
export class Unsupported extends Error {}

export type Range = readonly [from: number, to: number];

export type Tree =
  | { readonly kind: "character"; readonly code: number }
  | { readonly kind: "class"; readonly ranges: readonly Range[]; readonly negated: boolean }
  | { readonly kind: "sequence"; readonly parts: readonly Tree[] }
  | { readonly kind: "either"; readonly branches: readonly Tree[] }
  | {
    readonly kind: "repeat";
    readonly item: Tree;
    readonly least: number;
    readonly most: number | undefined;
  };

const DIGITS: readonly Range[] = [[0x30, 0x39]];
const WORDS: readonly Range[] = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
/** Of white space, the one that JSON does not escape. */
const SPACE: readonly Range[] = [[0x20, 0x20]];
const CLASSES: Readonly<Record<string, readonly Range[]>> = { d: DIGITS, w: WORDS, s: SPACE };
const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11 };

/** Reads one expression, its anchors left out. @throws {Unsupported} */
export class PatternReader {
  readonly #text: readonly string[];
  #at = 0;
  #parts = 0;
  #optional = 0;
  #depth = 0;

  constructor(source: string) {
    this.#text = [...source];
  }

  read(): Tree {
    const tree = this.#either();
    if (this.#at < this.#text.length) throw new Unsupported();
    return tree;
  }

  #either(): Tree {
    if (++this.#depth > LIMITS.depth) throw new Unsupported();
    const branches = [this.#sequence()];
    while (this.#take("|")) branches.push(this.#sequence());
    this.#depth--;
    return branches.length === 1 ? branches[0]! : { kind: "either", branches };
  }

  #sequence(): Tree {
    const parts: Tree[] = [];
    while (this.#at < this.#text.length && !["|", ")"].includes(this.#text[this.#at]!)) {
      const atom = this.#atom();
      if (atom !== undefined) parts.push(this.#quantified(atom));
    }
    return { kind: "sequence", parts };
  }

  /** `undefined` for a look-around, which is passed over. */
  #atom(): Tree | undefined {
    if (++this.#parts > LIMITS.parts) throw new Unsupported();
    const character = this.#next();
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return this.#class();
      case ".":
        return { kind: "class", ranges: [], negated: true };
      case "\\":
        return this.#escape();
      case "^":
      case "$":
      case "*":
      case "+":
      case "?":
      case "{":
        throw new Unsupported();
      default:
        return { kind: "character", code: character.codePointAt(0)! };
    }
  }

  #group(): Tree | undefined {
    let seen = true;
    if (this.#take("?")) {
      const kind = this.#next();
      if (kind === "<") {
        const second = this.#text[this.#at];
        if (second === "=" || second === "!") seen = false;
        else while (this.#next() !== ">");
      } else if (kind === "=" || kind === "!") seen = false;
      else if (kind !== ":") throw new Unsupported();
      if (!seen && kind === "<") this.#at++;
    }
    const tree = this.#either();
    if (!this.#take(")")) throw new Unsupported();
    return seen ? tree : undefined;
  }

  #escape(): Tree {
    const character = this.#next();
    const ranges = CLASSES[character];
    if (ranges !== undefined) return { kind: "class", ranges, negated: false };
    const opposite = CLASSES[character.toLowerCase()];
    if (opposite !== undefined) return { kind: "class", ranges: opposite, negated: true };
    return { kind: "character", code: this.#escapedCode(character) };
  }

  #escapedCode(character: string): number {
    const code = ESCAPES[character];
    if (code !== undefined) return code;
    if (character === "x") return this.#hex(2);
    if (character === "u" && this.#text[this.#at] !== "{") return this.#hex(4);
    // Back references, boundaries and properties.
    if (/[0-9A-Za-z]/.test(character)) throw new Unsupported();
    return character.codePointAt(0)!;
  }

  #hex(digits: number): number {
    const text = this.#text.slice(this.#at, this.#at + digits).join("");
    if (!new RegExp(`^[0-9a-fA-F]{${digits}}$`).test(text)) throw new Unsupported();
    this.#at += digits;
    return parseInt(text, 16);
  }

  #class(): Tree {
    const negated = this.#take("^");
    const ranges: Range[] = [];
    let everything = false;
    while (!this.#take("]")) {
      if (++this.#parts > LIMITS.parts) throw new Unsupported();
      const first = this.#member();
      if (first === "everything") everything = true;
      else if (typeof first !== "number") ranges.push(...first);
      else if (this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]") {
        this.#at++;
        const last = this.#member();
        if (typeof last !== "number" || last < first) throw new Unsupported();
        ranges.push([first, last]);
      } else ranges.push([first, first]);
    }
    if (!everything) return { kind: "class", ranges, negated };
    if (negated) throw new Unsupported();
    return { kind: "class", ranges: [], negated: true };
  }

  /** One code, the ranges of an escape, or a negated escape, which with its opposite is everything. */
  #member(): number | readonly Range[] | "everything" {
    const character = this.#next();
    if (character !== "\\") return character.codePointAt(0)!;
    const escaped = this.#next();
    const ranges = CLASSES[escaped];
    if (ranges !== undefined) return ranges;
    if (CLASSES[escaped.toLowerCase()] === undefined) {
      return escaped === "b" ? 8 : this.#escapedCode(escaped);
    }
    const pair = `\\${escaped.toLowerCase()}`;
    if (this.#text.slice(this.#at - 4, this.#at - 2).join("") === pair) return "everything";
    if (this.#text.slice(this.#at, this.#at + 2).join("") === pair) return "everything";
    throw new Unsupported();
  }

  #quantified(item: Tree): Tree {
    let least = 1;
    let most: number | undefined = 1;
    if (this.#take("?")) [least, most] = [0, 1];
    else if (this.#take("*")) [least, most] = [0, undefined];
    else if (this.#take("+")) [least, most] = [1, undefined];
    else if (this.#take("{")) {
      let text = "";
      while (!this.#take("}")) text += this.#next();
      const match = /^(\d{1,4})(?:(,)(\d{1,4})?)?$/.exec(text);
      if (match === null) throw new Unsupported();
      least = Number(match[1]);
      most = match[3] !== undefined ? Number(match[3]) : match[2] === "," ? undefined : least;
      if (most !== undefined && most < least) throw new Unsupported();
    } else return item;
    this.#take("?"); // lazy or greedy: the grammar knows no difference
    if (least === 1 && most === 1) return item;
    if (least === 0 && ++this.#optional > LIMITS.optional) throw new Unsupported();
    return { kind: "repeat", item, least, most };
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const character = this.#text[this.#at++];
    if (character === undefined) throw new Unsupported();
    return character;
  }
}
