/**
 * What does not fit a schema: for each keyword, the values that it turns away. Needed for `not`, for `if`, and for `oneOf`
 * where branches overlap.
 */
import type { Algebra } from "./algebra.ts";
import type { Automaton } from "./automaton.ts";
import { ANY_NUMBER, type Bound, type NumberRules } from "./number_text.ts";
import { patternNames } from "./evaluated.ts";
import { absent } from "./positive.ts";
import { Inexpressible, naming, refuse } from "./refusal.ts";
import type { Keywords, SchemaNode } from "./schema_document.ts";
import { nameAutomaton } from "./names.ts";
import {
  ALL_TYPES,
  ANY_ARRAY,
  ANY_OBJECT,
  ANY_STRING,
  ANY_VALUE,
  type ArrayRules,
  BITS,
  type Literal,
  type ObjectRules,
  type StringRules,
  type Term,
  termOf,
} from "./terms.ts";
import { boundOf, boundsOf } from "./bounds.ts";
import { dependenciesOf, itemsOf, type TypeName } from "./values.ts";

/** Terms of one schema's opposite. */
const MOST_OPPOSITES = 20_000;

/** What does not fit a schema. What is in a `not`, or in an `if` that fails, looks at nothing (2020-12, core 7.7.1.1). */
export function negativeTerms(algebra: Algebra, node: SchemaNode): readonly Term[] {
  return opposites(algebra, node).map((term) => ({ ...term, seen: ANY_VALUE.seen }));
}

function opposites(algebra: Algebra, node: SchemaNode): readonly Term[] {
  const { schema } = node;
  if (typeof schema === "boolean") return schema ? [] : [ANY_VALUE];
  for (const keyword of ["unevaluatedProperties", "unevaluatedItems"]) {
    if (keyword in schema) refuse(keyword, node.pointer, "its opposite cannot be kept");
  }
  const { document } = algebra;
  const not = (child: SchemaNode) => algebra.literal(child, true);
  if ("$ref" in schema && document.ignoresBeside(node)) {
    return algebra.expand(not(document.target(node)));
  }
  const literal = (...path: (string | number)[]) => algebra.literal(document.child(node, ...path));
  const list = (keyword: string) => algebra.list(node, keyword);
  const out: Term[] = [];
  const add = (terms: readonly Term[]) => {
    // References may lead to the same schema in thousands of ways.
    if (out.length + terms.length > MOST_OPPOSITES) {
      refuse("not", node.pointer, `its opposite comes to more than ${MOST_OPPOSITES} branches`);
    }
    for (const term of terms) out.push(term);
  };
  add([
    ...types(schema),
    ...values(algebra, node, schema),
    ...numbers(schema),
    ...texts(algebra, node, schema),
    ...arrays(algebra, node, schema),
    ...objects(algebra, node, schema),
  ]);
  if ("$ref" in schema) add(algebra.expand(not(document.target(node))));
  for (const branch of list("allOf")) add(algebra.expand(branch ^ 1));
  if ("anyOf" in schema) add(algebra.all(list("anyOf").map((branch) => branch ^ 1)));
  if ("oneOf" in schema) {
    const branches = list("oneOf");
    add(algebra.all(branches.map((branch) => branch ^ 1)));
    branches.forEach((a, at) => {
      for (const b of branches.slice(at + 1)) add(algebra.all([a, b]));
    });
  }
  if ("not" in schema) add(algebra.expand(literal("not")));
  if ("if" in schema) {
    if ("then" in schema) add(algebra.all([literal("if"), literal("then") ^ 1]));
    if ("else" in schema) add(algebra.all([literal("if") ^ 1, literal("else") ^ 1]));
  }
  for (const { name, names, schema } of dependenciesOf(document, node)) {
    const there = object({ required: [name] });
    for (const other of names ?? []) {
      const missing = algebra.multiply([there], [absent(algebra, other)], algebra.literal(node));
      add(missing);
    }
    if (schema !== undefined) {
      add(algebra.multiply([there], algebra.expand(not(schema)), algebra.literal(node)));
    }
  }
  return out;
}

function types(schema: Keywords): Term[] {
  if (schema.type === undefined) return [];
  const names = [schema.type].flat() as string[];
  const bit = (name: string) => BITS[name === "integer" ? "number" : name as TypeName];
  const left = ALL_TYPES & ~names.reduce((sum, name) => sum | bit(name), 0);
  const out: Term[] = left === 0 ? [] : [{ ...ANY_VALUE, types: left, typed: true }];
  if (names.includes("integer") && !names.includes("number")) out.push(number({ whole: false }));
  return out;
}

