/** `arguments` of calls in the history: JSON in a string, which is read in turns before the rest of a request is. */
import { runAtOnce, type Work } from "../../../src/budget.ts";
import { utf8 } from "../../../src/bytes.ts";
import { isBeginning, topMembers } from "../../../src/replies/partial_json.ts";
import { escapeControls } from "../../../src/replies/json_string.ts";
import { isObject } from "../../../src/replies/values.ts";
import { checkShape, JSON_LIMITS } from "../body.ts";
import { parseJson } from "../json_reader.ts";
import type { Fields } from "../fields.ts";

/** UTF-16 units of one call's: more than models write in one reply. */
export const MAX_ARGUMENTS = 1024 * 1024;

type Arguments = Readonly<Record<string, unknown>>;
/** What they are, or what they must be. */
type Outcome = { readonly value: Arguments } | { readonly wanted: string };

/** By the object that they stand in. */
const outcomes = new WeakMap<object, Outcome>();

/** Reads the arguments of all calls of a request, for {@link parseArguments}. What is wrong in any way is said there. */
export function* readArguments(body: Fields): Work<void> {
  for (const list of [body.raw("messages"), body.raw("input")]) {
    if (!Array.isArray(list)) continue;
    for (const item of list) {
      yield* note(item);
      const calls = item?.tool_calls;
      if (Array.isArray(calls)) { for (const call of calls) yield* note(call?.function); }
    }
  }
}

function* note(holder: unknown): Work<void> {
  if (typeof holder !== "object" || holder === null || !("arguments" in holder)) return;
  const text = holder.arguments;
  if (typeof text !== "string") return;
  outcomes.set(holder, yield* outcomeOf(text));
  yield;
}

/**
 * The arguments of one call; of one that was cut off, those that are whole.
 * @throws {SecLlamaError} `bad-request`: they are no JSON object, or one that nests too deep or is too large.
 */
export function parseArguments(fields: Fields): Arguments {
  const text = fields.string("arguments") ?? "";
  const outcome = outcomes.get(fields.value()) ?? runAtOnce(outcomeOf(text));
  if ("value" in outcome) return outcome.value;
  throw fields.fail("arguments", outcome.wanted);
}

function* outcomeOf(text: string): Work<Outcome> {
  if (text.length > MAX_ARGUMENTS) {
    return { wanted: `has ${text.length} characters, it must have at most ${MAX_ARGUMENTS}` };
  }
  if (text.trim() === "") return { value: {} };
  const bytes = utf8(text);
  try {
    // What reads them, and a template that writes them out, go as deep as they are.
    yield* checkShape(bytes, JSON_LIMITS);
  } catch {
    return {
      wanted:
        `must not nest deeper than ${JSON_LIMITS.depth} levels, nor have ${JSON_LIMITS.values} values`,
    };
  }
  try {
    const value = yield* parseJson(bytes);
    if (isObject(value)) return { value };
  } catch {
    // Below: the parser's own message would quote the text.
  }
  // A call that was cut off comes back with the history.
  if (isBeginning(text)) return { value: yield* wholeOf(text) };
  return { wanted: "must be a JSON object in a string" };
}

/** The members of an object's beginning that are whole. */
function* wholeOf(text: string): Work<Arguments> {
  const whole: [string, unknown][] = [];
  for (const [name, member] of topMembers(text)) {
    if (!member.whole) continue;
    const value = yield* lenientValue(member.text);
    if (value !== undefined) whole.push([name, value]);
    yield;
  }
  return Object.fromEntries(whole);
}

/** As what reads replies does, a value with line breaks and tabs as such in its strings is one. */
function* lenientValue(text: string): Work<unknown> {
  for (const write of [String, escapeControls]) {
    try {
      return yield* parseJson(utf8(write(text)));
    } catch {
      // The other way, or none.
    }
  }
}
