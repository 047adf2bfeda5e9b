/**
 * How models write tool calls. Each way is known by what opens it; many models share one. What opens like a call but names no
 * tool of the request, or is not written as a call, is text.
 */
import { type Calls, jsonArguments, jsonCalls } from "./json_calls.ts";
import { DraftText } from "./draft.ts";
import {
  argKeyCall,
  DSML_TAGS,
  FUNCTION_TAGS,
  INVOKE_TAGS,
  markupCall,
  SEED_TAGS,
} from "./markup_calls.ts";
import { gemmaCall } from "./gemma_calls.ts";
import { pythonCall, pythonList } from "./pythonic_calls.ts";
import type { Reading, Source } from "./source.ts";
import { deepSeek, KIMI } from "./section_calls.ts";
import { repeated, type Syntax } from "./syntax.ts";
import { lenientJson, type Tools } from "./tools.ts";
import { isObject } from "./values.ts";

/** JSON objects or lists between tags. */
function json(open: string, close: string): Syntax {
  return {
    open,
    read: (source, tools) => repeated(source, [close], () => jsonCalls(source, tools)),
  };
}

/** Only one JSON value, and no closing tag that must come. */
function* oneJson(source: Source, tools: Tools, close: string): Reading<Calls> {
  yield* source.space();
  const next = yield* source.peek();
  if (next !== "{" && next !== "[") return next === undefined && source.cut ? [] : undefined;
  const calls = yield* jsonCalls(source, tools);
  if (calls === undefined) return undefined;
  yield* source.space();
  yield* source.skip(close);
  return calls;
}

/** Hermes' and Qwen's JSON, Qwen3-Coder's markup, GLM's pairs: all between the same tags. */
const TOOL_CALL: Syntax = {
  open: "<tool_call>",
  *read(source, tools) {
    const close = "</tool_call>";
    yield* source.space();
    const next = yield* source.peek();
    if (next === undefined) return source.cut ? [] : undefined;
    if (next === "{" || next === "[") return yield* oneJson(source, tools, close);
    if (next === "<" && (yield* source.ahead(FUNCTION_TAGS.open[0]))) {
      return yield* functions(source, tools, close);
    }
    const calls = yield* argKeyCall(source, tools, close);
    if (calls === undefined) return undefined;
    yield* source.space();
    yield* source.skip(close);
    return calls;
  },
};

function* functions(
  source: Source,
  tools: Tools,
  close: string,
  shape = FUNCTION_TAGS,
): Reading<Calls> {
  return yield* repeated(source, [close], function* () {
    if (!(yield* source.skip(FUNCTION_TAGS.open[0]))) {
      return (yield* source.peek()) === undefined && source.cut ? [] : undefined;
    }
    return yield* markupCall(source, tools, shape);
  });
}

function invokes(open: string, close: string, shape: typeof INVOKE_TAGS): Syntax {
  return {
    open,
    read: (source, tools) =>
      repeated(source, [close], function* () {
        if (!(yield* source.skip(shape.open[0]))) {
          return (yield* source.peek()) === undefined && source.cut ? [] : undefined;
        }
        return yield* markupCall(source, tools, shape);
      }),
  };
}

const MISTRAL: Syntax = {
  open: "[TOOL_CALLS]",
  *read(source, tools) {
    yield* source.space();
    const next = yield* source.peek();
    if (next === undefined) return source.cut ? [] : undefined;
    if (next === "[" || next === "{") return yield* jsonCalls(source, tools);
    const { text, closed } = yield* source.name(tools, ["[CALL_ID]", "[ARGS]", "{"], true);
    const name = text.trim();
    if (!closed) {
      const isCut = (yield* source.peek()) === undefined && source.cut;
      return isCut && tools.hasPrefix(name) ? [] : undefined;
    }
    if (!tools.has(name)) return undefined;
    if (yield* source.skip("[CALL_ID]")) yield* source.takeWhile((char) => /[\w-]/.test(char));
    yield* source.skip("[ARGS]");
    return yield* jsonArguments(source, name, tools);
  },
};

