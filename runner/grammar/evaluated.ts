/**
 * Which members and items a schema's other keywords look at: `unevaluatedProperties` and `unevaluatedItems` speak of the rest.
 * Source: JSON Schema 2020-12, core 11.2 and 11.3. What holds for certain only counts as looked at: a reply is never more than
 * the schema permits.
 */
import type { Algebra } from "./algebra.ts";
import { naming } from "./refusal.ts";
import type { Keywords, SchemaNode } from "./schema_document.ts";
import { ANY_ARRAY, ANY_OBJECT, type Literal, type Names, type Seen, type Term } from "./terms.ts";
import { itemsOf } from "./values.ts";

/** What the keywords of a schema itself look at. */
export function seenBy(algebra: Algebra, node: SchemaNode, schema: Keywords): Seen {
  const { prefix, rest } = itemsOf(algebra.document, node);
  return {
    names: Object.keys(schema.properties ?? {}),
    matching: patternNames(algebra, node),
    allNames: "additionalProperties" in schema,
    items: prefix.length,
    allItems: rest !== undefined,
  };
}

/** What a schema says of the members and items that neither it nor what holds beside it looks at. */
export function withUnevaluated(algebra: Algebra, node: SchemaNode, term: Term): Term {
  const schema = node.schema as Keywords;
  let { object, array, seen } = term;
  if ("unevaluatedProperties" in schema) {
    const value = algebra.literal(algebra.document.child(node, "unevaluatedProperties"));
    const { names, matching, allNames } = seen;
    if (!allNames) {
      const field = { kind: "others", except: names, matching, value } as const;
      object = {
        ...(object === ANY_OBJECT ? { ...ANY_OBJECT, pointer: node.pointer } : object),
        fields: [...object.fields, field],
        open: object.open || schema.unevaluatedProperties !== false,
      };
    }
    seen = { ...seen, allNames: true };
  }
  if ("unevaluatedItems" in schema) {
    if (!seen.allItems) {
      const prefix = Array.from({ length: seen.items }, () => algebra.yes);
      const sequence = { prefix, rest: restOf(algebra, node, schema) };
      array = { ...(array ?? ANY_ARRAY), sequences: [...array.sequences, sequence] };
    }
    seen = { ...seen, allItems: true };
  }
  return { ...term, object, array, seen };
}

/** By the schema, so that work which is done again behind a pause finds the same. */
const eithers = new WeakMap<Keywords, Keywords>();

/** What an item must be that no other keyword has a place for: `contains` looks at those that fit it. */
function restOf({ document, literal }: Algebra, node: SchemaNode, schema: Keywords): Literal {
  const rest = document.child(node, "unevaluatedItems");
  if (!("contains" in schema) || !document.containsLooks) return literal(rest);
  const either = eithers.get(schema) ?? { anyOf: [schema.contains, schema.unevaluatedItems] };
  eithers.set(schema, either);
  return literal(document.node(either, node.pointer, node.base));
}

/** The names that `patternProperties` of a schema speaks of. */
export function patternNames(algebra: Algebra, { pointer, schema }: SchemaNode): Names[] {
  return Object.keys((schema as Keywords).patternProperties ?? {}).map((pattern) =>
    naming("patternProperties", pointer, () => ({
      key: pattern,
      must: algebra.pattern(pattern, "must"),
      may: algebra.pattern(pattern, "may"),
    }))
  );
}
