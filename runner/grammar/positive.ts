/** What fits a schema: its own keywords as one term, times what each keyword that combines schemas comes to. */
import type { Algebra } from "./algebra.ts";
import { type Automaton, isEmpty } from "./automaton.ts";
import { naming } from "./refusal.ts";
import { checkExact, type Keywords, type SchemaNode } from "./schema_document.ts";
import {
  ALL_TYPES,
  ANY_ARRAY,
  ANY_OBJECT,
  ANY_STRING,
  ANY_VALUE,
  BITS,
  type Field,
  type Language,
  type Literal,
  type Term,
  termOf,
  textOf,
} from "./terms.ts";
import { ANY_NUMBER, type NumberRules } from "./number_text.ts";
import { patternNames, seenBy, withUnevaluated } from "./evaluated.ts";
import { exactlyOne, joinValues } from "./one_of.ts";
import { boundsOf } from "./bounds.ts";
import { dependenciesOf, itemsOf, type TypeName } from "./values.ts";

export function positiveTerms(algebra: Algebra, node: SchemaNode): readonly Term[] {
  const { schema } = node;
  if (typeof schema === "boolean") return schema ? [ANY_VALUE] : [];
  const { document } = algebra;
  let terms: readonly Term[] = [ownTerm(algebra, node, schema)];
  const times = (more: readonly Term[], keyword: string) => {
    terms = algebra.multiply(terms, more, algebra.literal(node), keyword);
  };
  const literal = (...path: (string | number)[]) => algebra.literal(document.child(node, ...path));
  const list = (keyword: string) => algebra.list(node, keyword);
  // These first: what is multiplied would be made anew where one of them pauses.
  for (const branch of [...list("allOf"), ...list("anyOf"), ...list("oneOf")]) {
    algebra.expand(branch);
  }
  if ("$ref" in schema) times(algebra.expand(algebra.literal(document.target(node))), "$ref");
  for (const branch of list("allOf")) times(algebra.expand(branch), "allOf");
  if ("not" in schema) times(algebra.expand(literal("not") ^ 1), "not");
  for (const { name, keyword, names, schema } of dependenciesOf(document, node)) {
    const there = termOf("object", {
      object: { ...ANY_OBJECT, required: [...new Set([name, ...names ?? []])] },
    });
    const then = schema === undefined ? [ANY_VALUE] : algebra.expand(algebra.literal(schema));
    const both = algebra.multiply([there], then, algebra.literal(node), keyword);
    times([absent(algebra, name), ...both], keyword);
  }
  if ("if" in schema) {
    const side = (test: Literal, keyword: string) =>
      keyword in schema ? algebra.all([test, literal(keyword)]) : algebra.expand(test);
    if ("then" in schema || "else" in schema) {
      times([...side(literal("if"), "then"), ...side(literal("if") ^ 1, "else")], "if");
    }
  }
  const rest = "unevaluatedProperties" in schema || "unevaluatedItems" in schema;
  if ("anyOf" in schema) {
    const branches = list("anyOf");
    // What only some of the branches that hold look at: each set of them is a way of its own.
    const ways = rest && branches.length <= MOST_SETS
      ? sets(branches)
      : branches.map((one) => [one]);
    times(joinValues(ways.flatMap((way) => algebra.all(way))), "anyOf");
  }
  if ("oneOf" in schema) times(exactlyOne(algebra, node, terms, list("oneOf")), "oneOf");
  return rest ? terms.map((term) => withUnevaluated(algebra, node, term)) : terms;
}

/** Branches of which every set is made: sixteen terms. */
const MOST_SETS = 4;

/** All sets of some branches that are not empty. */
function sets(branches: readonly Literal[]): Literal[][] {
  return branches.reduce<Literal[][]>(
    (made, branch) => [...made, [branch], ...made.map((one) => [...one, branch])],
    [],
  );
}

/** An object without a property, or anything else. */
export function absent(algebra: Algebra, name: string): Term {
  const fields: Field[] = [{ kind: "named", name, value: algebra.no }];
  return { ...ANY_VALUE, implied: BITS.object, object: { ...ANY_OBJECT, fields } };
}

const TYPES_OF: Readonly<Record<string, TypeName>> = {
  properties: "object",
  patternProperties: "object",
  additionalProperties: "object",
  propertyNames: "object",
  unevaluatedProperties: "object",
  required: "object",
  minProperties: "object",
  maxProperties: "object",
  dependentRequired: "object",
  dependentSchemas: "object",
  items: "array",
  prefixItems: "array",
  unevaluatedItems: "array",
  contains: "array",
  minItems: "array",
  maxItems: "array",
  uniqueItems: "array",
  minLength: "string",
  maxLength: "string",
  pattern: "string",
  format: "string",
  minimum: "number",
  maximum: "number",
  exclusiveMinimum: "number",
  exclusiveMaximum: "number",
  multipleOf: "number",
};

