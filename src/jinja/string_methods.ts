/** The methods of Python's `str`. */
import { clampInt, needInt, needText, type Parameter, withParameters } from "./arguments.ts";
import { typeError, valueError } from "./errors.ts";
import * as text from "./text.ts";
import { Builtin } from "./objects.ts";
import {
  type Args,
  codePointLength,
  type Costs,
  Dict,
  each,
  intOf,
  textOf,
  truthy,
  Tuple,
  typeName,
  type Value,
} from "./values.ts";
import * as unicode from "./unicode.ts";

type Method = (self: string) => (args: Args, costs: Costs) => Value;

/** What a letter weighs that is looked at by itself. */
const LETTER_UNITS = 32;

const METHODS = new Map<string, Method>();

function define(
  name: string,
  parameters: readonly Parameter[],
  run: (self: string, values: Value[], costs: Costs) => Value,
  positionalOnly = true,
): void {
  METHODS.set(name, (self) =>
    withParameters(name, parameters, (values, costs) => {
      costs.charge(self.length);
      return run(self, values, costs);
    }, positionalOnly));
}

/** What is made of text alone. */
export const SIMPLE: Readonly<Record<string, (self: string) => Value>> = {
  upper: (self) => self.toUpperCase(),
  lower: (self) => self.toLowerCase(),
  title: unicode.title,
  capitalize: unicode.capitalize,
  swapcase: unicode.swapCase,
  casefold: unicode.caseFold,
  isalnum: unicode.isAlnum,
  isalpha: unicode.isAlpha,
  isascii: unicode.isAscii,
  isdecimal: unicode.isDecimal,
  isdigit: unicode.isDigit,
  isidentifier: unicode.isIdentifier,
  islower: unicode.isLower,
  isnumeric: unicode.isNumeric,
  isprintable: unicode.isPrintable,
  isspace: unicode.isSpace,
  istitle: unicode.isTitle,
  isupper: unicode.isUpper,
};
/** Of these JavaScript itself makes quick work; the others look at each letter by itself. */
const QUICK = new Set(["upper", "lower", "casefold", "isascii"]);
for (const [name, run] of Object.entries(SIMPLE)) {
  define(name, [], (self, _, costs) => {
    if (!QUICK.has(name)) costs.charge(LETTER_UNITS * self.length);
    return run(self);
  });
}

define("strip", [["chars", null]], (self, [chars]) => text.strip(self, chars!, "both"));
define("lstrip", [["chars", null]], (self, [chars]) => text.strip(self, chars!, "left"));
define("rstrip", [["chars", null]], (self, [chars]) => text.strip(self, chars!, "right"));

const SPLIT: readonly Parameter[] = [["sep", null], ["maxsplit", -1n]];
const separator = (value: Value) => value === null ? null : needText(value);
/** Each part is an item of its own. */
function parts(found: string[], costs: Costs): string[] {
  costs.charge(32 * found.length);
  return found;
}
define(
  "split",
  SPLIT,
  (self, [sep, limit], costs) => parts(text.split(self, separator(sep!), needInt(limit!)), costs),
  false,
);
define(
  "rsplit",
  SPLIT,
  (self, [sep, limit], costs) =>
    parts(text.splitRight(self, separator(sep!), needInt(limit!)), costs),
  false,
);
define(
  "splitlines",
  [["keepends", false]],
  (self, [keep], costs) => parts(text.splitLines(self, truthy(keep!)), costs),
  false,
);

define("partition", ["sep"], (self, [sep]) => {
  const found = text.split(self, needText(sep!), 1);
  return new Tuple(found.length === 2 ? [found[0]!, sep!, found[1]!] : [self, "", ""]);
});
define("rpartition", ["sep"], (self, [sep]) => {
  const found = text.splitRight(self, needText(sep!), 1);
  return new Tuple(found.length === 2 ? [found[0]!, sep!, found[1]!] : ["", "", self]);
});

define("replace", ["old", "new", ["count", -1n]], (self, [old, by, limit], costs) => {
  const [from, to, most] = [needText(old!), needText(by!), needInt(limit!)];
  charged(self, from, to, costs);
  return text.replace(self, from, to, most);
});

/** What a replacement may come to is counted before it is made. */
export function charged(self: string, old: string, by: string, costs: Costs): void {
  costs.charge(self.length);
  const growth = by.length - old.length;
  if (growth > 0) costs.charge(text.count(self, old) * growth);
}