/** Llama 3.1: JSON, a built-in tool's `name.call(…)`, or the code for an interpreter. */
const PYTHON_TAG: Syntax = {
  open: "<|python_tag|>",
  *read(source, tools) {
    yield* source.space();
    if ((yield* source.peek()) === "{") {
      return yield* repeated(source, [], () => jsonCalls(source, tools));
    }
    const name = INTERPRETERS.find((one) => tools.has(one));
    const word = yield* source.takeWhile((char) => /[\w-]/.test(char));
    const isCode = !(yield* source.ahead(BUILT_IN)) && !BUILT_IN.startsWith(source.rest);
    if (isCode && name !== undefined) return yield* interpreted(source, tools, name, word);
    const code = word + (yield* source.toEnd());
    // The name of a tool may only have begun, or its JSON.
    if (source.cut && (code === "" || tools.hasPrefix(code.split(".")[0]!))) return [];
    const builtIn = /^([\w-]+)\.call\((.*)\)\s*$/s.exec(code);
    if (builtIn !== null && tools.has(builtIn[1]!)) {
      const values = [...builtIn[2]!.matchAll(ARGUMENT)].map((
        [, key, value],
      ) => [key!, lenientJson(value!) ?? value]);
      return [{ name: builtIn[1]!, arguments: Object.fromEntries(values) }];
    }
    if (name === undefined) return source.cut ? [] : undefined;
    const key = tools.parameters(name)[0] ?? "code";
    const partial = source.cut ? { partial: JSON.stringify({ [key]: code }).slice(0, -2) } : {};
    return [{ name, arguments: { [key]: code }, ...partial }];
  },
};

