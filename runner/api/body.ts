/**
 * From the bytes of a request to one JSON object. Every limit is checked before the work it guards: size while reading, nesting
 * and number before parsing, in turns that let others work. So no body costs much more than one long text of its size.
 */
import { collect } from "../../src/api/body.ts";
import { INFERENCE_BYTES } from "../../src/api/routes.ts";
import { MISSING_BODY_TEXT, NOT_JSON_TEXT, NOT_UTF8_TEXT } from "../../src/api/texts.ts";
import type { Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { Turns, TurnTaker } from "../turns.ts";
import { Fields } from "./fields.ts";
import { NotUtf8, parseJson } from "./json_reader.ts";

interface JsonLimits {
  /** Arrays and objects inside each other. */
  readonly depth: number;
  /** Arrays and objects in all: each costs some microseconds wherever it is looked at. */
  readonly containers: number;
  /** Elements and members in all. */
  readonly values: number;
  /** Members of objects in all: a million names that differ take a second to be read. */
  readonly members: number;
  /** Bytes that are not of strings. */
  readonly bytesBesideStrings: number;
}

/** A thousand messages with calls, and a hundred tools with large schemas, have some ten thousand containers. */
export const JSON_LIMITS: JsonLimits = {
  depth: 128,
  containers: 40_000,
  values: 1_000_000,
  members: 200_000,
  bytesBesideStrings: 8 * 1024 * 1024,
};

/**
 * Reads and parses the body.
 *
 * @throws {SecLlamaError} `too-large`: more than {@link INFERENCE_BYTES}; `bad-request`: no body, not UTF-8 (RFC 8259
 * section 8.1), not JSON, beyond one of {@link JSON_LIMITS}, or not an object.
 */
export async function readJsonObject(
  request: Request,
  turns: Turns,
  taker: TurnTaker,
): Promise<Fields> {
  const bytes = await collect(request.body, INFERENCE_BYTES);
  if (bytes.length === 0) throw new SecLlamaError("bad-request", MISSING_BODY_TEXT);
  await turns.run(checkShape(bytes, JSON_LIMITS), taker);
  try {
    return Fields.of(await turns.run(parseJson(bytes), taker));
  } catch (error) {
    if (error instanceof NotUtf8) throw new SecLlamaError("bad-request", NOT_UTF8_TEXT);
    // V8's message quotes the text around the error, which may be message content.
    if (error instanceof SyntaxError) throw new SecLlamaError("bad-request", NOT_JSON_TEXT);
    throw error;
  }
}

const QUOTE = 0x22,
  COMMA = 0x2c,
  COLON = 0x3a,
  BACKSLASH = 0x5c,
  OPEN_ARRAY = 0x5b,
  OPEN_OBJECT = 0x7b;
const CLOSE_ARRAY = 0x5d, CLOSE_OBJECT = 0x7d;
/** Some tenths of a millisecond. */
const STEPS_PER_YIELD = 4096;

/**
 * Looks at what is outside of strings, and jumps over strings, where a large body's bytes are.
 * @throws {SecLlamaError} `bad-request` beyond a limit. What is no JSON at all may pass.
 */
export function* checkShape(bytes: Uint8Array, limits: JsonLimits): Work<void> {
  let depth = 0, containers = 0, values = 0, members = 0, steps = 0, beside = 0;
  for (let at = 0; at < bytes.length; at++) {
    beside++;
    switch (bytes[at]) {
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        if (++depth > limits.depth) {
          throw refused(`must not nest deeper than ${limits.depth} levels`);
        }
        if (++containers > limits.containers) {
          throw refused(`must not have more than ${limits.containers} arrays and objects`);
        }
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--;
        break;
      case COMMA:
        if (++values > limits.values) {
          throw refused(`must not have more than ${limits.values} elements and members`);
        }
        break;
      case COLON:
        if (++members > limits.members) {
          throw refused(`must not have more than ${limits.members} members of objects`);
        }
        break;
      case QUOTE:
        // A quote inside of a string is escaped; whether it is, the backslashes before it say.
        for (let escaped = true; escaped;) {
          at = bytes.indexOf(QUOTE, at + 1);
          if (at < 0) return;
          escaped = false;
          for (let before = at; bytes[before - 1] === BACKSLASH; before--) {
            escaped = !escaped;
            if (++steps % STEPS_PER_YIELD === 0) yield;
          }
          if (++steps % STEPS_PER_YIELD === 0) yield;
        }
    }
    if (beside > limits.bytesBesideStrings) {
      throw refused(
        `must not have more than ${limits.bytesBesideStrings} bytes beside its strings`,
      );
    }
    if (++steps % STEPS_PER_YIELD === 0) yield;
  }
}

function refused(what: string): SecLlamaError {
  return new SecLlamaError("bad-request", `the request body ${what}`);
}
