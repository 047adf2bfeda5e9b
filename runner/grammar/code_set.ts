/** Sets of code points as sorted ranges that neither overlap nor touch, both ends included. */

export type Range = readonly [from: number, to: number];
export type CodeSet = readonly Range[];

export const LAST_CODE = 0x10ffff;
export const ANY_CODE: CodeSet = [[0, LAST_CODE]];

/** Sorts and joins. */
export function codeSet(ranges: readonly Range[]): CodeSet {
  const sorted = ranges.toSorted((a, b) => a[0] - b[0]);
  const out: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = out.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

/** White space to ECMAScript, and to others. */
export const WHITE_SPACE: CodeSet = [
  [9, 13],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
];
/** As JavaScript trims it. */
export const TRIMMED: CodeSet = [...WHITE_SPACE, [0xfeff, 0xfeff]];

export function union(...sets: readonly CodeSet[]): CodeSet {
  return codeSet(sets.flat());
}

export function complement(set: CodeSet): CodeSet {
  const out: Range[] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) out.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST_CODE) out.push([next, LAST_CODE]);
  return out;
}

export function intersect(a: CodeSet, b: CodeSet): CodeSet {
  const out: Range[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [x, y] = [a[i]!, b[j]!];
    const [from, to] = [Math.max(x[0], y[0]), Math.min(x[1], y[1])];
    if (from <= to) out.push([from, to]);
    if (x[1] < y[1]) i++;
    else j++;
  }
  return out;
}

export function minus(a: CodeSet, b: CodeSet): CodeSet {
  return intersect(a, complement(b));
}

/** The code points that a test holds for. */
export function codesWhere(test: (text: string) => boolean, last: number = LAST_CODE): CodeSet {
  const out: Range[] = [];
  let from = -1;
  for (let code = 0; code <= last + 1; code++) {
    const surrogate = code >= 0xd800 && code <= 0xdfff;
    const inside = code <= last && !surrogate && test(String.fromCodePoint(code));
    if (inside && from < 0) from = code;
    if (!inside && from >= 0) {
      out.push([from, code - 1]);
      from = -1;
    }
  }
  return out;
}
