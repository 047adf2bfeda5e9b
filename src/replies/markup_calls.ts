/** Calls that are written as markup: a tag for the function, one for each parameter, whose value is bare text. */
import { exactText } from "../exact_json.ts";
import { type Draft, DraftText } from "./draft.ts";
import type { Calls } from "./json_calls.ts";
import { jsonArguments } from "./json_calls.ts";
import type { Reading, Source } from "./source.ts";
import type { ParsedCall, Tools } from "./tools.ts";

interface MarkupShape {
  /** Around one call: `<function=NAME>` … `</function>`. */
  readonly open: readonly [before: string, after: string];
  readonly close: string;
  /** Around one value: `<parameter=NAME>` … `</parameter>`. */
  readonly parameter: readonly [before: string, after: string];
  readonly parameterClose: string;
  /** One line break at each end of a value belongs to the tags. */
  readonly trim: boolean;
}

export const FUNCTION_TAGS: MarkupShape = {
  open: ["<function=", ">"],
  close: "</function>",
  parameter: ["<parameter=", ">"],
  parameterClose: "</parameter>",
  trim: true,
};

/** Seed-OSS: a value stands between its tags as it is. */
export const SEED_TAGS: MarkupShape = { ...FUNCTION_TAGS, trim: false };

export const INVOKE_TAGS: MarkupShape = {
  open: ['<invoke name="', '">'],
  close: "</invoke>",
  parameter: ['<parameter name="', '">'],
  parameterClose: "</parameter>",
  trim: false,
};

export const DSML_TAGS: MarkupShape = {
  open: ['<｜DSML｜invoke name="', '">'],
  close: "</｜DSML｜invoke>",
  parameter: ['<｜DSML｜parameter name="', '">'],
  parameterClose: "</｜DSML｜parameter>",
  trim: false,
};

