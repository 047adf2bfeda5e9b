/**
 * Reads the regular expressions of `pattern`: ECMAScript's with the flag `u` (ECMA-262, 22.2.1), as JSON Schema has them, plus
 * what older ones let pass (a `{` or `-` that stands for itself). Never runs one. What is not read says why.
 */
import { type CodeSet, complement } from "./code_set.ts";
import { propertySet } from "./properties.ts";
import { Inexpressible } from "./refusal.ts";

/** Classes of Unicode's properties: each has up to a thousand ranges. */
export const MOST_PROPERTIES = 4;
/** Tunables. */
const LIMITS = {
  chars: 4000,
  /** Characters, classes and groups. */
  parts: 2000,
  depth: 40,
  properties: MOST_PROPERTIES,
  /** One repetition's count. */
  repetition: 2000,
} as const;

/** `d`, `w`, `s` and their opposites. */
export type Shorthand = "d" | "w" | "s" | "D" | "W" | "S";
export type Member = readonly [from: number, to: number] | Shorthand;

export type Tree =
  | { readonly kind: "class"; readonly members: readonly Member[]; readonly negated: boolean }
  /** Everything but the ends of lines. */
  | { readonly kind: "dot" }
  | { readonly kind: "sequence"; readonly parts: readonly Tree[] }
  | { readonly kind: "either"; readonly branches: readonly Tree[] }
  | { readonly kind: "start" }
  | { readonly kind: "end" }
  /** `\b`; negated `\B`. */
  | { readonly kind: "boundary"; readonly negated: boolean }
  | { readonly kind: "ahead"; readonly item: Tree; readonly negated: boolean }
  | {
    readonly kind: "repeat";
    readonly item: Tree;
    readonly least: number;
    readonly most: number | undefined;
  };

const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11 };

const fail = (why: string): never => {
  throw new Inexpressible(why);
};
const noExpression = (): never => fail("it is no regular expression of ECMAScript");

/** @throws {Inexpressible} saying what is not read. */
export function readPattern(source: string): Tree {
  if (source.length > LIMITS.chars) fail(`it has more than ${LIMITS.chars} characters`);
  return new Reader(source).read();
}

class Reader {
  readonly #text: readonly string[];
  #at = 0;
  #parts = 0;
  #depth = 0;
  #properties = 0;

  constructor(source: string) {
    this.#text = [...source];
  }