const number = (rules: Partial<NumberRules>) =>
  termOf("number", { number: { ...ANY_NUMBER, ...rules } });
const string = (rules: Partial<StringRules>) =>
  termOf("string", { string: { ...ANY_STRING, ...rules } });
const array = (rules: Partial<ArrayRules>) =>
  termOf("array", { array: { ...ANY_ARRAY, ...rules } });
const object = (rules: Partial<ObjectRules>) =>
  termOf("object", { object: { ...ANY_OBJECT, ...rules } });

/** None of the values that are listed. */
function values(algebra: Algebra, node: SchemaNode, schema: Keywords): readonly Term[] {
  const out: Term[] = [];
  for (const keyword of ["const", "enum"] as const) {
    if (!(keyword in schema)) continue;
    const list = keyword === "const" ? [schema.const] : schema.enum as readonly unknown[];
    naming(keyword, node.pointer, () => list.forEach(mustBeDoubles));
    const scalars = list.filter((value) => value === null || typeof value !== "object");
    const booleans = [true, false].filter((value) => !scalars.includes(value));
    let plain = BITS.array | BITS.object | BITS.number | BITS.string;
    if (!scalars.includes(null)) plain |= BITS.null;
    if (booleans.length === 2) plain |= BITS.boolean;
    const texts = scalars.filter((value) => typeof value === "string");
    let terms: readonly Term[] = [{
      ...ANY_VALUE,
      types: plain,
      number: { ...ANY_NUMBER, except: scalars.filter((value) => typeof value === "number") },
      string: texts.length === 0 ? ANY_STRING : {
        ...ANY_STRING,
        languages: [{
          key: `except:${JSON.stringify(texts)}`,
          automaton: naming(keyword, node.pointer, () => algebra.negation(algebra.words(texts))),
        }],
      },
    }];
    if (booleans.length === 1) terms = [...terms, termOf("boolean", { values: booleans })];
    for (const value of list.filter((value) => value !== null && typeof value === "object")) {
      const shape = algebra.document.node(shapeOf(value as object), node.pointer, node.base);
      terms = algebra.multiply(
        terms,
        algebra.expand(algebra.literal(shape, true)),
        algebra.literal(node),
      );
    }
    for (const term of terms) out.push(term);
  }
  return out;
}

const shapes = new WeakMap<object, Keywords>();

/** A schema without `const` for an array or an object: the same one where work is done again behind a pause. */
function shapeOf(value: object): Keywords {
  const shape = shapes.get(value) ?? makeShape(value);
  shapes.set(value, shape);
  return shape;
}

function makeShape(value: object): Keywords {
  if (Array.isArray(value)) {
    const shape = { type: "array", minItems: value.length, maxItems: value.length };
    return value.length === 0
      ? shape
      : { ...shape, prefixItems: value.map((item) => ({ const: item })) };
  }
  const entries = Object.entries(value as Keywords);
  return {
    type: "object",
    properties: Object.fromEntries(entries.map(([name, inner]) => [name, { const: inner }])),
    required: entries.map(([name]) => name),
    additionalProperties: false,
  };
}

function numbers(schema: Keywords): Term[] {
  const { least, most } = boundsOf(schema);
  const beyond = ({ value, exact, exclusive }: Bound, inside: 1 | -1): Bound =>
    boundOf(exact ?? value, !exclusive, inside);
  const out: Term[] = [];
  if (least !== undefined) out.push(number({ most: beyond(least, -1) }));
  if (most !== undefined) out.push(number({ least: beyond(most, 1) }));
  if (typeof schema.multipleOf === "number") out.push(number({ offSteps: [schema.multipleOf] }));
  return out;
}

function texts(algebra: Algebra, { pointer }: SchemaNode, schema: Keywords): Term[] {
  const { minLength = 0, maxLength, pattern, format } = schema as {
    minLength?: number;
    maxLength?: number;
    pattern?: string;
    format?: string;
  };
  const out: Term[] = [];
  if (minLength > 0) out.push(string({ most: minLength - 1 }));
  if (maxLength !== undefined) out.push(string({ least: maxLength + 1 }));
  if (pattern !== undefined) {
    const automaton = naming(
      "pattern",
      pointer,
      () => algebra.negation(algebra.pattern(pattern, "may")),
    );
    out.push(string({ languages: [{ key: `not pattern:${pattern}`, automaton }] }));
  }
  if (format !== undefined) {
    const found = naming("format", pointer, () => algebra.format(format));
    if (found !== undefined && found.automaton !== found.rough) {
      refuse("format", pointer, `what is not "${format.slice(0, 40)}" cannot be kept`);
    }
    if (found !== undefined) {
      const automaton = algebra.negation(found.automaton);
      out.push(string({ languages: [{ key: `not format:${format}`, automaton }] }));
    }
  }
  return out;
}