/** One call after its opening tag's beginning was consumed: the name comes next. */
export function* markupCall(source: Source, tools: Tools, shape: MarkupShape): Reading<Calls> {
  const { text, closed } = yield* source.name(tools, [shape.open[1]]);
  const called = text.trim().replace(/^["']|["']$/g, "");
  if (!closed) {
    const isCut = (yield* source.peek()) === undefined && source.cut;
    return isCut && tools.hasPrefix(called) ? [] : undefined;
  }
  if (!tools.has(called)) return undefined;
  yield* source.space();
  if ((yield* source.peek()) === "{") {
    const call = yield* jsonArguments(source, called, tools);
    yield* source.space();
    yield* source.skip(shape.close);
    return call;
  }
  const members = new Members(source, tools, called);
  for (;;) {
    yield* source.space();
    if (yield* source.skip(shape.close)) return members.end();
    if (!(yield* source.skip(shape.parameter[0]))) {
      // Models leave the function's closing tag out.
      return source.cutWithin(shape.parameter[0], shape.close) ? members.cut() : members.end();
    }
    const head = yield* source.until([shape.parameter[1].slice(-1)]);
    if (!head.closed) return source.cut ? members.cut() : undefined;
    const [key, attributes] = keyOf(head.text.trim(), shape);
    const value = members.begin(key, /string="true"/.test(attributes), shape.trim);
    const ends = function* (space: string) {
      if (yield* source.ahead(shape.parameter[0])) return true;
      if (yield* source.ahead(shape.close)) return true;
      // Where the function's own tag is left out, what is around the call ends.
      return space.includes("\n") && (yield* source.ahead("</"));
    };
    const closes: [string, ...string[]] = [shape.parameterClose, shape.close, ...AROUND];
    if (!(yield* valueText(source, value, closes, ends))) {
      return source.cut ? members.cut() : undefined;
    }
    members.take(key, value);
  }
}

/** A parameter's name, and what is said of it: DeepSeek says whether it is text, by `name="city" string="true"`. */
function keyOf(head: string, { parameter }: MarkupShape): [key: string, attributes: string] {
  if (!parameter[0].endsWith('"')) return [/^(["'])(.+)\1$/.exec(head)?.[2] ?? head, ""];
  const [, key = head, attributes = ""] = /^([^"]+)"?(.*)$/s.exec(head) ?? [];
  return [key, attributes];
}

/** What closes a call, around the tags of its function. */
const AROUND = ["</tool_call>", "</minimax:tool_call>", "</seed:tool_call>"];

/**
 * Reads up to the closing tag after which the call goes on as a call does: a value may hold any tag as text.
 * @param closes The value's own first, then those around it: models leave the value's out at the end of a reply.
 * @returns Whether it was found.
 */
function* valueText(
  source: Source,
  value: Value,
  [close, ...outer]: readonly [string, ...string[]],
  ends: (space: string) => Reading<boolean>,
): Reading<boolean> {
  const each = (text: string) => value.add(text);
  for (;;) {
    const passage = yield* source.until([close, ...outer], true, each);
    if (!passage.closed) return false;
    if (yield* source.skip(close)) {
      const space = yield* source.takeWhile((char) => /\s/.test(char));
      if ((yield* source.peek()) === undefined || (yield* ends(space))) return true;
      if (source.endsWithin(...outer)) return true;
      each(close + space);
      continue;
    }
    let passed = "";
    for (let tag; (tag = yield* source.skipOne(outer)) !== undefined;) {
      passed += tag + (yield* source.takeWhile((char) => /\s/.test(char)));
    }
    if ((yield* source.peek()) === undefined && !source.cut) return true;
    each(passed);
  }
}

/** The arguments of one call, member by member: as a draft if that can be. */
class Members {
  readonly #source: Source;
  readonly #tools: Tools;
  readonly #name: string;
  #draft: Draft | undefined;
  /** Where there is no draft. */
  readonly #values: [key: string, value: unknown][] = [];

  constructor(source: Source, tools: Tools, name: string) {
    this.#source = source;
    this.#tools = tools;
    this.#name = name;
  }

  /** Begins a member, whose value is read next. */
  begin(key: string, isText: boolean, trim: boolean): Value {
    if (this.#values.length === 0) this.#draft ??= this.#source.draft(this.#name);
    this.#draft?.key(key);
    this.#source.drafted();
    const isShown = isText || this.#tools.isText(this.#name, key);
    return new Value(this.#source, trim, isShown ? new DraftText(this.#draft) : undefined);
  }

  /** Ends it. */
  take(key: string, read: Value): void {
    const text = read.end();
    const value = read.isShown ? text : this.#tools.valueOf(this.#name, key, text);
    if (!read.isShown) this.#draft?.add(exactText(value));
    this.#source.drafted();
    if (this.#draft === undefined) this.#values.push([key, value]);
  }

  end(): ParsedCall[] {
    if (this.#draft === undefined) {
      return [{ name: this.#name, arguments: Object.fromEntries(this.#values) }];
    }
    this.#draft.close();
    this.#source.drafted();
    return [];
  }

  cut(): ParsedCall[] {
    if (this.#draft !== undefined) return [];
    const values = Object.fromEntries(this.#values);
    return [{ name: this.#name, arguments: values, partial: exactText(values).slice(0, -1) }];
  }
}

/** A value's text as it comes. `trim`: a line break at each end belongs to the tags. */
class Value {
  readonly #source: Source;
  readonly #trim: boolean;
  readonly #shown: DraftText | undefined;
  readonly #parts: string[] = [];
  #begun = false;
  #held = "";

  constructor(source: Source, trim: boolean, shown: DraftText | undefined) {
    this.#source = source;
    this.#trim = trim;
    this.#shown = shown;
  }

  /** It is text whatever it says, so that it can be shown as it comes. */
  get isShown(): boolean {
    return this.#shown !== undefined;
  }

  add(text: string): void {
    if (text === "") return;
    const isFirst = !this.#begun;
    this.#begun = true;
    if (!this.#trim) return this.#pass(text);
    const all = this.#held + (isFirst && text[0] === "\n" ? text.slice(1) : text);
    this.#held = all.endsWith("\n") ? "\n" : "";
    this.#pass(all.slice(0, all.length - this.#held.length));
  }

  end(): string {
    return this.#shown?.end() ?? this.#parts.join("");
  }

  #pass(text: string): void {
    if (this.#shown === undefined) this.#parts.push(text);
    else {
      this.#shown.add(text);
      this.#source.drafted();
    }
  }
}

const ARG_KEY = "<arg_key>";

/** GLM: the name, then pairs of `<arg_key>` and `<arg_value>`, up to `close`. */
export function* argKeyCall(source: Source, tools: Tools, close: string): Reading<Calls> {
  const { text, closed } = yield* source.name(tools, [ARG_KEY, close], true);
  const called = text.trim();
  if (!closed) {
    if ((yield* source.peek()) !== undefined) return undefined;
    if (tools.has(called)) {
      return [{ name: called, arguments: {}, ...(source.cut ? { partial: "{" } : {}) }];
    }
    return source.cut && tools.hasPrefix(called) ? [] : undefined;
  }
  if (!tools.has(called)) return undefined;
  const members = new Members(source, tools, called);
  for (;;) {
    yield* source.space();
    if (!(yield* source.skip(ARG_KEY))) {
      return source.cutWithin(ARG_KEY, close) ? members.cut() : members.end();
    }
    const key = yield* source.until(["</arg_key>"]);
    yield* source.space();
    // Models leave the opening tag out.
    const next = key.closed && !(yield* source.skip("<arg_value>")) ? yield* source.peek() : "";
    if (!key.closed || next === undefined || next === "<") {
      return source.cut ? members.cut() : undefined;
    }
    const value = members.begin(key.text.trim(), false, false);
    const ends = function* () {
      return (yield* source.ahead(ARG_KEY)) || (yield* source.ahead(close));
    };
    if (!(yield* valueText(source, value, ["</arg_value>", close], ends))) {
      return source.cut ? members.cut() : undefined;
    }
    members.take(key.text.trim(), value);
  }
}
