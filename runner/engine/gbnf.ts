/** Pieces of GBNF, llama.cpp's grammar notation: literals, ranges of integers, strings other than some. */

/** A text as a literal. Control characters do not occur: texts are JSON. */
export function literal(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** Digits beyond which a bound is not kept to: 2^53 has sixteen. */
const MAX_DIGITS = 15;

/** Integers from `least` to `most`, both included; `undefined` if there is no bound to keep to. */
export function integerRange(
  least: number | undefined,
  most: number | undefined,
): string | undefined {
  const limit = 10 ** MAX_DIGITS - 1;
  if (least === undefined && most === undefined) return undefined;
  const low = Math.max(least ?? -limit, -limit);
  const high = Math.min(most ?? limit, limit);
  if (low > high) return undefined;
  const parts: string[] = [];
  if (low < 0) {
    parts.push(`"-" (${naturalRange(Math.max(1, -Math.min(high, -1)), -low)})`);
  }
  if (high >= 0) parts.push(naturalRange(Math.max(low, 0), high));
  return parts.join(" | ");
}

/**
 * Decimal notations of the numbers from `least` to `most`, both included, without exponents; `undefined` if there is no
 * whole bound to keep to.
 */
export function numberRange(
  least: number | undefined,
  most: number | undefined,
): string | undefined {
  if (least === undefined && most === undefined) return undefined;
  if (least !== undefined && most !== undefined && least > most) return undefined;
  const parts: string[] = [];
  // Digits after the point go away from zero, so the outermost number has none but zeroes.
  const side = (sign: string, from: number, to: number | undefined) => {
    if (to === undefined) {
      const range = integerRange(from, undefined);
      if (range !== undefined) parts.push(`${sign} (${range}) ("." [0-9]{1,16})?`);
      return;
    }
    if (from < to) {
      parts.push(`${sign} (${integerRange(from, to - 1)}) ("." [0-9]{1,16})?`);
    }
    parts.push(`${sign} "${to}" ("." "0"{1,16})?`);
  };
  if (most === undefined || most >= 0) side("", Math.max(least ?? 0, 0), most);
  if (least === undefined || least < 0) {
    side('"-"', Math.max(-(most ?? 0), 0), least === undefined ? undefined : -least);
  }
  return parts.map((part) => part.trim()).join(" | ");
}

/** Decimal notations of the integers from `low` to `high`, both at least 0. */
function naturalRange(low: number, high: number): string {
  const parts: string[] = [];
  for (let digits = String(low).length; digits <= String(high).length; digits++) {
    const from = Math.max(low, digits === 1 ? 0 : 10 ** (digits - 1));
    const to = Math.min(high, 10 ** digits - 1);
    parts.push(...sameLength(String(from), String(to)));
  }
  return parts.join(" | ");
}

/** Alternatives for the numbers between two of the same number of digits. */
function sameLength(from: string, to: string): string[] {
  const [first, last] = [from[0] as string, to[0] as string];
  if (from.length === 1) return [digit(first, last)];
  const rest = from.length - 1;
  const any = `[0-9]{${rest}}`;
  if (first === last) {
    return sameLength(from.slice(1), to.slice(1)).map((tail) => `"${first}" ${tail}`);
  }
  const parts: string[] = [];
  let [low, high] = [Number(first), Number(last)];
  if (!/^0*$/.test(from.slice(1))) {
    const tails = sameLength(from.slice(1), "9".repeat(rest));
    parts.push(...tails.map((tail) => `"${first}" ${tail}`));
    low++;
  }
  const lower: string[] = [];
  if (!/^9*$/.test(to.slice(1))) {
    const tails = sameLength("0".repeat(rest), to.slice(1));
    lower.push(...tails.map((tail) => `"${last}" ${tail}`));
    high--;
  }
  if (low <= high) parts.push(`${digit(String(low), String(high))} ${any}`);
  return [...parts, ...lower];
}

function digit(from: string, to: string): string {
  return from === to ? `"${from}"` : `[${from}-${to}]`;
}

interface Node {
  readonly children: Map<string, Node>;
  isEnd: boolean;
}

/** JSON strings, quotes included, whose content is none of `contents` (as JSON writes it: without escapes inside). */
export function stringsExcept(contents: readonly string[]): string {
  const root: Node = { children: new Map(), isEnd: false };
  for (const content of contents) {
    let node = root;
    for (const character of content) {
      let child = node.children.get(character);
      if (!child) node.children.set(character, child = { children: new Map(), isEnd: false });
      node = child;
    }
    node.isEnd = true;
  }
  return `"\\"" ${except(root)} "\\""`;
}

/** What may follow so that none of the words below a node results. */
function except(node: Node): string {
  const parts: string[] = [];
  const first: string[] = [];
  for (const [character, child] of node.children) {
    first.push(classCharacter(character));
    parts.push(`${literal(character)} ${except(child)}`);
  }
  // Escapes could spell a forbidden name another way, so they may not begin where one still could.
  const others = first.length === 0 ? "char+" : `[^"\\\\\\x7F\\x00-\\x1F${first.join("")}] char*`;
  parts.push(others);
  return `(${parts.join(" | ")})${node.isEnd ? "" : "?"}`;
}

function classCharacter(character: string): string {
  return /[\\\]\[^-]/.test(character) ? `\\${character}` : character;
}