  read(): Tree {
    const tree = this.#either();
    if (this.#at < this.#text.length) noExpression();
    return tree;
  }

  #either(): Tree {
    if (++this.#depth > LIMITS.depth) fail(`it nests deeper than ${LIMITS.depth}`);
    const branches = [this.#sequence()];
    while (this.#take("|")) branches.push(this.#sequence());
    this.#depth--;
    return branches.length === 1 ? branches[0]! : { kind: "either", branches };
  }

  #sequence(): Tree {
    const parts: Tree[] = [];
    while (this.#at < this.#text.length && !["|", ")"].includes(this.#text[this.#at]!)) {
      parts.push(this.#quantified(this.#atom()));
    }
    return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
  }

  #atom(): Tree {
    if (++this.#parts > LIMITS.parts) fail(`it has more than ${LIMITS.parts} parts`);
    const character = this.#next();
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return this.#class();
      case ".":
        return { kind: "dot" };
      case "\\":
        return this.#escape();
      case "^":
        return { kind: "start" };
      case "$":
        return { kind: "end" };
      case "*":
      case "+":
      case "?":
        return noExpression();
      case "{":
        this.#at--;
        if (this.#counts() !== undefined) noExpression();
        this.#at++;
        return one(0x7b);
      default:
        return one(character.codePointAt(0)!);
    }
  }

  #group(): Tree {
    let ahead: { negated: boolean } | undefined;
    if (this.#take("?")) {
      const kind = this.#next();
      if (kind === "=" || kind === "!") ahead = { negated: kind === "!" };
      else if (kind === "<") {
        const second = this.#next();
        if (second === "=" || second === "!") fail("look-behind is not read");
        while (this.#next() !== ">");
      } else if (kind !== ":") fail(`a group of the kind (?${kind} is not read`);
    }
    const item = this.#either();
    if (!this.#take(")")) noExpression();
    return ahead === undefined ? item : { kind: "ahead", item, ...ahead };
  }

  #escape(): Tree {
    const character = this.#next();
    if (/[dwsDWS]/.test(character)) {
      return { kind: "class", members: [character as Shorthand], negated: false };
    }
    if (character === "p" || character === "P") {
      return { kind: "class", members: this.#property(character === "P"), negated: false };
    }
    if (character === "b" || character === "B") {
      return { kind: "boundary", negated: character === "B" };
    }
    return one(this.#escapedCode(character));
  }

  #escapedCode(character: string): number {
    const code = ESCAPES[character];
    if (code !== undefined) return code;
    if (character === "x") return this.#hex(2);
    if (character === "u") return this.#unicode();
    if (character === "0" && !/[0-9]/.test(this.#text[this.#at] ?? "")) return 0;
    if (character === "c" && /[A-Za-z]/.test(this.#text[this.#at] ?? "")) {
      return this.#next().codePointAt(0)! % 32;
    }
    if (/[1-9k]/.test(character)) fail("back-references are not read");
    if (/[0-9A-Za-z]/.test(character)) fail(`the escape \\${character} is not read`);
    return character.codePointAt(0)!;
  }

  #property(negated: boolean): CodeSet {
    if (++this.#properties > LIMITS.properties) {
      fail(`it has more than ${LIMITS.properties} classes of Unicode properties`);
    }
    if (!this.#take("{")) noExpression();
    let name = "";
    for (let next; (next = this.#next()) !== "}";) name += next;
    const set = propertySet(name) ?? fail(`there is no Unicode property ${name.slice(0, 40)}`);
    return negated ? complement(set) : set;
  }

  #unicode(): number {
    if (this.#take("{")) {
      let digits = "";
      while (!this.#take("}")) digits += this.#next();
      if (!/^[0-9a-fA-F]{1,8}$/.test(digits)) noExpression();
      const code = parseInt(digits, 16);
      return code > 0x10ffff ? noExpression() : code;
    }
    const high = this.#hex(4);
    const follows = this.#text.slice(this.#at, this.#at + 6).join("");
    if (high >= 0xd800 && high <= 0xdbff && /^\\u[dD][c-fC-F]/.test(follows)) {
      this.#at += 2;
      return 0x10000 + ((high - 0xd800) << 10) + (this.#hex(4) - 0xdc00);
    }
    return high;
  }

  #hex(digits: number): number {
    const text = this.#text.slice(this.#at, this.#at + digits).join("");
    if (text.length !== digits || !/^[0-9a-fA-F]+$/.test(text)) noExpression();
    this.#at += digits;
    return parseInt(text, 16);
  }

  #class(): Tree {
    const negated = this.#take("^");
    // Nothing, or everything; in other languages than ECMAScript the bracket would stand for itself.
    if (this.#text[this.#at] === "]") fail("an empty class is not read");
    const members: Member[] = [];
    while (!this.#take("]")) {
      if (++this.#parts > LIMITS.parts) fail(`it has more than ${LIMITS.parts} parts`);
      const first = this.#member();
      const range = this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]";
      if (typeof first === "number" && range) {
        this.#at++;
        const last = this.#member();
        if (typeof last !== "number" || last < first) return noExpression();
        members.push([first, last]);
      } else if (typeof first === "number") members.push([first, first]);
      else if (typeof first === "string") members.push(first);
      else members.push(...first);
    }
    return { kind: "class", members, negated };
  }

  #member(): number | Shorthand | CodeSet {
    const character = this.#next();
    if (character !== "\\") return character.codePointAt(0)!;
    const escaped = this.#next();
    if (/[dwsDWS]/.test(escaped)) return escaped as Shorthand;
    if (escaped === "p" || escaped === "P") return this.#property(escaped === "P");
    return escaped === "b" ? 8 : this.#escapedCode(escaped);
  }

  #quantified(item: Tree): Tree {
    const counts = this.#counts();
    if (counts === undefined) return item;
    this.#take("?"); // lazy or greedy: what is accepted is the same
    if (this.#counts() !== undefined) noExpression();
    if (["start", "end", "boundary", "ahead"].includes(item.kind)) noExpression();
    const [least, most] = counts;
    if (Math.max(least, most ?? 0) > LIMITS.repetition) {
      fail(`it repeats more than ${LIMITS.repetition} times`);
    }
    if (most !== undefined && most < least) noExpression();
    return least === 1 && most === 1 ? item : { kind: "repeat", item, least, most };
  }

  /** A quantifier, if one stands here. */
  #counts(): [least: number, most: number | undefined] | undefined {
    if (this.#take("?")) return [0, 1];
    if (this.#take("*")) return [0, undefined];
    if (this.#take("+")) return [1, undefined];
    if (this.#text[this.#at] !== "{") return undefined;
    const match = /^\{(\d{1,6})(?:(,)(\d{1,6})?)?\}/.exec(
      this.#text.slice(this.#at, this.#at + 20).join(""),
    );
    if (match === null) return undefined;
    this.#at += match[0].length;
    const least = Number(match[1]);
    return [least, match[3] !== undefined ? Number(match[3]) : match[2] ? undefined : least];
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    return this.#text[this.#at++] ?? noExpression();
  }
}

function one(code: number): Tree {
  return { kind: "class", members: [[code, code]], negated: false };
}
