/**
 * The automaton of a `pattern`. Programs that check schemas run patterns on engines that differ in small things (whether `\d` is
 * ASCII's digits or all, whether `$` may stand before a last line feed). So there are two readings: "must" accepts the
 * texts in which every engine finds the pattern, "may" those in which any does. A reply must match in the first and,
 * where it may not match, fail in the second.
 *
 * A pattern is turned into the language of what may follow from a place on, from its end to its start, for each thing
 * that may stand before the place: that is what anchors, boundaries and look-ahead ask about.
 */
import type { Work } from "../../src/budget.ts";
import type { Automaton, Budget } from "./automaton.ts";
import {
  type CodeSet,
  codeSet,
  codesWhere,
  complement,
  minus,
  TRIMMED,
  union,
  WHITE_SPACE,
} from "./code_set.ts";
import { propertyNames, propertyWork } from "./properties.ts";
import { Inexpressible } from "./refusal.ts";
import {
  type Member,
  MOST_PROPERTIES,
  readPattern,
  type Shorthand,
  type Tree,
} from "./pattern_reader.ts";
import {
  all,
  ANY_TEXT,
  automatonWork,
  codes,
  either,
  EMPTY,
  NEVER,
  not,
  plain,
  type Regular,
  repeat,
  sequence,
} from "./regular.ts";

export type Reading = "must" | "may";

/** How a pattern is turned into a language. */
interface How {
  readonly reading: Reading;
  readonly budget: Budget;
  /** Parts that were gone into, in all. */
  readonly parts: { count: number };
}

/**
 * Parts that are gone into. A pattern as it is read has fewer; where anchors are repeated, what is repeated is gone into many times,
 * and the call stack must hold what comes of it.
 */
const MOST_PARTS = 2500;
/** Steps for a part that is gone into. */
const STEPS_PER_PART = 8;

/** Digits that a number without end may have: small models love to go on. */
const MOST_DIGITS = 20;

/** In turns. @throws {Inexpressible} saying what of it cannot be kept. */
export function* patternWork(source: string, reading: Reading, budget: Budget): Work<Automaton> {
  for (const name of propertyNames(source).slice(0, MOST_PROPERTIES)) yield* propertyWork(name);
  const tree = readPattern(source);
  const found = follow(tree, always(ANY_TEXT), { reading, budget, parts: { count: 0 } });
  const later = BEFORE.slice(1).map((before) =>
    sequence(ANY_TEXT, codes(setOf(before)), found[before])
  );
  const language = isSame(found) ? sequence(ANY_TEXT, found.start) : either(found.start, ...later);
  return yield* automatonWork(language, budget);
}

/** What may stand before a place: nothing, a character of a word, another, or one on which engines disagree. */
type Before = "start" | "word" | "other" | "odd";
const BEFORE: readonly Before[] = ["start", "word", "other", "odd"];

/** What may follow, by what stands before. */
type Follow = Readonly<Record<Before, Regular>>;

