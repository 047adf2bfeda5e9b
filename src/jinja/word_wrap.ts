/** Python's `textwrap.wrap`, as the filter `wordwrap` calls it: tabs and white space stay as they are. */
import { valueError } from "./errors.ts";
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

/** The lines of a text. @throws {JinjaError} `value`: a width below 1. */
export function wrap(text: string, o: Options): string[] {
  if (o.width <= 0) throw valueError(`invalid width ${o.width} (must be > 0)`);
  const chunks = text.split(o.hyphens ? WORDS : SPACES).filter((chunk) => chunk !== "");
  chunks.reverse();
  const lines: string[] = [];
  const blank = (chunk: string | undefined) => chunk !== undefined && chunk.trim() === "";
  while (chunks.length > 0) {
    const line: string[] = [];
    let length = 0;
    if (lines.length > 0 && blank(chunks.at(-1))) chunks.pop();
    while (chunks.length > 0) {
      const next = codePointLength(chunks.at(-1)!);
      if (length + next > o.width) break;
      line.push(chunks.pop()!);
      length += next;
    }
    if (chunks.length > 0 && codePointLength(chunks.at(-1)!) > o.width) {
      breakLong(chunks, line, length, o);
    }
    if (blank(line.at(-1))) line.pop();
    if (line.length > 0) lines.push(line.join(""));
  }
  return lines;
}

/** A word longer than a line: its beginning fills this one. */
function breakLong(chunks: string[], line: string[], length: number, o: Options): void {
  if (!o.long) {
    if (line.length === 0) line.push(chunks.pop()!);
    return;
  }
  const points = [...chunks.pop()!];
  let end = o.width - length;
  if (o.hyphens && points.length > end) {
    const hyphen = points.slice(0, end).lastIndexOf("-");
    if (hyphen > 0 && points.slice(0, hyphen).some((point) => point !== "-")) end = hyphen + 1;
  }
  line.push(points.slice(0, end).join(""));
  chunks.push(points.slice(end).join(""));
}
