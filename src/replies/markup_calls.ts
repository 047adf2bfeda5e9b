/** Calls that are written as markup: a tag for the function, one for each parameter, whose value is bare text. */
import type { Calls } from "./json_calls.ts";
import { jsonArguments } from "./json_calls.ts";
import type { Reading, Source } from "./source.ts";
import type { ParsedCall, Tools } from "./tools.ts";

export interface MarkupShape {
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

/** Arguments as JSON text, still open. */
function openText(values: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(values).slice(0, -1);
}

/** One call after its opening tag's beginning was consumed: the name comes next. */
export function* markupCall(source: Source, tools: Tools, shape: MarkupShape): Reading<Calls> {
  const { text, closed } = yield* source.until([shape.open[1]]);
  const name = text.trim().replace(/^["']|["']$/g, "");
  if (!closed) return source.cut && tools.hasPrefix(name) ? [] : undefined;
  if (!tools.has(name)) return undefined;
  yield* source.space();
  if ((yield* source.peek()) === "{") {
    const call = yield* jsonArguments(source, name);
    yield* source.space();
    yield* source.skip(shape.close);
    return call;
  }
  const values: Record<string, unknown> = {};
  for (;;) {
    yield* source.space();
    if (yield* source.skip(shape.close)) return [{ name, arguments: values }];
    if (!(yield* source.skip(shape.parameter[0]))) {
      const over = (yield* source.peek()) === undefined || source.cut;
      if (over && source.cut) return [{ name, arguments: values, partial: openText(values) }];
      // Models leave the function's closing tag out.
      return [{ name, arguments: values }];
    }
    const parameter = yield* parameterValue(source, tools, name, shape);
    if (parameter === undefined) {
      return source.cut ? [{ name, arguments: values, partial: openText(values) }] : undefined;
    }
    if (parameter.cut) return [cutCall(name, values, parameter.key, parameter.value)];
    values[parameter.key] = parameter.value;
  }
}

/** The last value goes on as text; the arguments are those before it. */
function cutCall(
  name: string,
  values: Record<string, unknown>,
  key: string,
  value: unknown,
): ParsedCall {
  const text = openText({ ...values, [key]: value });
  return { name, arguments: values, partial: typeof value === "string" ? text.slice(0, -1) : text };
}

function* parameterValue(
  source: Source,
  tools: Tools,
  name: string,
  shape: MarkupShape,
): Reading<{ key: string; value: unknown; cut: boolean } | undefined> {
  const head = yield* source.until([shape.parameter[1].slice(-1)]);
  if (!head.closed) return undefined;
  // DeepSeek says whether the value is text: `name="city" string="true"`.
  const [, key = head.text, attributes = ""] = /^([^"\s]+)"?(.*)$/s.exec(head.text.trim()) ?? [];
  const { text, closed } = yield* valueText(source, shape);
  const value = shape.trim ? text.replace(/^\n/, "").replace(closed ? /\n$/ : /$^/, "") : text;
  if (!closed && !source.cut) return undefined;
  const isText = /string="true"/.test(attributes);
  return {
    key,
    value: isText || (!closed && source.cut) ? value : tools.valueOf(name, key, value),
    cut: !closed,
  };
}

/**
 * Up to the closing tag after which the call goes on as a call does: with another parameter, or the function's end. A value may
 * hold any of these tags as text.
 */
function* valueText(
  source: Source,
  shape: MarkupShape,
): Reading<{ text: string; closed: boolean }> {
  let text = "";
  for (;;) {
    const passage = yield* source.until([shape.parameterClose]);
    text += passage.text;
    if (!passage.closed) return { text, closed: false };
    const space = yield* source.takeWhile((char) => /\s/.test(char));
    if ((yield* source.peek()) === undefined) return { text, closed: true };
    if (yield* source.ahead(shape.parameter[0])) return { text, closed: true };
    if (yield* source.ahead(shape.close)) return { text, closed: true };
    // Where the function's own tag is left out, what is around the call ends.
    if (space.includes("\n") && (yield* source.ahead("</"))) return { text, closed: true };
    text += shape.parameterClose + space;
  }
}

const ARG_KEY = "<arg_key>";

/** GLM: the name, then pairs of `<arg_key>` and `<arg_value>`, up to `close`. */
export function* argKeyCall(source: Source, tools: Tools, close: string): Reading<Calls> {
  const { text, closed } = yield* source.until([ARG_KEY, close], true);
  const name = text.trim();
  if (!closed && !(source.cut && (tools.hasPrefix(name) || tools.has(name)))) {
    return tools.has(name) ? [{ name, arguments: {} }] : undefined;
  }
  if (!closed) return tools.has(name) ? [{ name, arguments: {}, partial: "{" }] : [];
  if (!tools.has(name)) return undefined;
  const values: Record<string, unknown> = {};
  for (;;) {
    yield* source.space();
    if (!(yield* source.skip(ARG_KEY))) {
      const over = (yield* source.peek()) === undefined;
      return [{
        name,
        arguments: values,
        ...(over && source.cut ? { partial: openText(values) } : {}),
      }];
    }
    const key = yield* source.until(["</arg_key>"]);
    yield* source.space();
    const opened = key.closed && (yield* source.skip("<arg_value>"));
    if (!opened) {
      return source.cut ? [{ name, arguments: values, partial: openText(values) }] : undefined;
    }
    const value = yield* argValue(source, close);
    if (!value.closed) {
      if (!source.cut) return undefined;
      return [cutCall(name, values, key.text.trim(), value.text)];
    }
    values[key.text.trim()] = tools.valueOf(name, key.text.trim(), value.text);
  }
}

function* argValue(source: Source, close: string): Reading<{ text: string; closed: boolean }> {
  let text = "";
  for (;;) {
    const passage = yield* source.until(["</arg_value>"]);
    text += passage.text;
    if (!passage.closed) return { text, closed: false };
    const space = yield* source.takeWhile((char) => /\s/.test(char));
    const ends = (yield* source.peek()) === undefined || (yield* source.ahead(ARG_KEY)) ||
      (yield* source.ahead(close));
    if (ends) return { text, closed: true };
    text += `</arg_value>${space}`;
  }
}
