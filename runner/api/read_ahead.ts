/**
 * Parts of a request that may be long, read in turns before the rest of it is, which is read in one piece: what an earlier reply's
 * tools found, as text, and the tokens of a `context`.
 */
import { runAtOnce, type Work } from "../../src/budget.ts";
import { writeJson } from "../json_work.ts";
import type { Fields } from "./fields.ts";

/** Tokens that are looked at between two places to yield. */
const TOKENS_PER_YIELD = 4096;

/** Tokens of a `context`, and the largest of them; -1: there is none. */
interface Tokens {
  readonly ids: Int32Array;
  readonly largest: number;
}

const results = new WeakMap<object, string>();
/** undefined: it holds something that is no token. */
const contexts = new WeakMap<object, Tokens | undefined>();

/** Reads what {@link resultText} and {@link contextTokens} are asked for. What is wrong in any way is said there. */
export function* readAhead(body: Fields): Work<void> {
  for (const list of [body.raw("messages"), body.raw("input")]) {
    if (!Array.isArray(list)) continue;
    for (const item of list) {
      yield* note(item?.outputs);
      if (!Array.isArray(item?.content)) continue;
      for (const block of item.content) {
        const { type, content } = block ?? {};
        if (typeof type === "string" && type.endsWith("_tool_result")) yield* note(content);
      }
    }
  }
  const context = body.raw("context");
  if (Array.isArray(context)) contexts.set(context, yield* tokensOf(context));
}

function* note(value: unknown): Work<void> {
  if (typeof value !== "object" || value === null) return;
  results.set(value, yield* textOf(value));
  yield;
}

function* textOf(value: object): Work<string> {
  return (yield* writeJson(value, isForServer)).join("");
}

/** What only a provider's own server can read. */
function isForServer(name: string): boolean {
  return name.startsWith("encrypted_");
}

/** A value of a request as JSON, without what only a provider's server can read. */
export function resultText(value: object): string {
  return results.get(value) ?? runAtOnce(textOf(value));
}

/** The tokens of an array; undefined: it holds something else than whole numbers of 0 and more. */
export function contextTokens(list: readonly unknown[]): Tokens | undefined {
  return contexts.has(list) ? contexts.get(list) : runAtOnce(tokensOf(list));
}

function* tokensOf(list: readonly unknown[]): Work<Tokens | undefined> {
  const ids = new Int32Array(list.length);
  let largest = -1;
  for (let at = 0; at < list.length; at++) {
    const id = list[at];
    if (typeof id !== "number") return undefined;
    ids[at] = id;
    // What is no number of 32 bits is another one there.
    if (ids[at] !== id || id < 0) return undefined;
    if (id > largest) largest = id;
    if (at % TOKENS_PER_YIELD === 0) yield;
  }
  return { ids, largest };
}
