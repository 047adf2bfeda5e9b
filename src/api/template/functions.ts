/** The functions of Go's text/template. */
import { CallError, equalsAny, isAtMost, isLess } from "./compare.ts";
import { sprint, sprintf, sprintln } from "./format.ts";
import { isPrintable } from "./quote.ts";
import { GoString } from "./text.ts";
import {
  bool,
  concrete,
  indirect,
  int,
  isInteger,
  isTrue,
  lengthOf,
  type MapData,
  type Maybe,
  type Slice,
  string,
  UINT8,
  type Value,
  zero,
} from "./types.ts";

/** What a call may spend. */
interface CallContext {
  /** @throws {TemplateError} `limit`: more is made than one rendering may. */
  charge(units: number): void;
}

/** What a parameter takes; `value` and `any` differ in what an untyped nil becomes. */
export type Parameter = "value" | "any" | "string";

export interface TemplateFunction {
  readonly parameters: readonly Parameter[];
  /** Whether the last parameter may come any number of times, none too. */
  readonly variadic: boolean;
  /** @throws {CallError} */
  readonly call: (args: readonly Maybe[], context: CallContext) => Maybe;
}

const fixed = (count: number, call: TemplateFunction["call"]): TemplateFunction => ({
  parameters: Array(count).fill("value"),
  variadic: false,
  call,
});
const values = (atLeast: number, call: TemplateFunction["call"]): TemplateFunction => ({
  parameters: Array(atLeast + 1).fill("value"),
  variadic: true,
  call,
});
const texts = (call: TemplateFunction["call"]): TemplateFunction => ({
  parameters: ["any"],
  variadic: true,
  call,
});

/** `and` and `or` are not here: the evaluator stops at the argument that decides. */
export const BUILTINS: Readonly<Record<string, TemplateFunction>> = {
  call: values(1, ([first]) => {
    throw new CallError(first === undefined ? "calls nil" : "calls what is no function");
  }),
  eq: values(1, ([first, ...rest]) => bool(equalsAny(first, rest))),
  ge: fixed(2, ([a, b]) => bool(!isLess(a, b))),
  gt: fixed(2, ([a, b]) => bool(!isAtMost(a, b))),
  html: texts((args, context) => string(shown(args, context).map(html))),
  index: values(1, ([item, ...keys], context) => index(item, keys, context)),
  js: texts((args, context) => string(shown(args, context).map(js))),
  le: fixed(2, ([a, b]) => bool(isAtMost(a, b))),
  len: fixed(1, ([item]) => int(length(item))),
  lt: fixed(2, ([a, b]) => bool(isLess(a, b))),
  ne: fixed(2, ([a, b]) => bool(!equalsAny(a, [b]))),
  not: fixed(1, ([value]) => bool(!isTrue(value))),
  print: texts((args, context) => string(sprint(args, (units) => context.charge(units)))),
  printf: {
    parameters: ["string", "any"],
    variadic: true,
    call: ([format, ...args], context) =>
      string(sprintf(format!.data as GoString, args, (units) => context.charge(units))),
  },
  println: texts((args, context) => string(sprintln(args, (units) => context.charge(units)))),
  slice: values(1, ([item, ...indexes], context) => sliceOf(item, indexes, context)),
  urlquery: texts((args, context) => string(urlQuery(shown(args, context)))),
};

/** Their names, with `and` and `or`. */
export const BUILTIN_NAMES: readonly string[] = [...Object.keys(BUILTINS), "and", "or"];

function length(item: Maybe): number {
  const { value, isNil } = indirect(item);
  const found = isNil || value === undefined ? undefined : lengthOf(value);
  if (found === undefined) throw new CallError("asks for the length of what has none");
  return found;
}

function indexArg(given: Maybe, limit: number): number {
  const index = concrete(given);
  if (index === undefined || !isInteger(index.type)) {
    throw new CallError("has an index that is no whole number");
  }
  const at = index.data as bigint;
  if (at < 0n || at > BigInt(limit)) throw new CallError("has an index that is out of range");
  return Number(at);
}

