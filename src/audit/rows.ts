/** The log's lines as their bytes lie in the file, thousands at a time: an array for each would take as long as its hash. */
import type { StatementSync } from "node:sqlite";
import type { Bytes } from "../bytes.ts";
import { damaged, failing } from "./failing.ts";

/** Lines that are read at once. */
const BATCH = 4_096;

/** Takes the first line's number. What is no text, no hash or not there at all counts as none: the schema may be somebody else's. */
export const ROWS_SQL = `
SELECT group_concat(n || ' ' || octet_length(coalesce(leaf, '')) || ' ' || octet_length(coalesce(tag, '')) || ' ' ||
         iif(text IS NULL, 0, 1 + octet_length(text)), ' '),
       CAST(group_concat(coalesce(leaf, '') || coalesce(tag, '') || iif(text IS NULL, '', x'00' || text), '') AS BLOB)
FROM (SELECT n, leaf, tag, text FROM lines WHERE n >= ? ORDER BY n LIMIT ${BATCH})`;

/** A line's bytes: they may be written over when the next one is asked for. */
export interface LineBytes {
  /** Its number. */
  readonly n: number;
  /** Its hash in the tree; undefined: it is said nowhere. */
  readonly leaf: Bytes | undefined;
  /** What authenticates it to the host; undefined in an export. */
  readonly tag: Bytes | undefined;
  /** What is hashed: a zero byte, then the text's UTF-8; null: taken away by retention. */
  readonly entry: Bytes | null;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The text of {@link LineBytes.entry}. What is no UTF-8 in it becomes U+FFFD, which no hash fits. */
export function textOf(entry: Uint8Array): string {
  return decoder.decode(entry.subarray(1));
}

/** The lines from `from` on, in order. @throws {SecLlamaError} `audit-failed`, `audit-broken`. */
export function* readRows(
  path: string,
  statement: StatementSync,
  from: number,
): Generator<LineBytes> {
  // By the batch: a reader that stops in the middle holds nothing up.
  for (let next = from;;) {
    const row = failing(path, () => statement.get(next)) as Record<string, unknown>;
    const [places, blob] = Object.values(row);
    if (typeof places !== "string" || !(blob instanceof Uint8Array)) return;
    const bytes = blob as Bytes;
    const numbers = numbersIn(places);
    let at = 0;
    for (let i = 0; i < numbers.length; i += 4) {
      const n = numbers[i]!;
      const tagAt = at + numbers[i + 1]!;
      const entryAt = tagAt + numbers[i + 2]!;
      const end = entryAt + numbers[i + 3]!;
      if (!Number.isSafeInteger(n) || !(end <= bytes.length)) throw damaged(path);
      yield {
        n,
        leaf: bytes.subarray(at, tagAt),
        tag: bytes.subarray(tagAt, entryAt),
        entry: end === entryAt ? null : bytes.subarray(entryAt, end),
      };
      at = end;
    }
    if (at !== bytes.length || numbers.length % 4 !== 0) throw damaged(path);
    if (numbers.length < 4 * BATCH) return;
    next = numbers.at(-4)! + 1;
  }
}

/** Whole numbers with a space between; NaN for what is none. */
function numbersIn(text: string): number[] {
  const found: number[] = [];
  for (let i = 0, value = 0;; i++) {
    const c = text.charCodeAt(i);
    if (c >= 0x30 && c <= 0x39) value = 10 * value + c - 0x30;
    else if (c === 0x20 || i >= text.length) {
      found.push(value);
      value = 0;
      if (i >= text.length) return found;
    } else value = NaN;
  }
}
