/** Calls in Gemma's own notation: `call:NAME{key:value, …}`, text between marks of its own. */
import { exactText } from "../exact_json.ts";
import { type Draft, DraftText } from "./draft.ts";
import type { Calls } from "./json_calls.ts";
import type { Reading, Source } from "./source.ts";
import { bareJson, lenientJson, type Tools } from "./tools.ts";
import { Cut, MAX_DEPTH, WRONG } from "./values.ts";

/** What is around the notation's texts, and closes a call. */
interface GemmaMarks {
  readonly quote: string;
  readonly close: string;
}

/** One call, up to its closing brace. */
export function* gemmaCall(source: Source, tools: Tools, marks: GemmaMarks): Reading<Calls> {
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
  const value = yield* gemmaValue(source, marks, 0, draft);
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
  marks: GemmaMarks,
  depth: number,
  into: LateDraft,
): Reading<unknown> {
  yield* source.space();
  if (depth > MAX_DEPTH) return WRONG;
  if (yield* source.skip(marks.quote)) {
    return yield* gemmaText(source, marks, depth, into);
  }
  const next = yield* source.peek();
  if ((next === '"' || next === "'") && into.quotes > 0) {
    const text = yield* quotedText(source, next, marks.quote);
    if (text !== undefined) {
      into.add(JSON.stringify(text));
      return text;
    }
    into.quotes--;
  }
  if (yield* source.skip("{")) return yield* gemmaObject(source, marks, depth, into);
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
      const item = yield* gemmaValue(source, marks, depth + 1, into);
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

/** A text up to its mark. At the end of a reply models leave that out: it then ends in front of the brackets that are open. */
function* gemmaText(
  source: Source,
  { quote, close }: GemmaMarks,
  depth: number,
  into: LateDraft,
): Reading<unknown> {
  const text = new DraftText(into.begin());
  let brackets = "";
  const each = (more: string) => {
    const all = brackets + more;
    brackets = /[}\]]*$/.exec(all.slice(-MAX_DEPTH))![0];
    text.add(all.slice(0, all.length - brackets.length));
    if (brackets === "") source.drafted();
  };
  for (;;) {
    const { closed } = yield* source.until([quote, close], true, each);
    if (!closed) {
      text.add(brackets);
      return new Cut();
    }
    if (yield* source.skip(quote)) break;
    const before = source.position;
    yield* source.skip(close);
    if (brackets.length >= depth && (yield* source.peek()) === undefined && !source.cut) {
      text.add(brackets.slice(0, brackets.length - depth));
      source.rewind(before - depth);
      source.drafted();
      return text.end();
    }
    each(close);
  }
  text.add(brackets);
  source.drafted();
  return text.end();
}

const MAX_SLASHES = 64;

/** A text in quotes as JSON or Python has them, if a value can end behind it; else nothing is consumed. */
function* quotedText(source: Source, sign: string, quote: string): Reading<string | undefined> {
  const start = source.position;
  let text = "";
  yield* source.skip(sign);
  for (;;) {
    const passage = yield* source.until([sign]);
    text += passage.text;
    if (!passage.closed) break;
    if (/\\*$/.exec(passage.text.slice(-MAX_SLASHES))![0].length % 2 === 1) {
      text += sign;
      continue;
    }
    yield* source.skip(quote);
    yield* source.space();
    const next = yield* source.peek();
    if (next === undefined || !",}]".includes(next)) break;
    const json = sign === '"' ? lenientJson(`"${text}"`) : undefined;
    return typeof json === "string" ? json : text.replaceAll(`\\${sign}`, sign);
  }
  source.rewind(start);
  return undefined;
}

function* gemmaObject(
  source: Source,
  marks: GemmaMarks,
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
    const quoted = yield* source.skip(marks.quote);
    const read = yield* source.until([quoted ? marks.quote : ":"]);
    if (!read.closed) return new Cut();
    if (quoted) yield* source.skip(":");
    const key = read.text.trim();
    into.add(`${entries.length > 0 ? "," : ""}${JSON.stringify(key)}:`);
    const value = yield* gemmaValue(source, marks, depth + 1, into);
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
  /** Quotes that may yet turn out to be none: each is looked for twice. */
  quotes = 8;

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