function index(item: Maybe, keys: readonly Maybe[], context: CallContext): Maybe {
  let at = concrete(item);
  if (at === undefined) throw new CallError("takes an index of nil");
  for (const key of keys) {
    const found: { value: Maybe; isNil: boolean } = indirect(at);
    if (found.isNil || found.value === undefined) throw new CallError("takes an index of nil");
    at = indexOne(found.value, concrete(key), context);
  }
  return at;
}

function indexOne(value: Value, key: Maybe, context: CallContext): Value {
  const { type, data } = value;
  if (type.kind === "map") {
    if (key?.type.kind !== "string") throw new CallError("has a key that is no text");
    const found = (data as MapData | undefined)?.get((key.data as GoString).text);
    return found === undefined ? zero(type.elem!) : { type: type.elem!, data: found.data };
  }
  if (type.kind !== "slice" && type.kind !== "string") {
    throw new CallError("takes an index of what has none");
  }
  const size = lengthOf(value)!;
  const at = indexArg(key, size - 1);
  if (type.kind === "slice") {
    const { array, from } = data as Slice;
    return { type: type.elem!, data: array[from + at] };
  }
  context.charge(size);
  return { type: UINT8, data: BigInt((data as GoString).bytes[at]!) };
}

function sliceOf(given: Maybe, indexes: readonly Maybe[], context: CallContext): Value {
  const item = concrete(given);
  if (item === undefined) throw new CallError("takes a slice of nil");
  if (indexes.length > 3) throw new CallError("has too many indexes");
  const { type, data } = item;
  if (type.kind !== "slice" && type.kind !== "string") {
    throw new CallError("takes a slice of what has none");
  }
  if (type.kind === "string" && indexes.length === 3) {
    throw new CallError("takes a text by three indexes");
  }
  const size = lengthOf(item)!;
  const whole = (data as Slice | undefined) ?? { array: [], from: 0, length: 0 };
  const capacity = type.kind === "string" ? size : whole.array.length - whole.from;
  const [from = 0, to = size, max] = indexes.map((one) => indexArg(one, capacity));
  if (from > to || max !== undefined && to > max) {
    throw new CallError("has indexes in the wrong order");
  }
  if (type.kind === "string") {
    context.charge(size);
    return string((data as GoString).slice(from, to));
  }
  if (data === undefined) return item;
  const array = max === undefined ? whole.array : whole.array.slice(0, whole.from + max);
  return { type, data: { array, from: whole.from + from, length: to - from } };
}

/** What `html` and its kin escape: one text as it is, others as `print` shows them. */
function shown(args: readonly Maybe[], context: CallContext): GoString {
  const charge = (units: number) => context.charge(units);
  const nothing = string(GoString.of("<no value>"));
  return sprint(args.map((arg) => printable(arg) ?? nothing), charge);
}

/** Behind pointers, as an action prints it. */
export function printable(value: Maybe): Maybe {
  if (value?.type.kind !== "pointer") return concrete(value);
  return indirect(value).value;
}

const HTML: Readonly<Record<string, string>> = {
  "\0": "\ufffd",
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
};

function html(text: string): string {
  return text.replace(/[\0"'&<>]/g, (char) => HTML[char]!);
}

function js(text: string): string {
  let out = "";
  for (const char of text) {
    const code = char.codePointAt(0)!;
    if ("\\'\"".includes(char)) out += "\\" + char;
    else if ("<>&=".includes(char) || code < 0x20) out += `\\u${hex(code, 4)}`;
    else if (code < 0x80 || isPrintable(char) || code >= 0xdc80 && code <= 0xdcff) out += char;
    else out += `\\u${hex(code, 4)}`;
  }
  return out;
}

function hex(code: number, digits: number): string {
  return code.toString(16).toUpperCase().padStart(digits, "0");
}

function urlQuery(text: GoString): GoString {
  return GoString.ofRuns(text.runs.map((run) => {
    let out = "";
    for (const byte of GoString.ofRuns([run]).bytes) {
      const char = String.fromCharCode(byte);
      out += /[-\w.~]/.test(char) ? char : char === " " ? "+" : `%${hex(byte, 2)}`;
    }
    return { text: out, from: run.from };
  }));
}
