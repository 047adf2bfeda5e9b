/** Go's `json.Marshal` of values: keys of maps in order, `<`, `>` and `&` escaped. */
import { GoString, type Run } from "./text.ts";
import { concrete, elements, entries, lengthOf, type Maybe, type Value } from "./types.ts";

const MAX_DEPTH = 200;
/** What a piece costs beside its length. */
const PIECE = 16;
const NAMED: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};
// deno-lint-ignore no-control-regex -- control characters are what JSON escapes
const ESCAPED = /["\\\x00-\x1f<>&\u2028\u2029\udc80-\udcff]/;
const ESCAPED_ALL = new RegExp(ESCAPED.source, "gu");

/** Undefined: what JSON cannot say, where Go gives an error. */
export function marshal(value: Maybe, charge: (units: number) => void): GoString | undefined {
  const runs: Run[] = [];
  let [pending, cost] = ["", 0];
  const isWritten = write(value, (text) => {
    cost += PIECE;
    if (typeof text === "string") pending += text;
    else {
      runs.push({ text: pending, from: "template" }, ...text.runs);
      pending = "";
      cost += text.text.length;
    }
    if (cost > 1000) {
      charge(cost);
      cost = 0;
    }
  }, 0);
  charge(cost);
  runs.push({ text: pending, from: "template" });
  return isWritten ? GoString.ofRuns(runs) : undefined;
}

type Write = (text: string | GoString) => void;

function write(given: Maybe, out: Write, depth: number): boolean {
  const value = concrete(given);
  if (depth > MAX_DEPTH) return false;
  if (value === undefined) {
    out("null");
    return true;
  }
  const { type, data } = value;
  if (type.json !== undefined) return write(type.json(value), out, depth + 1);
  switch (type.kind) {
    case "bool":
      out(String(data));
      return true;
    case "string":
      return quoteJson(data as GoString, out);
    case "float64":
      if (!Number.isFinite(data)) return false;
      out(Object.is(data, -0) ? "-0" : JSON.stringify(data));
      return true;
    case "complex128":
      return false;
    case "pointer":
      if (data === undefined) out("null");
      else return write({ type: type.elem!, data }, out, depth + 1);
      return true;
    case "slice":
      if (data === undefined) out("null");
      else {
        return list("[", "]", elements(value), (one) => write(one, out, depth + 1), out);
      }
      return true;
    case "map":
      if (data === undefined) out("null");
      else {
        return list("{", "}", entries(value), (one) => {
          quoteJson(one.key.data as GoString, out);
          out(":");
          return write(one.value, out, depth + 1);
        }, out);
      }
      return true;
    case "struct":
      return list("{", "}", shownFields(value), (one) => {
        out(`"${one.name}":`);
        return write(one.value, out, depth + 1);
      }, out);
    default:
      out(String(data));
      return true;
  }
}

function list<T>(
  open: string,
  close: string,
  items: readonly T[],
  one: (item: T) => boolean,
  out: Write,
): boolean {
  out(open);
  for (const [at, item] of items.entries()) {
    if (at > 0) out(",");
    if (!one(item)) return false;
  }
  out(close);
  return true;
}

function shownFields(value: Value): { name: string; value: Value }[] {
  const data = value.data as readonly unknown[];
  return value.type.fields!().flatMap(({ name, type, json, omitEmpty }, at) => {
    const field = { type, data: data[at] };
    if (omitEmpty && isEmpty(field)) return [];
    return [{ name: json ?? name, value: field }];
  });
}

/** What `omitempty` leaves out. */
function isEmpty({ type, data }: Value): boolean {
  switch (type.kind) {
    case "struct":
      return false;
    case "interface":
    case "pointer":
      return data === undefined;
    case "string":
    case "slice":
    case "map":
      return lengthOf({ type, data }) === 0;
    default:
      return data === false || data === 0 || data === 0n;
  }
}

function quoteJson(text: GoString, out: Write): true {
  out('"');
  out(ESCAPED.test(text.text) ? text.map((run) => run.replace(ESCAPED_ALL, escapeChar)) : text);
  out('"');
  return true;
}

function escapeChar(char: string): string {
  const code = char.charCodeAt(0);
  // A byte that is no UTF-8.
  if (code >= 0xdc80) return "\\ufffd";
  return NAMED[char] ?? `\\u${code.toString(16).padStart(4, "0")}`;
}
