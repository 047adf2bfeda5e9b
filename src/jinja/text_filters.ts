/** Jinja2's filters on text. */
import { needInt, needText } from "./arguments.ts";
import { str } from "./convert.ts";
import { typeError, valueError } from "./errors.ts";
import { escapeHtml, escapeText } from "./escape.ts";
import {
  attributeGetter,
  type Filter,
  filter,
  type FilterEnv,
  filterError,
} from "./filter_types.ts";
import { stripTags } from "./html.ts";
import { SPACE } from "./lexer.ts";
import { getAttribute } from "./lookup.ts";
import { add } from "./operators.ts";
import { percentFormat } from "./percent_format.ts";
import { charged } from "./string_methods.ts";
import * as text from "./text.ts";
import { urlize } from "./urlize.ts";
import {
  codePointLength,
  Dict,
  each,
  lengthOf,
  listOf,
  Markup,
  PyObject,
  textOf,
  truthy,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";
import { wrap } from "./word_wrap.ts";

/** Text as it is, safe text too; of all else, `str`. */
function soft(value: Value, env: FilterEnv): string | Markup {
  return typeof value === "string" || value instanceof Markup ? value : str(value, env.costs);
}

/** The filter that is the method of that name. */
function byMethod(name: string, method: string, parameters: [string, Value][] = []): Filter {
  return filter(name, parameters, (value, given, env) => {
    const run = getAttribute(soft(value, env), method, env.costs) as PyObject;
    return run.call!({ positional: given, named: new Map() }, env.costs);
  });
}

const WORD_START = new RegExp(`([-${SPACE}({\\[<]+)`);

function titleWords(value: string): string {
  return value.split(WORD_START).filter((part) => part !== "").map((part) => {
    const [first = ""] = part;
    return first.toUpperCase() + part.slice(first.length).toLowerCase();
  }).join("");
}

function indent(value: Value, [width, first, blank]: Value[], env: FilterEnv): Value {
  const widthText = textOf(width!);
  const by = widthText ?? " ".repeat(bounded(width!, env));
  // Python adds a newline first, which must be text.
  const body = add(value, "\n", env.costs);
  const lines = text.splitLines(textOf(body)!, false);
  env.costs.charge(lines.length * (by.length + 1));
  let out = truthy(blank!)
    ? lines.join(`\n${by}`)
    : lines.map((line, index) => index === 0 || line === "" ? line : by + line).join("\n");
  if (truthy(first!)) out = by + out;
  return value instanceof Markup ? new Markup(out) : out;
}

/** A width that is counted before text of it is made. */
function bounded(width: Value, env: FilterEnv): number {
  const number = needInt(width);
  env.costs.charge(number);
  return Math.max(number, 0);
}

function truncate(value: Value, given: Value[], env: FilterEnv): Value {
  const [length, killWords, end, leeway] = given;
  const limit = needInt(length!);
  const mark = needText(end!);
  const extra = leeway === null ? 5 : needInt(leeway!);
  if (limit < codePointLength(mark)) {
    throw valueError(`expected length >= ${codePointLength(mark)}, got ${limit}`);
  }
  if (extra < 0) throw valueError(`expected leeway >= 0, got ${extra}`);
  if (lengthOf(value, env.costs) <= limit + extra) return value;
  const source = textOf(value);
  if (source === undefined) throw typeError("can only truncate str");
  const cut = text.between(source, 0, limit - codePointLength(mark));
  const kept = truthy(killWords!) ? cut : text.splitRight(cut, " ", 1)[0]!;
  return value instanceof Markup ? new Markup(kept + escapeText(mark)) : kept + mark;
}

function replace(value: Value, [old, by, limit]: Value[], env: FilterEnv): Value {
  const times = limit === null ? -1 : needInt(limit!);
  if (!env.autoescape) {
    const [source, from, to] = [str(value, env.costs), str(old!, env.costs), str(by!, env.costs)];
    charged(source, from, to, env.costs);
    return text.replace(source, from, to, times);
  }
  const safe = old instanceof Markup || (by instanceof Markup && !(value instanceof Markup));
  const source = safe ? escapeHtml(value, env.costs) : soft(value, env);
  const run = getAttribute(source, "replace", env.costs) as PyObject;
  const positional = [soft(old!, env), soft(by!, env), BigInt(times)];
  return run.call!({ positional, named: new Map() }, env.costs);
}

function urlQuote(value: Value, inQuery: boolean, env: FilterEnv): string {
  let out = "";
  for (const byte of new TextEncoder().encode(str(value, env.costs))) {
    const char = String.fromCharCode(byte);
    const plain = /[\w.~-]/.test(char) || (char === "/" && !inQuery);
    out += plain ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  env.costs.charge(16 * out.length);
  return inQuery ? out.replaceAll("%20", "+") : out;
}

function urlEncode(value: Value, env: FilterEnv): string {
  const many = !(textOf(value) !== undefined) &&
    (Array.isArray(value) || (value instanceof PyObject && value.iterate() !== undefined));
  if (!many) return urlQuote(value, false, env);
  const pairs = value instanceof Dict
    ? [...value.entries()]
    : listOf(value, env.costs).map((one) => {
      const pair = listOf(one, env.costs);
      if (pair.length !== 2) throw valueError(`expected 2 values to unpack, got ${pair.length}`);
      return pair as [Value, Value];
    });
  return pairs.map(([key, item]) => {
    return `${urlQuote(key, true, env)}=${urlQuote(item, true, env)}`;
  }).join("&");
}

function xmlAttributes(value: Value, [autospace]: Value[], env: FilterEnv): Value {
  if (!(value instanceof Dict)) {
    if (value instanceof Undefined) value.fail();
    throw typeError("xmlattr wants a mapping");
  }
  const items: string[] = [];
  for (const [key, item] of value.entries()) {
    if (item === null || item instanceof Undefined) continue;
    const name = needText(key, "attribute name");
    if (/[\t-\r /=>]/.test(name)) throw valueError("Invalid character in attribute name");
    items.push(`${escapeText(name)}="${escapeHtml(item, env.costs).text}"`);
  }
  const all = items.join(" ");
  const out = truthy(autospace!) && all !== "" ? ` ${all}` : all;
  return env.autoescape ? new Markup(out) : out;
}

function fileSize(value: number, binary: boolean): string {
  const base = binary ? 1024 : 1000;
  if (value === 1) return "1 Byte";
  if (value < base) return `${Math.trunc(value)} Bytes`;
  const prefixes = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
  let unit = base;
  let prefix = "";
  for (const one of prefixes) {
    prefix = binary ? `${one.toUpperCase()}iB` : `${one}B`;
    unit *= base;
    if (value < unit) break;
  }
  return `${(base * value / unit).toFixed(1)} ${prefix}`;
}

function join(value: Value, [separator, attribute]: Value[], env: FilterEnv): Value {
  const all = [...each(value, env.costs)].map(attributeGetter(attribute!, env));
  const safe = env.autoescape &&
    (separator instanceof Markup || all.some((item) => item instanceof Markup));
  const show = (one: Value) => safe ? escapeHtml(one, env.costs).text : str(one, env.costs);
  const by = show(separator!);
  const parts = all.map(show);
  env.costs.charge(parts.reduce((sum, part) => sum + part.length + by.length, 0));
  return safe ? new Markup(parts.join(by)) : parts.join(by);
}

export { fileSize };

export const TEXT_FILTERS: Readonly<Record<string, Filter>> = {
  upper: byMethod("upper", "upper"),
  lower: byMethod("lower", "lower"),
  capitalize: byMethod("capitalize", "capitalize"),
  center: byMethod("center", "center", [["width", 80n]]),
  trim: byMethod("trim", "strip", [["chars", null]]),
  title: filter("title", [], (value, _, env) => {
    const source = textOf(soft(value, env))!;
    env.costs.charge(64 * source.length);
    return titleWords(source);
  }),
  string: filter("string", [], (value, _, env) => soft(value, env)),
  replace: filter("replace", ["old", "new", ["count", null]], replace),
  indent: filter("indent", [["width", 4n], ["first", false], ["blank", false]], indent),
  truncate: filter(
    "truncate",
    [["length", 255n], ["killwords", false], ["end", "..."], ["leeway", null]],
    truncate,
  ),
  wordcount: filter("wordcount", [], (value, _, env) => {
    const source = textOf(soft(value, env))!;
    env.costs.charge(16 * source.length);
    return BigInt(source.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0);
  }),
  wordwrap: filter(
    "wordwrap",
    [["width", 79n], ["break_long_words", true], ["wrapstring", null], ["break_on_hyphens", true]],
    (value, [width, long, by, hyphens], env) => {
      const source = needText(value);
      env.costs.charge(32 * source.length);
      const options = { width: needInt(width!), long: truthy(long!), hyphens: truthy(hyphens!) };
      const between = by === null ? "\n" : needText(by!);
      return text.splitLines(source, false).map((line) => wrap(line, options).join(between))
        .join(between);
    },
  ),
  format: (value, { positional, named }, env) => {
    if (positional.length > 0 && named.size > 0) {
      throw filterError("can't handle positional and keyword arguments at the same time");
    }
    const given = named.size > 0 ? new Dict(named) : new Tuple(positional);
    return percentFormat(soft(value, env), given, env.costs);
  },
  escape: filter("escape", [], (value, _, env) => escapeHtml(value, env.costs)),
  forceescape: filter("forceescape", [], (value, _, env) => {
    const source = str(value, env.costs);
    return escapeHtml(source, env.costs);
  }),
  safe: filter("safe", [], (value, _, env) => new Markup(str(value, env.costs))),
  striptags: filter(
    "striptags",
    [],
    (value, _, env) => stripTags(str(value, env.costs), env.costs),
  ),
  urlencode: filter("urlencode", [], (value, _, env) => urlEncode(value, env)),
  urlize: filter(
    "urlize",
    [
      ["trim_url_limit", null],
      ["nofollow", false],
      ["target", null],
      ["rel", null],
      ["extra_schemes", null],
    ],
    (value, given, env) => {
      const out = urlize(value, given, env);
      return env.autoescape ? new Markup(out) : out;
    },
  ),
  xmlattr: filter("xmlattr", [["autospace", true]], xmlAttributes),
  join: filter("join", [["d", ""], ["attribute", null]], join),
};
