/** Calls in Gemma's own notation: `call:NAME{key:value, …}`, text between marks of its own. */
import { exactText } from "../exact_json.ts";
import { type Draft, DraftText } from "./draft.ts";
import type { Calls } from "./json_calls.ts";
import type { Reading, Source } from "./source.ts";
import { bareJson, type Tools } from "./tools.ts";
import { Cut, MAX_DEPTH, WRONG } from "./values.ts";

/** One call, up to its closing brace. */
export function* gemmaCall(source: Source, tools: Tools, quote: string): Reading<Calls> {
  yield* source.space();
  const ended = function* (): Reading<boolean> {
    return (yield* source.peek()) === undefined && source.cut;
  };
  if (!(yield* source.skip("call:"))) return (yield* ended()) ? [] : undefined;
  const { text, closed } = yield* source.name(tools, ["{"], true);
  const name = text.trim();
  if (!closed) return (yield* ended()) && tools.hasPrefix(name) ? [] : undefined;
  if (!tools.has(name)) return undefined;
  const draft = new LateDraft(() => source.draft(name));
  const value = yield* gemmaValue(source, quote, 0, draft);
  if (value === WRONG) return undefined;
  const begun = draft.draft;
  if (value instanceof Cut) {
    if (!source.cut) return undefined;
    return begun === undefined ? [{ name, arguments: {}, partial: "" }] : [];
  }
  if (begun === undefined) return [{ name, arguments: value as Record<string, unknown> }];
  begun.finish();
  source.drafted();
  return [];
}

function* gemmaValue(
  source: Source,
  quote: string,
  depth: number,
  into: LateDraft,
): Reading<unknown> {
  yield* source.space();
  if (depth > MAX_DEPTH) return WRONG;
  if (yield* source.skip(quote)) {
    const text = new DraftText(into.begin());
    const { closed } = yield* source.until([quote], false, (more) => {
      text.add(more);
      source.drafted();
    });
    if (!closed) return new Cut();
    source.drafted();
    return text.end();
  }
  if (yield* source.skip("{")) return yield* gemmaObject(source, quote, depth, into);
  if (yield* source.skip("[")) {
    into.add("[");
    const items: unknown[] = [];
    for (;;) {
      yield* source.space();
      yield* source.skip(",");
      yield* source.space();
      if (yield* source.skip("]")) {
        into.add("]");
        return items;
      }
      if ((yield* source.peek()) === undefined) return new Cut();
      if (items.length > 0) into.add(",");
      const item = yield* gemmaValue(source, quote, depth + 1, into);
      if (item === WRONG || item instanceof Cut) return item;
      items.push(item);
    }
  }
  const { text, closed } = yield* source.until([",", "}", "]"], true);
  if (!closed) return new Cut();
  // Nothing at all is no value: in a list it would be found for ever.
  if (text.trim() === "") return WRONG;
  const parsed = bareJson(text.trim());
  const value = parsed === undefined ? text.trim() : parsed;
  into.add(exactText(value));
  return value;
}

function* gemmaObject(
  source: Source,
  quote: string,
  depth: number,
  into: LateDraft,
): Reading<unknown> {
  const entries: [key: string, value: unknown][] = [];
  into.add("{");
  for (;;) {
    yield* source.space();
    yield* source.skip(",");
    yield* source.space();
    if (yield* source.skip("}")) {
      into.add("}");
      return Object.fromEntries(entries);
    }
    const quoted = yield* source.skip(quote);
    const read = yield* source.until([quoted ? quote : ":"]);
    if (!read.closed) return new Cut();
    if (quoted) yield* source.skip(":");
    const key = read.text.trim();
    into.add(`${entries.length > 0 ? "," : ""}${JSON.stringify(key)}:`);
    const value = yield* gemmaValue(source, quote, depth + 1, into);
    if (value === WRONG || value instanceof Cut) return value;
    entries.push([key, value]);
  }
}

/** What is written before the first text waits: until then it may turn out to be no call. */
class LateDraft {
  readonly #make: () => Draft | undefined;
  #waiting: string[] = [];
  #draft: Draft | undefined;
  #begun = false;

  constructor(make: () => Draft | undefined) {
    this.#make = make;
  }

  get draft(): Draft | undefined {
    return this.#draft;
  }

  add(json: string): void {
    if (this.#begun) this.#draft?.add(json);
    else this.#waiting.push(json);
  }

  begin(): Draft | undefined {
    if (!this.#begun) {
      this.#begun = true;
      this.#draft = this.#make();
      this.#draft?.add(this.#waiting.join(""));
    }
    return this.#draft;
  }
}
