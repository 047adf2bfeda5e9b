/** Python's `pprint.pformat`, for lines of 80 columns. */
import { repr, stringRepr } from "./convert.ts";
import { SPACE } from "./lexer.ts";
import { ordered } from "./comparison.ts";
import { splitLines } from "./text.ts";
import { codePointLength, type Costs, Dict, Tuple, typeName, type Value } from "./values.ts";

const WIDTH = 80;
const PARTS = new RegExp(`[^${SPACE}]*[${SPACE}]*`, "g");

/** Mappings sorted by their keys; lists and mappings that do not fit one line, an item a line; long text in pieces. */
export function pformat(value: Value, costs: Costs): string {
  return format(sortedInside(value, costs), 0, 0, 0, costs);
}

function sortedInside(value: Value, costs: Costs): Value {
  costs.step();
  if (Array.isArray(value)) return value.map((item) => sortedInside(item, costs));
  if (value instanceof Tuple) {
    return new Tuple(value.items.map((item) => sortedInside(item, costs)));
  }
  if (!(value instanceof Dict)) return value;
  const before = (a: Value, b: Value) => {
    try {
      return ordered("<", a, b, costs);
    } catch {
      return `<class '${typeName(a)}'>` < `<class '${typeName(b)}'>`;
    }
  };
  const entries = [...value.entries()].toSorted(([a], [b]) =>
    before(a, b) ? -1 : before(b, a) ? 1 : 0
  );
  return new Dict(entries.map(([key, item]) => [key, sortedInside(item, costs)] as const));
}

function format(
  value: Value,
  indent: number,
  allowance: number,
  level: number,
  costs: Costs,
): string {
  const plain = repr(value, costs);
  if (codePointLength(plain) <= WIDTH - indent - allowance) return plain;
  costs.charge(32 * plain.length);
  if (typeof value === "string") return formatText(value, indent, allowance, level + 1);
  if (value instanceof Dict) return formatDict(value, indent, allowance + 1, level + 1, costs);
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined;
  if (items === undefined) return plain;
  const [open, close] = Array.isArray(value) ? "[]" : ["(", items.length === 1 ? ",)" : ")"];
  const lines = items.map((item, index) => {
    const last = index === items.length - 1;
    return format(item, indent + 1, last ? allowance + close!.length : 1, level + 1, costs);
  });
  return open + lines.join(`,\n${" ".repeat(indent + 1)}`) + close;
}

function formatDict(
  value: Dict,
  indent: number,
  allowance: number,
  level: number,
  costs: Costs,
): string {
  const entries = [...value.entries()];
  const lines = entries.map(([key, item], index) => {
    const name = repr(key, costs);
    const last = index === entries.length - 1;
    const column = indent + 1 + codePointLength(name) + 2;
    return `${name}: ${format(item, column, last ? allowance : 1, level, costs)}`;
  });
  return `{${lines.join(`,\n${" ".repeat(indent + 1)}`)}}`;
}

function formatText(text: string, column: number, after: number, level: number): string {
  const alone = level === 1;
  const indent = alone ? column + 1 : column;
  const allowance = alone ? after + 1 : after;
  const width = WIDTH - indent;
  const length = (piece: string) => codePointLength(stringRepr(piece));
  const chunks: string[] = [];
  const lines = splitLines(text, true);
  for (const [index, line] of lines.entries()) {
    const lastLine = index === lines.length - 1;
    if (length(line) <= width - (lastLine ? allowance : 0)) {
      chunks.push(line);
      continue;
    }
    const parts = line.match(PARTS)!.filter((part) => part !== "");
    let current = "";
    for (const [at, part] of parts.entries()) {
      const end = lastLine && at === parts.length - 1;
      if (length(current + part) > width - (end ? allowance : 0)) {
        if (current !== "") chunks.push(current);
        current = part;
      } else current += part;
    }
    if (current !== "") chunks.push(current);
  }
  if (chunks.length <= 1) return stringRepr(lines.at(-1) ?? text);
  const shown = chunks.map(stringRepr).join(`\n${" ".repeat(indent)}`);
  return alone ? `(${shown})` : shown;
}
