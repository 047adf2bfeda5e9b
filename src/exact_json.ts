/**
 * JSON whose whole numbers keep their digits. A database's ids, of 64 bits, are more than a double holds (2^53): as
 * JavaScript's numbers they would come back as their neighbours. RFC 8259 section 6 leaves the range to who reads.
 */

/** What may be one. A text without it is read as JavaScript does, which costs less. */
const LONG = /\d{16}/;
const WHOLE = /^-?\d+$/;
/** Digits that are kept: more are no id, and the doubles of these are finite. */
const MOST_DIGITS = 300;

/** Of JavaScript, newer than TypeScript's own types of it. */
type Reviver = (name: string, value: unknown, context: { readonly source?: string }) => unknown;
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * What `JSON.parse` makes of a text, but that a whole number beyond 2^53 - 1 is a `bigint`.
 * @throws {SyntaxError} As `JSON.parse`: its message may quote the text.
 */
export function parseExact(text: string): unknown {
  return LONG.test(text)
    ? JSON.parse(text, keepDigits as Parameters<typeof JSON.parse>[1])
    : JSON.parse(text);
}

/** What `JSON.stringify` makes of a value; of a `bigint`, its digits. @param each As its `replacer`. */
export function exactText(
  value: unknown,
  each: ((name: string, value: unknown) => unknown) | undefined = undefined,
): string {
  try {
    return JSON.stringify(value, each);
  } catch (error) {
    // A bigint is the one thing in a value of JSON that it throws for.
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(value, (name, one) => {
      const own = each === undefined ? one : each(name, one);
      return typeof own === "bigint" ? rawJSON(`${own}`) : own;
    });
  }
}

/** The number that a text of JSON's or Python's stands for, as {@link parseExact} reads it. */
export function exactNumber(text: string): number | bigint {
  return exact(Number(text), text);
}

/** The double that is nearest to it on one side, or it. @param side 1: none below it, -1: none above. */
export function roundedTo(side: 1 | -1, value: bigint): number {
  const nearest = Number(value);
  if ((BigInt(nearest) - value) * BigInt(side) >= 0n) return nearest;
  // Doubles of this size are so far from each other; one of the next size is as well a neighbour.
  return nearest + side * 2 ** (Math.floor(Math.log2(Math.abs(nearest))) - 52);
}

const keepDigits: Reviver = (_, value, { source }) =>
  typeof value === "number" && source !== undefined ? exact(value, source) : value;

function exact(value: number, source: string): number | bigint {
  if (Number.isSafeInteger(value) || !WHOLE.test(source)) return value;
  return source.length > MOST_DIGITS ? value : BigInt(source);
}
