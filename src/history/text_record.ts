/**
 * Texts of a conversation as they are searched, many messages in one record, and the looking for words in them.
 *
 *     text record: for each message  0x1E | position, decimal | 0x1F | its text, in one case and form, spaces joined
 */
import { concat, utf8 } from "../bytes.ts";
import { marksOf, mayHold } from "./filter.ts";
import { normalised } from "./normal.ts";

const MESSAGE = 0x1e;
const TEXT = 0x1f;
const [MESSAGE_UNIT, TEXT_UNIT] = [MESSAGE, TEXT].map((byte) => String.fromCharCode(byte)) as [
  string,
  string,
];

/** A message in a record. */
export function partOf(position: number, content: string): Uint8Array {
  const [message, text] = [new Uint8Array([MESSAGE]), new Uint8Array([TEXT])];
  return concat(message, utf8(String(position)), text, utf8(normalised(content)));
}

/** A form of a word as it is looked for. */
interface Form {
  /** One unit for each byte. */
  readonly bytes: string;
  readonly marks: Uint32Array;
}

/** The forms of a word. */
export type Pattern = readonly Form[];

/** What a word, given in its forms, is looked for by. */
export function patternOf(forms: readonly string[]): Pattern {
  return forms.map((form) => {
    const bytes = utf8(form);
    return { bytes: latin1(bytes), marks: marksOf(bytes) };
  });
}

/** False: the text of this filter does not have the form. */
export function mayBeIn(filter: Uint8Array | undefined, { marks }: Form): boolean {
  return filter === undefined || mayHold(filter, marks);
}

/** One unit for each byte: texts are looked through a hundred times as quickly as buffers. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** Where a record's texts have one of the forms. */
export function placeOfOne(
  record: string,
  forms: Pattern,
  filter: Uint8Array | undefined,
): number | undefined {
  for (const form of forms) {
    if (!mayBeIn(filter, form)) continue;
    const at = placeIn(record, form.bytes);
    if (at >= 0) return at;
  }
}

/** Where a record's texts have the word, -1: nowhere. The numbers of the messages are no text. */
function placeIn(record: string, word: string): number {
  let at = record.indexOf(word);
  while (at >= 0 && record.lastIndexOf(MESSAGE_UNIT, at) > record.lastIndexOf(TEXT_UNIT, at)) {
    at = record.indexOf(word, record.indexOf(TEXT_UNIT, at));
  }
  return at;
}

/** The position of the message that a place in a record belongs to. */
export function positionAt(text: string, at: number): number {
  const start = text.lastIndexOf(MESSAGE_UNIT, at) + 1;
  return Number(text.slice(start, text.indexOf(TEXT_UNIT, start)));
}