const AFFIX: readonly Parameter[] = ["affix", ["start", null], ["end", null]];
define(
  "startswith",
  AFFIX,
  (self, [affix, start, end]) => text.hasAffix(self, affix!, start!, end!, false),
);
define(
  "endswith",
  AFFIX,
  (self, [affix, start, end]) => text.hasAffix(self, affix!, start!, end!, true),
);
define("removeprefix", ["prefix"], (self, [prefix]) => {
  const part = needText(prefix!);
  return self.startsWith(part) ? self.slice(part.length) : self;
});
define("removesuffix", ["suffix"], (self, [suffix]) => {
  const part = needText(suffix!);
  return part !== "" && self.endsWith(part) ? self.slice(0, -part.length) : self;
});

const FIND: readonly Parameter[] = ["sub", ["start", null], ["end", null]];
for (const [name, last] of [["find", false], ["rfind", true]] as const) {
  define(
    name,
    FIND,
    (self, [sub, start, end]) => BigInt(text.find(self, needText(sub!), start!, end!, last)),
  );
}
for (const [name, last] of [["index", false], ["rindex", true]] as const) {
  define(name, FIND, (self, [sub, start, end]) => {
    const at = text.find(self, needText(sub!), start!, end!, last);
    if (at < 0) throw valueError("substring not found");
    return BigInt(at);
  });
}
define("count", FIND, (self, [sub, start, end]) => {
  if (start === null && end === null) return BigInt(text.count(self, needText(sub!)));
  const length = codePointLength(self);
  const [from, to] = text.sliceBounds(start!, end!, length);
  if (from > to || (start !== null && clampInt(start!) > length)) return 0n;
  return BigInt(text.count(text.between(self, from, to), needText(sub!)));
});

const PAD: readonly Parameter[] = ["width", ["fillchar", " "]];
for (const [name, how] of [["ljust", "<"], ["rjust", ">"], ["center", "^"]] as const) {
  define(name, PAD, (self, [width, fill], costs) => {
    costs.charge(needInt(width!));
    return text.pad(self, needInt(width!), needText(fill!), how);
  });
}
define("zfill", ["width"], (self, [width], costs) => {
  costs.charge(needInt(width!));
  return text.zeroFill(self, needInt(width!));
});
define("expandtabs", [["tabsize", 8n]], (self, [size], costs) => {
  costs.charge(self.length * Math.max(needInt(size!), 0));
  return text.expandTabs(self, needInt(size!));
}, false);

define("join", ["iterable"], (self, [items], costs) => {
  const all: string[] = [];
  let index = 0;
  for (const item of each(items!, costs)) {
    const part = textOf(item);
    if (part === undefined) {
      throw typeError(`sequence item ${index}: expected str instance, ${typeName(item)} found`);
    }
    costs.charge(part.length + self.length);
    all.push(part);
    index++;
  }
  return all.join(self);
});

define("maketrans", ["x", ["y", null], ["z", null]], (_self, [x, y, z]) => {
  if (y === null) {
    if (!(x instanceof Dict)) {
      throw typeError("if you give only one argument to maketrans it must be a dict");
    }
    return new Dict([...x.entries()].map(([key, value]) => [codeOf(key), value] as const));
  }
  const from = [...needText(x!)], to = [...needText(y!)];
  if (from.length !== to.length) {
    throw valueError("the first two maketrans arguments must have equal length");
  }
  const table = new Dict(from.map((point, index) => [codeOf(point), codeOf(to[index]!)] as const));
  for (const point of z === null ? "" : needText(z!)) table.set(codeOf(point), null);
  return table;
});
define("translate", ["table"], (self, [table], costs) => {
  if (!(table instanceof Dict)) {
    throw typeError(`'${typeName(table!)}' object is not subscriptable`);
  }
  costs.charge(LETTER_UNITS * self.length);
  let out = "";
  for (const point of self) {
    const by = table.get(codeOf(point));
    const code = by === undefined ? undefined : intOf(by);
    const piece = by === undefined
      ? point
      : by === null
      ? ""
      : code === undefined
      ? needText(by, "character mapping")
      : String.fromCodePoint(Number(code));
    costs.charge(piece.length);
    out += piece;
  }
  return out;
});

define("encode", [["encoding", "utf-8"], ["errors", "strict"]], () => {
  throw typeError("bytes are not supported in templates");
}, false);

function codeOf(point: Value): bigint {
  if (typeof point === "bigint") return point;
  return BigInt(needText(point).codePointAt(0) ?? 0);
}

/** A method of `str`, bound to a text; `undefined` if there is none of that name. */
export function stringMethod(self: string, name: string): Builtin | undefined {
  const method = METHODS.get(name);
  if (method === undefined) return undefined;
  return new Builtin(name, method(self), "builtin_function_or_method");
}
