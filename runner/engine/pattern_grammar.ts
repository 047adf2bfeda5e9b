/**
 * A JSON schema's `pattern` as GBNF, so that no expression of a stranger's is ever run: it is read once, and what it allows is
 * part of the grammar. Of ECMAScript's expressions it takes characters, classes, groups, alternatives and repetitions;
 * one with anything else, or one that could make the grammar slow, is not converted. Look-around is passed over, and where
 * an expression allows characters that JSON writes as escapes, few of them are offered: what comes out is allowed.
 */
import { literal } from "./gbnf.ts";

/** What the conversion needs of the grammar that it is part of. */
export interface PatternHooks {
  /** Adds a rule; gives its name. */
  add(body: string): string;
  /** A name for `least` to `most` of a rule; `undefined`: without end. */
  repeat(item: string, least: number, most: number | undefined): string;
  /** Characters of the whole text at most. */
  readonly longest?: number;
}

export interface PatternGrammar {
  /** GBNF of the text inside the quotes. */
  readonly body: string;
  /** Whether the expression speaks of the whole text. */
  readonly anchored: boolean;
}

/** Tunables. */
const LIMITS = {
  chars: 2000,
  /** Characters, classes and groups. */
  parts: 500,
  depth: 20,
  /** Copies that one part comes to by counted repetitions inside each other. */
  repetition: 200,
  /** Parts that may be left out: of each, llama.cpp follows both ways at once. */
  optional: 24,
} as const;

/** Everything that a JSON string holds as it is. */
const PLAIN = String.raw`"\\\x7F\x00-\x1F`;

/** @returns `undefined` for an expression that cannot be converted. */
export function patternGrammar(source: string, hooks: PatternHooks): PatternGrammar | undefined {
  if (source.length > LIMITS.chars) return undefined;
  const start = source.startsWith("^");
  const end = /(?:^|[^\\])(?:\\\\)*\$$/.test(source);
  const inner = source.slice(start ? 1 : 0, end ? -1 : undefined);
  try {
    const tree = new Reader(inner).read();
    // In `^a|b$` each anchor is of one branch only.
    if (tree.kind === "either" && (start || end)) return undefined;
    const body = write(tree, hooks);
    const any = "char*";
    return {
      body: `${start ? "" : `${any} `}${body}${end ? "" : ` ${any}`}`,
      anchored: start && end,
    };
  } catch (error) {
    if (error instanceof Unsupported) return undefined;
    throw error;
  }
}

class Unsupported extends Error {}

type Range = readonly [from: number, to: number];

type Tree =
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

class Reader {
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

/** `copies`: how often this part stands in the grammar once repetitions are written out. */
function write(tree: Tree, hooks: PatternHooks, copies = 1): string {
  switch (tree.kind) {
    case "character":
      return writeCharacter(tree.code);
    case "class":
      return writeClass(tree.ranges, tree.negated);
    case "sequence":
      return tree.parts.map((part) => write(part, hooks, copies)).join(" ") || '""';
    case "either":
      return `(${tree.branches.map((branch) => write(branch, hooks, copies)).join(" | ")})`;
    case "repeat": {
      const { item, least } = tree;
      const bound = tree.most ?? mostOf(item, least, hooks.longest);
      // Only where it costs little: a repetition without end is one rule, a counted one is as many.
      const most = tree.most ??
        (bound !== undefined && copies * bound > LIMITS.repetition ? undefined : bound);
      const times = copies * Math.max(most ?? least, 1);
      // What may be nothing, repeated, has more ways than can be followed.
      if (times > LIMITS.repetition || (most !== 1 && mayBeEmpty(item))) throw new Unsupported();
      if (most === 0) return '""';
      return hooks.repeat(hooks.add(write(item, hooks, times)), least, most);
    }
  }
}

/** Digits that a number without end may have: small models love to go on. */
const MOST_DIGITS = 20;

/** A bound for a repetition that has none, from the length of the text, and for digits. */
function mostOf(item: Tree, least: number, longest: number | undefined): number | undefined {
  const digits = item.kind === "class" && !item.negated &&
    item.ranges.every(([from, to]) => from >= 0x30 && to <= 0x39);
  const most = digits ? Math.min(MOST_DIGITS, longest ?? MOST_DIGITS) : longest;
  return most === undefined ? undefined : Math.max(most, least, 1);
}

function mayBeEmpty(tree: Tree): boolean {
  switch (tree.kind) {
    case "character":
    case "class":
      return false;
    case "sequence":
      return tree.parts.every(mayBeEmpty);
    case "either":
      return tree.branches.some(mayBeEmpty);
    case "repeat":
      return tree.least === 0 || mayBeEmpty(tree.item);
  }
}

function writeCharacter(code: number): string {
  if (code === 0x7f || (code >= 0xd800 && code <= 0xdfff)) throw new Unsupported();
  return literal(JSON.stringify(String.fromCodePoint(code)).slice(1, -1));
}

function writeClass(ranges: readonly Range[], negated: boolean): string {
  if (negated) return `[^${PLAIN}${ranges.map(writeRange).join("")}]`;
  const plain = ranges.flatMap((range) => without(range));
  const escaped = [0x22, 0x5c].filter((code) =>
    ranges.some(([from, to]) => from <= code && code <= to)
  );
  const choices = escaped.map(writeCharacter);
  if (plain.length > 0) choices.unshift(`[${plain.map(writeRange).join("")}]`);
  if (choices.length === 0) throw new Unsupported();
  return choices.length === 1 ? choices[0]! : `(${choices.join(" | ")})`;
}

/** A range without what JSON writes as an escape. */
function without([from, to]: Range): Range[] {
  const holes: readonly Range[] = [[0, 0x1f], [0x22, 0x22], [0x5c, 0x5c], [0x7f, 0x7f], [
    0xd800,
    0xdfff,
  ]];
  let rest: Range[] = [[from, to]];
  for (const [low, high] of holes) {
    rest = rest.flatMap(([a, b]): Range[] => {
      if (b < low || a > high) return [[a, b]];
      const left: Range[] = a < low ? [[a, low - 1]] : [];
      return b > high ? [...left, [high + 1, b]] : left;
    });
  }
  return rest;
}

function writeRange([from, to]: Range): string {
  const one = (code: number) =>
    /[0-9A-Za-z]/.test(String.fromCodePoint(code))
      ? String.fromCodePoint(code)
      : code > 0xffff
      ? `\\U${code.toString(16).padStart(8, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  return from === to ? one(from) : `${one(from)}-${one(to)}`;
}
