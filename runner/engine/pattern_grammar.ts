/**
 * A JSON schema's `pattern` as GBNF, so that no expression of a stranger's is ever run: it is read once, and what it allows is
 * part of the grammar. Of ECMAScript's expressions it takes characters, classes, groups, alternatives and repetitions;
 * one with anything else, or one that could make the grammar slow, is not converted. Look-around is passed over, and where
 * an expression allows characters that JSON writes as escapes, few of them are offered: what comes out is allowed.
 */
import { literal } from "./gbnf.ts";
import { LIMITS, PatternReader, type Range, type Tree, Unsupported } from "./pattern_reader.ts";

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

/** Everything that a JSON string holds as it is. */
const PLAIN = String.raw`"\\\x7F\x00-\x1F`;

/** @returns `undefined` for an expression that cannot be converted. */
export function patternGrammar(source: string, hooks: PatternHooks): PatternGrammar | undefined {
  if (source.length > LIMITS.chars) return undefined;
  const start = source.startsWith("^");
  const end = /(?:^|[^\\])(?:\\\\)*\$$/.test(source);
  const inner = source.slice(start ? 1 : 0, end ? -1 : undefined);
  try {
    const tree = new PatternReader(inner).read();
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