/** Everything to the end of the reply is code, of which `word` was read already. */
function* interpreted(source: Source, tools: Tools, name: string, word: string): Reading<Calls> {
  const draft = source.draft(name)!;
  draft.key(tools.parameters(name)[0] ?? "code");
  const code = new DraftText(draft);
  code.add(word);
  for (;;) {
    code.add(source.more());
    source.drafted();
    if ((yield* source.peek()) === undefined) break;
  }
  if (source.cut) return [];
  code.end();
  draft.close();
  return [];
}
const BUILT_IN = ".call(";
/** `key=value`. Looked for where a word begins: within one, it would be looked for as often as the word is long. */
const ARGUMENT = /(?<!\w)(\w+)\s*=\s*("[^"\\]*(?:\\.[^"\\]*)*"|[^,\s]+)/g;
const INTERPRETERS = ["python", "ipython", "code_interpreter"];

function python(open: string, close: string): Syntax {
  return {
    open,
    *read(source, tools) {
      return yield* repeated(source, [close], function* () {
        const next = yield* source.peek();
        if (next === "[") {
          yield* source.space();
          return yield* pythonOrJsonList(source, tools);
        }
        return next === "{" ? yield* jsonCalls(source, tools) : yield* pythonCall(source, tools);
      });
    },
  };
}

/** `[name(…)]` or `[{…}]`, the bracket not consumed yet. */
function* pythonOrJsonList(source: Source, tools: Tools): Reading<Calls> {
  for (const json of ["[{", "[ {", "[\n{"]) {
    if (yield* source.ahead(json)) return yield* jsonCalls(source, tools);
  }
  return yield* pythonList(source, tools);
}

function gemma(open: string, close: string, quote: string): Syntax {
  return {
    open,
    *read(source, tools) {
      const calls = yield* gemmaCall(source, tools, { quote, close });
      if (calls !== undefined) yield* source.skip(close);
      return calls;
    },
  };
}

/** `[{"NAME": {…}}, …]` */
const APERTUS: Syntax = {
  open: "<|tools_prefix|>",
  *read(source, tools) {
    yield* source.space();
    const calls = yield* jsonCalls(source, tools, {
      shape: "keyed",
      each: (one) => {
        const entry = isObject(one) ? Object.entries(one)[0] : undefined;
        return entry === undefined ? one : { name: entry[0], arguments: entry[1] };
      },
    });
    if (calls === undefined) return undefined;
    yield* source.space();
    yield* source.skip("<|tools_suffix|>");
    return calls;
  },
};

const INTERNLM: Syntax = {
  open: "<|action_start|>",
  *read(source, tools) {
    yield* source.space();
    yield* source.skip("<|plugin|>");
    return yield* oneJson(source, tools, "<|action_end|>");
  },
};

/** Llama 3.2's and functionary's, and Qwen3-Coder's where the tags around are left out. */
const FUNCTION: Syntax = {
  open: "<function=",
  *read(source, tools) {
    const calls = yield* markupCall(source, tools, FUNCTION_TAGS);
    if (calls !== undefined) {
      yield* source.space();
      yield* source.skip("</tool_call>");
    }
    return calls;
  },
};

/** Command R: a fenced list under a heading. `directly_answer` stands for no call. */
const ACTION: Syntax = {
  open: "Action: ```json",
  *read(source, tools) {
    yield* source.space();
    const calls = yield* jsonCalls(source, tools, {
      each: (one) =>
        isObject(one) && /^directly[-_]answer$/.test(String(one.tool_name)) ? undefined : one,
    });
    if (calls === undefined) return undefined;
    yield* source.space();
    yield* source.skip("```");
    return calls;
  },
};

/** Longer openings stand before those that they begin with. */
export const SYNTAXES: readonly Syntax[] = [
  TOOL_CALL,
  MISTRAL,
  PYTHON_TAG,
  KIMI,
  APERTUS,
  INTERNLM,
  ACTION,
  json("<tool_calls>", "</tool_calls>"),
  json("<TOOLCALL>", "</TOOLCALL>"),
  json("<toolcall>", "</toolcall>"),
  json("<|START_ACTION|>", "<|END_ACTION|>"),
  {
    open: "<|tool_call|>",
    read: (source, tools) => oneJson(source, tools, "<|/tool_call|>"),
  },
  {
    open: "functools",
    read: (source, tools) => oneJson(source, tools, ""),
  },
  gemma("<|tool_call>", "<tool_call|>", '<|"|>'),
  gemma("<start_function_call>", "<end_function_call>", "<escape>"),
  python("<|python_start|>", "<|python_end|>"),
  python("<|tool_call_start|>", "<|tool_call_end|>"),
  python("<function_calls>", "</function_calls>"),
  invokes("<minimax:tool_call>", "</minimax:tool_call>", INVOKE_TAGS),
  invokes("<｜DSML｜function_calls>", "</｜DSML｜function_calls>", DSML_TAGS),
  {
    open: "<seed:tool_call>",
    read: (source, tools) => functions(source, tools, "</seed:tool_call>", SEED_TAGS),
  },
  deepSeek("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
  deepSeek("<｜tool_calls_begin｜>", "<｜tool_calls_end｜>"),
  FUNCTION,
];

/** A bare JSON reply may be a call only if its first key is one of these. */
const FIRST_KEYS = ["name", "function", "type", "id", "parameters", "arguments", "tool_name"];

/** A reply, or what follows a call, that is nothing but JSON or Python: Llama 3, xLAM, Llama 4. */
export function* bareCalls(source: Source, tools: Tools): Reading<Calls> {
  if (yield* source.ahead("{")) {
    return (yield* mayBeCall(source, "{")) ? yield* jsonCalls(source, tools) : undefined;
  }
  for (const gap of ["[", "[\n", "[ ", "[\n  ", "[\n    "]) {
    if (!(yield* source.ahead(`${gap}{`))) continue;
    return (yield* mayBeCall(source, `${gap}{`)) ? yield* jsonCalls(source, tools) : undefined;
  }
  return yield* pythonList(source, tools);
}

/** Whether an object that begins here has a call's first key. Nothing is consumed. */
function* mayBeCall(source: Source, open: string): Reading<boolean> {
  for (const space of ["", " ", "\n", "\n  ", "\n    ", "\n        "]) {
    for (const key of FIRST_KEYS) {
      if (yield* source.ahead(`${open}${space}"${key}"`)) return true;
    }
  }
  return false;
}
