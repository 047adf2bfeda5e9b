/** Unicode's properties (`\p{L}`, `\p{Script=Greek}`) as sets of code points: those that the engine itself knows. */
import { runAtOnce, type Work } from "../../src/budget.ts";
import { type CodeSet, codeSet, LAST_CODE } from "./code_set.ts";

/** As long as the longest that there is; a name is looked up, and never part of anything else. */
const NAME = /^[A-Za-z0-9_]{1,40}(=[A-Za-z0-9_]{1,40})?$/;
const known = new Map<string, CodeSet>();

/** Code points that are looked at between two places to yield. */
const CODES_PER_YIELD = 0x4000;
const LAST_BELOW_PAIRS = 0xd7ff;
const FIRST_ABOVE_PAIRS = 0xe000;

/** The code points from `from` on that can stand in a text, as one: pieces do not cross a plane, nor the halves of pairs. */
const pieces = new Map<number, string>();

function piece(from: number): string {
  const known = pieces.get(from);
  if (known !== undefined) return known;
  let text = "";
  for (let start = from; start < from + CODES_PER_YIELD; start += 0x400) {
    // Halves of pairs are no characters.
    if (start > LAST_BELOW_PAIRS && start < FIRST_ABOVE_PAIRS) continue;
    if (start <= 0xffff) text += ofUnits(start);
    else {
      // Without a compiler a loop over a million is slow; this one is the engine's own.
      const half = String.fromCharCode(0xd800 + ((start - 0x10000) >> 10));
      text += half + SECOND_HALVES.join(half);
    }
  }
  pieces.set(from, text);
  return text;
}

function ofUnits(from: number): string {
  return String.fromCharCode(...Array.from({ length: 0x400 }, (_, at) => from + at));
}

const SECOND_HALVES = Array.from({ length: 0x400 }, (_, at) => String.fromCharCode(0xdc00 + at));

/** The names that a pattern's source may ask for. */
export function propertyNames(source: string): string[] {
  return [...source.matchAll(/\\[pP]\{([^}]{1,81})\}/g)].map(([, name]) => name!);
}

/** `undefined`: there is no such property. */
export function propertySet(name: string): CodeSet | undefined {
  return runAtOnce(propertyWork(name));
}

/** The same in turns. */
export function* propertyWork(name: string): Work<CodeSet | undefined> {
  const found = known.get(name);
  if (found !== undefined || !NAME.test(name)) return found;
  let expression: RegExp;
  try {
    expression = new RegExp(`\\p{${name}}+`, "gu");
  } catch {
    return undefined;
  }
  const ranges: [number, number][] = [];
  for (let start = 0; start <= LAST_CODE; start += CODES_PER_YIELD) {
    for (const [run] of piece(start).matchAll(expression)) {
      const from = run.codePointAt(0)!;
      const end = run.codePointAt(run.length - 1)!;
      const to = end >= 0xdc00 && end <= 0xdfff ? run.codePointAt(run.length - 2)! : end;
      // A run that goes on behind the halves of pairs is two.
      if (from <= LAST_BELOW_PAIRS && to >= FIRST_ABOVE_PAIRS) {
        ranges.push([from, LAST_BELOW_PAIRS], [FIRST_ABOVE_PAIRS, to]);
      } else ranges.push([from, to]);
    }
    yield;
  }
  const set = codeSet(ranges);
  known.set(name, set);
  return set;
}