function arrays(algebra: Algebra, node: SchemaNode, schema: Keywords): Term[] {
  const { minItems = 0, maxItems, contains, minContains = 1, maxContains } = schema as {
    minItems?: number;
    maxItems?: number;
    contains?: unknown;
    minContains?: number;
    maxContains?: number;
  };
  const { pointer } = node;
  const out: Term[] = [];
  if (minItems > 0) out.push(array({ most: minItems - 1 }));
  if (maxItems !== undefined) out.push(array({ least: maxItems + 1 }));
  if (schema.uniqueItems === true) refuse("uniqueItems", pointer, "its opposite cannot be kept");
  const { prefix, rest, keyword } = itemsOf(algebra.document, node);
  prefix.forEach((item, at) => {
    const yes = prefix.slice(0, at).map(() => algebra.yes);
    const sequences = [{ prefix: [...yes, algebra.literal(item, true)], rest: algebra.yes }];
    out.push(array({ least: at + 1, sequences }));
  });
  const some = (
    item: Literal,
    from: number,
    least: number,
    most: number | undefined,
    keyword: string,
  ) => array({ contains: [{ from, item, least, most, keyword, pointer }] });
  if (rest !== undefined) {
    out.push(some(algebra.literal(rest, true), prefix.length, 1, undefined, keyword));
  }
  if (contains !== undefined) {
    const item = algebra.document.child(node, "contains");
    if (minContains === 1) {
      out.push(array({ sequences: [{ prefix: [], rest: algebra.literal(item, true) }] }));
    } else if (minContains > 1) {
      out.push(some(algebra.literal(item), 0, 0, minContains - 1, "minContains"));
    }
    if (maxContains !== undefined) {
      out.push(some(algebra.literal(item), 0, maxContains + 1, undefined, "maxContains"));
    }
  }
  return out;
}

function objects(algebra: Algebra, node: SchemaNode, schema: Keywords): Term[] {
  const { required = [], minProperties = 0, maxProperties } = schema as {
    required?: readonly string[];
    minProperties?: number;
    maxProperties?: number;
  };
  const { pointer } = node;
  const not = (...path: string[]) => algebra.literal(algebra.document.child(node, ...path), true);
  const out: Term[] = [];
  for (const name of required) {
    out.push({ ...absent(algebra, name), types: BITS.object, typed: true });
  }
  if (minProperties > 0) out.push(object({ most: minProperties - 1 }));
  if (maxProperties !== undefined) out.push(object({ least: maxProperties + 1, pointer }));
  const named = Object.keys(schema.properties ?? {});
  for (const name of named) {
    const value = not("properties", name);
    out.push(object({ required: [name], fields: [{ kind: "named", name, value }] }));
  }
  const matching = patternNames(algebra, node);
  const some = (
    keyword: string,
    value: Literal,
    make: () => Automaton,
  ) => {
    const names = naming(keyword, pointer, make);
    out.push(object({ some: [{ names, value, keyword, pointer }] }));
  };
  for (const { key, must } of matching) {
    some("patternProperties", not("patternProperties", key), () => must);
  }
  if ("additionalProperties" in schema) {
    some(
      "additionalProperties",
      not("additionalProperties"),
      () => nameAutomaton(algebra, { except: named, outside: matching.map(({ may }) => may) }),
    );
  }
  if ("propertyNames" in schema) {
    some(
      "propertyNames",
      algebra.yes,
      () => nameAutomaton(algebra, { except: [], fits: [not("propertyNames")] }),
    );
  }
  return out;
}

/** @throws {Inexpressible} for a number that grammars cannot leave out. */
function mustBeDoubles(value: unknown): void {
  if (typeof value === "bigint") {
    throw new Inexpressible("whole numbers above 2^53 cannot be left out");
  }
  if (value !== null && typeof value === "object") Object.values(value).forEach(mustBeDoubles);
}
