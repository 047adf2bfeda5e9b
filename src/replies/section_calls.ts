/** Calls in a section of tags of their own, each with a head that names the tool: Kimi's and DeepSeek's. */
import { type Calls, jsonArguments } from "./json_calls.ts";
import type { Passage, Reading, Source } from "./source.ts";
import { repeated, type Syntax } from "./syntax.ts";
import type { Tools } from "./tools.ts";

/** What stands in front of one of the tags: a short text. */
function* head(source: Source, stops: readonly string[]): Reading<Passage> {
  let text = "";
  for (;;) {
    text += yield* source.takeWhile((char) => char !== "<" && text.length < MAX_HEAD);
    if ((yield* source.skipOne(stops)) !== undefined) return { text, closed: true };
    // A name may have such a character as well.
    if (text.length >= MAX_HEAD || !(yield* source.skip("<"))) return { text, closed: false };
    text += "<";
  }
}
const MAX_HEAD = 1024;

/** `functions.NAME:0`, then JSON. */
function* kimiCall(source: Source, tools: Tools): Reading<Calls> {
  const { text, closed } = yield* head(source, ["<|tool_call_argument_begin|>"]);
  const id = text.trim();
  const name = [...namesIn(id)].find((one) => tools.has(one));
  if (!closed) return (yield* source.peek()) === undefined && source.cut ? [] : undefined;
  if (name === undefined) return undefined;
  const calls = yield* jsonArguments(source, name, tools);
  yield* source.space();
  yield* source.skip("<|tool_call_end|>");
  return calls;
}

function* namesIn(id: string): Generator<string> {
  const withoutIndex = id.replace(/:\d+$/, "");
  yield withoutIndex.replace(/^functions\./, "");
  yield withoutIndex;
  yield id;
}

export const KIMI: Syntax = {
  open: "<|tool_calls_section_begin|>",
  read: (source, tools) =>
    repeated(source, ["<|tool_calls_section_end|>"], function* () {
      if (!(yield* source.skip("<|tool_call_begin|>"))) {
        return (yield* source.peek()) === undefined && source.cut ? [] : undefined;
      }
      return yield* kimiCall(source, tools);
    }),
};

const DEEPSEEK_CALL = ["<｜tool▁call▁begin｜>", "<｜tool_call_begin｜>"];
const DEEPSEEK_END = ["<｜tool▁call▁end｜>", "<｜tool_call_end｜>"];
const DEEPSEEK_SEPARATOR = ["<｜tool▁sep｜>", "<｜tool_sep｜>"];

/** V3 and R1: `function<sep>NAME`, JSON in a fence. V3.1: `NAME<sep>{…}`. */
function* deepSeekCall(source: Source, tools: Tools): Reading<Calls> {
  const kind = yield* head(source, DEEPSEEK_SEPARATOR);
  if (!kind.closed) return (yield* source.peek()) === undefined && source.cut ? [] : undefined;
  let name = kind.text.trim();
  if (name === "function" && !tools.has(name)) {
    const line = yield* source.name(tools, ["\n", "{", "```"], true);
    if (!line.closed) return (yield* source.peek()) === undefined && source.cut ? [] : undefined;
    name = line.text.trim();
  }
  if (!tools.has(name)) return undefined;
  yield* source.space();
  yield* source.skipOne(["```json", "```"]);
  const calls = yield* jsonArguments(source, name, tools);
  if (calls === undefined) return undefined;
  yield* source.space();
  yield* source.skip("```");
  yield* source.space();
  yield* source.skipOne(DEEPSEEK_END);
  return calls;
}

export function deepSeek(open: string, close: string): Syntax {
  return {
    open,
    read: (source, tools) =>
      repeated(source, [close], function* () {
        if ((yield* source.skipOne(DEEPSEEK_CALL)) === undefined) {
          return (yield* source.peek()) === undefined && source.cut ? [] : undefined;
        }
        return yield* deepSeekCall(source, tools);
      }),
  };
}
