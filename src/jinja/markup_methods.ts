/** The methods of text that is marked safe, as `markupsafe.Markup` has them: what is put in is escaped. */
import { str } from "./convert.ts";
import { escapeHtml } from "./escape.ts";
import { stripTags, unescapeHtml } from "./html.ts";
import { Builtin } from "./objects.ts";
import { type Args, type Costs, each, Markup, textOf, Tuple, type Value } from "./values.ts";

/** Those whose result is safe text again. */
const SAFE = new Set(
  ("capitalize title lower upper replace ljust rjust lstrip rstrip center strip translate expandtabs swapcase zfill join " +
    "split rsplit splitlines partition rpartition format").split(" "),
);
/** Those whose arguments are no text to be put in. */
const LITERAL = new Set(["split", "rsplit", "splitlines", "format", "join"]);

/** @param ofText The method of that name of the text itself. */
export function markupMethod(
  self: Markup,
  name: string,
  ofText: (self: string, name: string) => Builtin | undefined,
): Builtin | undefined {
  if (name === "striptags") return method(name, (_, costs) => stripTags(self.text, costs));
  if (name === "unescape") return method(name, () => unescapeHtml(self.text));
  if (name === "__html__") return method(name, () => self);
  const plain = ofText(self.text, name);
  if (plain === undefined || !SAFE.has(name)) return plain;
  return method(name, (args, costs) => marked(plain.call(escaped(name, args, costs), costs)));
}

function method(name: string, run: (args: Args, costs: Costs) => Value): Builtin {
  return new Builtin(name, run, "method");
}

function escaped(name: string, { positional, named }: Args, costs: Costs): Args {
  if (name === "join") {
    const items = [...each(positional[0] ?? [], costs)].map((item) => escapeHtml(item, costs).text);
    return { positional: [items, ...positional.slice(1)], named };
  }
  if (LITERAL.has(name) && name !== "format") return { positional, named };
  const escape = (value: Value): Value => {
    if (name === "format") return escapeHtml(str(value, costs), costs).text;
    return textOf(value) === undefined ? value : escapeHtml(value, costs).text;
  };
  return {
    positional: positional.map(escape),
    named: new Map([...named].map(([key, value]) => [key, escape(value)])),
  };
}

function marked(value: Value): Value {
  if (typeof value === "string") return new Markup(value);
  if (Array.isArray(value)) return value.map(marked);
  return value instanceof Tuple ? new Tuple(value.items.map(marked)) : value;
}
