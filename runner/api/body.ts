/**
 * From the bytes of a request to one JSON object. Every limit is checked before the work it guards: size while reading,
 * nesting before parsing, so that no body costs more than its size.
 */
import { collect } from "../../src/api/body.ts";
import { INFERENCE_BYTES } from "../../src/api/routes.ts";
import { MISSING_BODY_TEXT, NOT_JSON_TEXT, NOT_UTF8_TEXT } from "../../src/api/texts.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { utf8Decode } from "../../src/bytes.ts";
import { Fields } from "./fields.ts";

/** Arrays and objects inside each other. */
export const MAX_JSON_DEPTH = 128;

/**
 * Reads and parses the body.
 *
 * @throws {SecLlamaError} `too-large`: more than {@link INFERENCE_BYTES}; `bad-request`: no body, not UTF-8 (RFC 8259
 * section 8.1), not JSON, nested deeper than {@link MAX_JSON_DEPTH}, or not an object.
 */
export async function readJsonObject(request: Request): Promise<Fields> {
  const bytes = await collect(request.body, INFERENCE_BYTES);
  if (bytes.length === 0) throw new SecLlamaError("bad-request", MISSING_BODY_TEXT);
  let text: string;
  try {
    text = utf8Decode(bytes);
  } catch {
    throw new SecLlamaError("bad-request", NOT_UTF8_TEXT);
  }
  if (nestsDeeper(bytes, MAX_JSON_DEPTH)) {
    throw new SecLlamaError(
      "bad-request",
      `the request body must not nest deeper than ${MAX_JSON_DEPTH} levels`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // V8's message quotes the text around the error, which may be message content.
    throw new SecLlamaError("bad-request", NOT_JSON_TEXT);
  }
  return Fields.of(value);
}

const QUOTE = 0x22, BACKSLASH = 0x5c, OPEN_ARRAY = 0x5b, OPEN_OBJECT = 0x7b;
const CLOSE_ARRAY = 0x5d, CLOSE_OBJECT = 0x7d;

/** Whether brackets outside of strings nest deeper than `limit`. Jumps over strings, where a large body's bytes are. */
export function nestsDeeper(bytes: Uint8Array, limit: number): boolean {
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        if (++depth > limit) return true;
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--;
        break;
      case QUOTE:
        at = endOfString(bytes, at);
    }
  }
  return false;
}

/** Index of the quote that ends the string which begins at `start`; the length if none does. */
function endOfString(bytes: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    at = bytes.indexOf(QUOTE, at + 1);
    if (at < 0) return bytes.length;
    let backslashes = 0;
    while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
}
