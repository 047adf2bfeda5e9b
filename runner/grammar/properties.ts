/** Unicode's properties (`\p{L}`, `\p{Script=Greek}`) as sets of code points: those that the engine itself knows. */
import { type CodeSet, LAST_CODE } from "./code_set.ts";

/** As long as the longest that there is; a name is looked up, and never part of anything else. */
const NAME = /^[A-Za-z0-9_]{1,40}(=[A-Za-z0-9_]{1,40})?$/;
const known = new Map<string, CodeSet>();
let all: string | undefined;

/** Every code point that can stand in a text, in order. */
function everything(): string {
  if (all !== undefined) return all;
  const pieces: string[] = [];
  for (let from = 0; from <= LAST_CODE; from += 0x800) {
    // Halves of pairs are no characters.
    if (from === 0xd800) continue;
    pieces.push(String.fromCodePoint(...Array.from({ length: 0x800 }, (_, at) => from + at)));
  }
  return all = pieces.join("");
}

/** `undefined`: there is no such property. */
export function propertySet(name: string): CodeSet | undefined {
  const found = known.get(name);
  if (found !== undefined || !NAME.test(name)) return found;
  let expression: RegExp;
  try {
    expression = new RegExp(`\\p{${name}}+`, "gu");
  } catch {
    return undefined;
  }
  const set: [number, number][] = [];
  for (const [run] of everything().matchAll(expression)) {
    const from = run.codePointAt(0)!;
    const end = run.codePointAt(run.length - 1)!;
    const to = end >= 0xdc00 && end <= 0xdfff ? run.codePointAt(run.length - 2)! : end;
    // A run that goes on behind the halves of pairs is two.
    if (from < 0xd800 && to > 0xdfff) set.push([from, 0xd7ff], [0xe000, to]);
    else set.push([from, to]);
  }
  known.set(name, set);
  return set;
}
