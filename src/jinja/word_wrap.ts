/** Python's `textwrap.wrap`, as the filter `wordwrap` calls it: tabs and white space stay as they are. */
import { valueError } from "./errors.ts";
import { isSpace } from "./unicode.ts";
import { codePointLength } from "./values.ts";

const WS = "[\\t\\n\\v\\f\\r ]";
const NWS = "[^\\t\\n\\v\\f\\r ]";
const PUNCT = "[\\p{L}\\p{N}_!\"'&.,?]";
const LETTER = "[\\p{L}_]";
const WORD_CHAR = "[\\p{L}\\p{N}_]";
const WORDS = new RegExp(
  `(${WS}+|(?<=${PUNCT})-{2,}(?=${WORD_CHAR})|${NWS}+?(?:` +
    `-(?:(?<=${LETTER}{2}-)|(?<=${LETTER}-${LETTER}-))(?=${LETTER}-?${LETTER})` +
    `|(?=${WS}|$)|(?<=${PUNCT})(?=-{2,}${WORD_CHAR})))`,
  "u",
);
const SPACES = new RegExp(`(${WS}+)`);

interface Options {
  readonly width: number;
  readonly long: boolean;
  readonly hyphens: boolean;
}

/** A word or white space, and from where on it is still to be written: what is cut off is not copied. */
interface Chunk {
  readonly text: string;
  /** Where it is white space from, to its end. */
  readonly blankFrom: number;
  at: number;
  /** Code points from `at` on. */
  length: number;
}

/** The lines of a text. @throws {JinjaError} `value`: a width below 1. */
export function wrap(text: string, o: Options): string[] {
  if (o.width <= 0) throw valueError(`invalid width ${o.width} (must be > 0)`);
  const chunks = text.split(o.hyphens ? WORDS : SPACES).filter((chunk) => chunk !== "").map(open);
  chunks.reverse();
  const lines: string[] = [];
  while (chunks.length > 0) {
    const line: string[] = [];
    let length = 0;
    if (lines.length > 0 && chunks.at(-1)!.at >= chunks.at(-1)!.blankFrom) chunks.pop();
    while (chunks.length > 0) {
      const next = chunks.at(-1)!.length;
      if (length + next > o.width) break;
      line.push(rest(chunks.pop()!));
      length += next;
    }
    if (chunks.length > 0 && chunks.at(-1)!.length > o.width) {
      breakLong(chunks, line, length, o);
    }
    if (line.length > 0 && blankFrom(line.at(-1)!) === 0) line.pop();
    if (line.length > 0) lines.push(line.join(""));
  }
  return lines;
}

function open(text: string): Chunk {
  return { text, blankFrom: blankFrom(text), at: 0, length: codePointLength(text) };
}

function rest({ text, at }: Chunk): string {
  return text.slice(at);
}

/** Where the white space at a text's end begins. */
function blankFrom(text: string): number {
  let end = text.length;
  while (end > 0 && isSpace(text[end - 1]!)) end--;
  return end;
}

/** A word longer than a line: its beginning fills this one. */
function breakLong(chunks: Chunk[], line: string[], length: number, o: Options): void {
  const chunk = chunks.at(-1)!;
  if (!o.long) {
    if (line.length === 0) line.push(rest(chunks.pop()!));
    return;
  }
  let taken = firstPoints(chunk, o.width - length);
  let points = Math.min(chunk.length, o.width - length);
  const hyphen = o.hyphens && chunk.length > points ? taken.lastIndexOf("-") : 0;
  if (hyphen > 0 && /[^-]/.test(taken.slice(0, hyphen))) {
    taken = taken.slice(0, hyphen + 1);
    points = codePointLength(taken);
  }
  line.push(taken);
  chunk.at += taken.length;
  chunk.length -= points;
}

/** So many code points of what is to be written still, at most. */
function firstPoints({ text, at, length }: Chunk, most: number): string {
  if (length === text.length - at) return text.slice(at, at + most);
  let end = at;
  for (let points = 0; points < most && end < text.length; points++) {
    end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  }
  return text.slice(at, end);
}