/** The keywords that speak of the value itself and its parts. */
function ownTerm(algebra: Algebra, node: SchemaNode, schema: Keywords): Term {
  const names = schema.type === undefined ? undefined : [schema.type].flat() as string[];
  const bit = (name: string) => BITS[name === "integer" ? "number" : name as TypeName];
  const whole = names?.includes("integer") && !names.includes("number") ? true : undefined;
  let implied = 0;
  for (const keyword of Object.keys(schema)) {
    if (Object.hasOwn(TYPES_OF, keyword)) implied |= BITS[TYPES_OF[keyword]!];
  }
  return {
    types: names === undefined ? ALL_TYPES : names.reduce((sum, name) => sum | bit(name), 0),
    typed: names !== undefined,
    implied,
    values: valuesOf(node, schema),
    number: numberRules(schema, whole),
    string: stringRules(algebra, node, schema),
    array: arrayRules(algebra, node, schema),
    object: objectRules(algebra, node, schema),
    seen: seenBy(algebra, node, schema),
  };
}

function valuesOf({ pointer }: SchemaNode, schema: Keywords): readonly unknown[] | undefined {
  if ("const" in schema) naming("const", pointer, () => checkExact(schema.const));
  const list = schema.enum as readonly unknown[] | undefined;
  if (list === undefined) return "const" in schema ? [schema.const] : undefined;
  naming("enum", pointer, () => list.forEach(checkExact));
  if (!("const" in schema)) return list;
  const text = textOf(schema.const);
  return list.filter((value) => textOf(value) === text);
}

function numberRules(schema: Keywords, whole: true | undefined): NumberRules {
  const { least, most } = boundsOf(schema);
  const step = schema.multipleOf as number | undefined;
  if (whole === undefined && least === undefined && most === undefined && step === undefined) {
    return ANY_NUMBER;
  }
  return { ...ANY_NUMBER, whole, least, most, steps: step === undefined ? [] : [step] };
}

function stringRules(algebra: Algebra, { pointer }: SchemaNode, schema: Keywords) {
  const { minLength, maxLength, pattern, format } = schema as {
    minLength?: number;
    maxLength?: number;
    pattern?: string;
    format?: string;
  };
  const languages: Language[] = [];
  if (pattern !== undefined) {
    const automaton = naming("pattern", pointer, () => algebra.pattern(pattern, "must"));
    languages.push({ key: `pattern:${pattern}`, automaton });
  }
  if (format !== undefined) {
    const found = naming("format", pointer, () => algebra.format(format));
    // Programs that write schemas put a format beside patterns of their own, such as of a time without a zone.
    const contradicts = (texts: Automaton) =>
      languages.some(({ automaton }) => isEmpty(algebra.both(automaton, texts)));
    if (found !== undefined && !naming("format", pointer, () => contradicts(found.automaton))) {
      languages.push({ key: `format:${format}`, ...found });
    }
  }
  if (languages.length === 0 && minLength === undefined && maxLength === undefined) {
    return ANY_STRING;
  }
  return { least: minLength ?? 0, most: maxLength, languages };
}

function arrayRules(algebra: Algebra, node: SchemaNode, schema: Keywords) {
  const { minItems, maxItems, uniqueItems, contains } = schema as {
    minItems?: number;
    maxItems?: number;
    uniqueItems?: boolean;
    contains?: unknown;
  };
  const { prefix, rest } = itemsOf(algebra.document, node);
  const sequences = prefix.length === 0 && rest === undefined ? [] : [{
    prefix: prefix.map((item) => algebra.literal(item)),
    rest: rest === undefined ? algebra.yes : algebra.literal(rest),
  }];
  if (
    sequences.length === 0 && minItems === undefined && maxItems === undefined &&
    uniqueItems !== true && contains === undefined
  ) return ANY_ARRAY;
  return {
    least: minItems ?? 0,
    most: maxItems,
    sequences,
    contains: contains === undefined ? [] : [{
      from: 0,
      item: algebra.literal(algebra.document.child(node, "contains")),
      least: (schema.minContains as number | undefined) ?? 1,
      most: schema.maxContains as number | undefined,
      keyword: "contains",
      pointer: node.pointer,
    }],
    unique: uniqueItems === true ? node.pointer : undefined,
  };
}

function objectRules(algebra: Algebra, node: SchemaNode, schema: Keywords) {
  const { required, minProperties, maxProperties } = schema as {
    required?: readonly string[];
    minProperties?: number;
    maxProperties?: number;
  };
  const literal = (...path: string[]) => algebra.literal(algebra.document.child(node, ...path));
  const fields: Field[] = [];
  const named = Object.keys(schema.properties ?? {});
  for (const name of named) {
    fields.push({ kind: "named", name, value: literal("properties", name) });
  }
  const matching = patternNames(algebra, node);
  for (const names of matching) {
    fields.push({ kind: "matching", names, value: literal("patternProperties", names.key) });
  }
  if ("additionalProperties" in schema) {
    fields.push({
      kind: "others",
      except: named,
      matching,
      value: literal("additionalProperties"),
    });
  }
  if ("propertyNames" in schema) fields.push({ kind: "name", value: literal("propertyNames") });
  if (
    fields.length + (required?.length ?? 0) === 0 && minProperties === undefined &&
    maxProperties === undefined
  ) {
    return ANY_OBJECT;
  }
  return {
    least: minProperties ?? 0,
    most: maxProperties,
    required: [...new Set(required ?? [])],
    fields,
    some: [],
    open: matching.length > 0 || "propertyNames" in schema ||
      ("additionalProperties" in schema && schema.additionalProperties !== false),
    pointer: node.pointer,
  };
}