const WORD = codeSet([[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]);
const DIGITS: CodeSet = [[0x30, 0x39]];

function setOf(before: Before): CodeSet {
  if (before === "word") return WORD;
  return before === "odd" ? minus(LETTERS, WORD) : complement(LETTERS);
}

function always(rest: Regular): Follow {
  return { start: rest, word: rest, other: rest, odd: rest };
}

function isSame({ start, word, other, odd }: Follow): boolean {
  return start === word && word === other && other === odd;
}

function each(then: Follow, make: (rest: Regular, before: Before) => Regular): Follow {
  return {
    start: make(then.start, "start"),
    word: make(then.word, "word"),
    other: make(then.other, "other"),
    odd: make(then.odd, "odd"),
  };
}

/** The same where what stands before does not matter. */
function alike(then: Follow, make: (rest: Regular) => Regular): Follow {
  return isSame(then) ? always(make(then.start)) : each(then, make);
}

function eitherOf(follows: readonly Follow[]): Follow {
  return each(follows[0]!, (_, before) => either(...follows.map((one) => one[before])));
}

/** What may stand from a place on, if `tree` stands there and `then` follows. */
function follow(tree: Tree, then: Follow, how: How): Follow {
  const { reading, budget, parts } = how;
  budget.take(STEPS_PER_PART);
  if (++parts.count > MOST_PARTS) {
    throw new Inexpressible(`with its repetitions it has more than ${MOST_PARTS} parts`);
  }
  switch (tree.kind) {
    case "start":
      return { ...always(NEVER), start: then.start };
    case "end": {
      const end = reading === "must" ? EMPTY : either(EMPTY, plain("\n"));
      return alike(then, (rest) => all(end, rest));
    }
    case "boundary":
      return each(then, (rest, before) => all(boundary(before, tree.negated, reading), rest));
    case "ahead": {
      const inner = tree.negated ? opposite(reading) : reading;
      const seen = follow(tree.item, always(ANY_TEXT), { ...how, reading: inner });
      const side = (before: Before) => tree.negated ? not(seen[before]) : seen[before];
      if (isSame(seen) && isSame(then)) return always(all(side("start"), then.start));
      return each(then, (rest, before) => all(side(before), rest));
    }
    case "sequence":
      return tree.parts.reduceRight((rest, part) => follow(part, rest, how), then);
    case "either":
      if (!looks(tree)) break;
      return eitherOf(tree.branches.map((branch) => follow(branch, then, how)));
    case "repeat": {
      if (!looks(tree)) break;
      if (tree.most === undefined || tree.most > 8) {
        throw new Inexpressible("anchors or look-ahead inside a repetition are not read");
      }
      let rest = then;
      for (let count = tree.most; count > 0; count--) {
        const once = follow(tree.item, rest, how);
        rest = count <= tree.least ? once : eitherOf([then, once]);
      }
      return rest;
    }
  }
  const item = regular(tree, how);
  if (isSame(then)) return always(sequence(item, then.start));
  // What stands before the rest is the item's last character, or, where the item is empty, what stood before it.
  const moved = either(
    ...BEFORE.slice(1).map((before) =>
      sequence(all(item, sequence(ANY_TEXT, codes(setOf(before)))), then[before])
    ),
  );
  return mayBeEmpty(tree) ? each(then, (rest) => either(rest, moved)) : always(moved);
}

/** What may follow so that a word begins or ends here; negated: so that none does. */
function boundary(before: Before, negated: boolean, reading: Reading): Regular {
  if (before === "odd") return reading === "must" ? NEVER : ANY_TEXT;
  const other = not(beginsWith(reading === "must" ? LETTERS : WORD));
  const word = beginsWith(reading === "must" ? WORD : LETTERS);
  return (before === "word") === negated ? word : other;
}

function beginsWith(set: CodeSet): Regular {
  return sequence(codes(set), ANY_TEXT);
}

function opposite(reading: Reading): Reading {
  return reading === "must" ? "may" : "must";
}

/** Whether a tree asks about what stands around it. */
function looks(tree: Tree): boolean {
  const known = LOOKS.get(tree) ?? findLooks(tree);
  LOOKS.set(tree, known);
  return known;
}

const LOOKS = new WeakMap<Tree, boolean>();

function findLooks(tree: Tree): boolean {
  switch (tree.kind) {
    case "start":
    case "end":
    case "boundary":
    case "ahead":
      return true;
    case "sequence":
      return tree.parts.some(looks);
    case "either":
      return tree.branches.some(looks);
    case "repeat":
      return looks(tree.item);
    default:
      return false;
  }
}

function mayBeEmpty(tree: Tree): boolean {
  switch (tree.kind) {
    case "sequence":
      return tree.parts.every(mayBeEmpty);
    case "either":
      return tree.branches.some(mayBeEmpty);
    case "repeat":
      return tree.least === 0 || mayBeEmpty(tree.item);
    case "class":
    case "dot":
      return false;
    default:
      return true;
  }
}

/** A tree that asks about nothing around it. */
function regular(tree: Tree, how: How): Regular {
  const { reading, budget } = how;
  budget.take(1);
  switch (tree.kind) {
    case "class":
      budget.look(tree.members.length);
      return codes(classCodes(tree.members, tree.negated, reading));
    case "dot":
      return codes(complement(reading === "must" ? LINE_ENDS : [[10, 10]]));
    case "sequence":
      return sequence(...tree.parts.map((part) => regular(part, how)));
    case "either":
      return either(...tree.branches.map((branch) => regular(branch, how)));
    case "repeat": {
      const bounded = reading === "must" && tree.most === undefined && isDigit(tree.item);
      const most = bounded ? Math.max(MOST_DIGITS, tree.least) : tree.most;
      return repeat(regular(tree.item, how), tree.least, most);
    }
    default:
      throw new Error(`unreachable: ${tree.kind}`);
  }
}

function isDigit(tree: Tree): boolean {
  return tree.kind === "class" && !tree.negated &&
    tree.members.every((member) =>
      member === "d" || (typeof member !== "string" && member[0] >= 0x30 && member[1] <= 0x39)
    );
}

function classCodes(members: readonly Member[], negated: boolean, reading: Reading): CodeSet {
  const inner = negated ? opposite(reading) : reading;
  const set = codeSet(
    members.flatMap((member) => typeof member === "string" ? shorthand(member, inner) : [member]),
  );
  return negated ? complement(set) : set;
}

const LINE_ENDS = codeSet([[10, 10], [13, 13], [0x2028, 0x2029]]);
const MAYBE_SPACE = codeSet([...TRIMMED, [0x1c, 0x1f], [0x85, 0x85]]);

/** No letter or number stands above it, but ideographs of the third plane. */
const LAST_LETTER = 0x3ffff;
/** Beyond ASCII, of no word to any engine: punctuation, signs, arrows, boxes, emoji. Not all there are, for short classes. */
const SIGNS = codeSet([
  [0xa0, 0xa9],
  [0xab, 0xb1],
  [0x2000, 0x200b],
  [0x2010, 0x2064],
  [0x20a0, 0x20bf],
  [0x2190, 0x23ff],
  [0x2500, 0x2775],
  [0x3000, 0x3004],
  [0x3008, 0x3020],
  [0xff01, 0xff0f],
  [0x1f300, 0x1faff],
]);
/** What may be of a word. */
const LETTERS = complement(union(minus([[0, 0x7f]], WORD), SIGNS));
let digits: CodeSet | undefined;

function shorthand(name: Shorthand, reading: Reading): CodeSet {
  switch (name) {
    case "d":
      return reading === "must" ? DIGITS : digits ??= codesWhere(is(/\p{Nd}/u), LAST_LETTER);
    case "w":
      return reading === "must" ? WORD : LETTERS;
    case "s":
      return reading === "must" ? WHITE_SPACE : MAYBE_SPACE;
    default:
      return complement(shorthand(name.toLowerCase() as Shorthand, opposite(reading)));
  }
}

function is(expression: RegExp): (text: string) => boolean {
  return (text) => expression.test(text);
}
