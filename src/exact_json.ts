/**
 * JSON whose whole numbers keep their digits. A database's ids, of 64 bits, are more than a double holds (2^53): as
 * JavaScript's numbers they would come back as their neighbours. RFC 8259 section 6 leaves the range to who reads.
 */

/** What may be one. A text without it is read as JavaScript does, which costs less. */
const LONG = /\d{16}/;
const WHOLE = /^-?\d+$/;
/** Digits that are kept: more are no id, and the doubles of these are finite. */
const MOST_DIGITS = 300;

/** A number of JSON's that may be one. */
const LONG_NUMBER = /(?<![\d.eE+-])-?\d{16,}(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** In front of digits that stand as a text while they are read: nobody knows it, so that no other text begins with it. */
const MARK = `${crypto.randomUUID()}:`;

/** Of JavaScript, newer than TypeScript's own types of it. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * What `JSON.parse` makes of a text, but that a whole number beyond 2^53 - 1 is a `bigint`.
 * @throws {SyntaxError} As `JSON.parse`: its message may quote the text.
 */
export function parseExact(text: string): unknown {
  const value = JSON.parse(text);
  if (!LONG.test(text)) return value;
  // A reviver, which is asked of every value, takes ten times as long.
  return withDigits(JSON.parse(marked(text)));
}

/** JSON with its long whole numbers as texts. */
function marked(json: string): string {
  let out = "";
  for (let at = 0; at < json.length;) {
    const quote = json.indexOf('"', at);
    const end = quote < 0 ? json.length : quote;
    const beside = json.slice(at, end);
    out += LONG.test(beside) ? beside.replace(LONG_NUMBER, markedNumber) : beside;
    at = quote < 0 ? end : endOfString(json, quote);
    out += json.slice(end, at);
  }
  return out;
}

function markedNumber(source: string): string {
  return typeof exactNumber(source) === "bigint" ? `"${MARK}${source}"` : source;
}

/** Just past a string of JSON's. */
function endOfString(json: string, start: number): number {
  for (let at = start + 1;;) {
    const quote = json.indexOf('"', at);
    let before = quote;
    while (json[before - 1] === "\\") before--;
    at = quote + 1;
    if ((quote - before) % 2 === 0) return at;
  }
}

/** Puts the numbers in the places of their texts. */
function withDigits(value: unknown): unknown {
  const whole = [value];
  for (const open: object[] = [whole]; open.length > 0;) {
    const holder = open.pop() as Record<string, unknown>;
    for (const name of Object.keys(holder)) {
      const inner = holder[name];
      if (typeof inner === "object" && inner !== null) open.push(inner);
      else if (typeof inner === "string" && inner.startsWith(MARK)) {
        const number = BigInt(inner.slice(MARK.length));
        if (name !== "__proto__") holder[name] = number;
        else Object.defineProperty(holder, name, { value: number });
      }
    }
  }
  return whole[0];
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

function exact(value: number, source: string): number | bigint {
  if (Number.isSafeInteger(value) || !WHOLE.test(source)) return value;
  return source.length > MOST_DIGITS ? value : BigInt(source);
}
