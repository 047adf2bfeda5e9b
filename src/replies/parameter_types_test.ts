/** What schemas say of parameters' types, also those that are made to be slow to walk. */
import assert from "node:assert/strict";
import { Tools } from "./tools.ts";

const of = (parameters: unknown) => new Tools([{ name: "f", parameters }]);

Deno.test("parameters: what a schema says of a type, through references and choices", () => {
  const string = { type: "string" }, integer = { type: "integer" };
  const cases: [schema: unknown, kind: string][] = [
    [{ properties: { x: string } }, "text"],
    [{ properties: { x: integer } }, "integer"],
    [{ additionalProperties: string }, "text"],
    [{ $ref: "#/$defs/a", $defs: { a: { properties: { x: string } } } }, "text"],
    [{
      allOf: [{ properties: { x: { type: ["string", "integer"] } } }, {
        properties: { x: string },
      }],
    }, "text"],
    [{ anyOf: [{ properties: { x: string } }, { properties: { x: integer } }] }, "integer,string"],
    [{ properties: { x: { anyOf: [integer, { const: null }] } } }, "integer,null"],
    [{ properties: { x: { allOf: [{ type: "number" }, integer] } } }, "integer"],
  ];
  for (const [schema, kind] of cases) {
    const reading = of(schema).reading("f", "x");
    const is = reading.kind === "typed" ? [...reading.types].sort().join() : reading.kind;
    assert.equal(is, kind, JSON.stringify(schema));
  }
});

Deno.test("parameters: a pattern is never run, and a name that it may match may be of any type", () => {
  // JavaScript's own way with it would take longer than the world will last.
  const schema = {
    patternProperties: { "^(a+)+$": { type: "string" } },
    additionalProperties: { type: "integer" },
  };
  const name = `${"a".repeat(100)}-`;
  assert.equal(of(schema).valueOf("f", name, "7"), 7);
  assert.equal(of(schema).isText("f", "aaa"), false);
  assert.equal(
    of({ ...schema, properties: { aaa: { type: "string" } } }).valueOf("f", "aaa", "7"),
    "7",
  );
  assert.deepEqual(of(schema).reading("f"), { kind: "unknown" });
});

Deno.test("parameters: each part of a schema is looked at once, however the parts refer to each other", () => {
  const all = Array.from({ length: 60 }, (_, at) => ({ $ref: `#/$defs/${at}` }));
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    const $defs = Object.fromEntries(all.map((_, at) => [at, { [key]: all }]));
    const tools = of({ $defs, [key]: all, properties: { x: { [key]: all } } });
    assert.equal(tools.isText("f", "x"), false);
    assert.deepEqual(tools.parameters("f"), ["x"]);
  }
  let deep: unknown = { type: "string" };
  for (let depth = 0; depth < 5000; depth++) deep = { allOf: [deep] };
  assert.equal(of({ properties: { x: deep } }).isText("f", "x"), false);
});

Deno.test("parameters: those without a name of their own are unknown where another part may name them", () => {
  const additionalProperties = { type: "string" };
  assert.deepEqual(of({ additionalProperties }).reading("f"), { kind: "text" });
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    const schema = { additionalProperties, [key]: [{ properties: { x: { type: "string" } } }, {}] };
    assert.deepEqual(of(schema).reading("f"), { kind: "unknown" });
  }
});
