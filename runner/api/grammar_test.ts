import assert from "node:assert/strict";
import { GrammarProbe } from "../engine/testing_grammar.ts";
import { demoTest } from "../engine/testing.ts";
import { buildGrammar, type Thought } from "./grammar.ts";
import { DEFAULT_OPTIONS } from "./options.ts";
import type { InferenceRequest } from "./request.ts";
import { KNOWN_TAGS } from "./think.ts";

const SCHEMA = { type: "object", properties: { root: { type: "null" } }, required: ["root"] };
const NONE: Thought = { tags: undefined, opensThought: false };

const request = (change: Partial<InferenceRequest>): InferenceRequest => ({
  model: "demo",
  prompt: { kind: "chat", messages: [], tools: [], toolChoice: "auto" },
  options: DEFAULT_OPTIONS,
  truncate: true,
  ...change,
});
const formatted = request({ format: { kind: "schema", schema: SCHEMA, field: "format" } });

demoTest(
  "grammar: a thought may come before the JSON, or must end if the prompt opened it",
  async (model) => {
    await Promise.resolve();
    const probe = new GrammarProbe(model);
    for (const tags of KNOWN_TAGS) {
      const accepts = (opensThought: boolean, text: string) =>
        probe.accepts(buildGrammar(formatted, { tags, opensThought })!, text);
      const { open, close } = tags;
      assert.equal(accepts(false, '{"root": null}'), true);
      assert.equal(accepts(false, `${open}a < b </x${close}\n\n{"root": null}`), true);
      assert.equal(accepts(false, `${open}never closed {"root": null}`), false);
      assert.equal(accepts(false, "chatter"), false);
      assert.equal(accepts(true, `thought${close}{"root": null}`), true);
      assert.equal(accepts(true, '{"root": null}'), false);
    }
    assert.equal(probe.accepts(buildGrammar(formatted, NONE)!, '{"root": null}'), true);
    probe.free();
  },
);

const TOOLS = [
  { name: "one", parameters: { properties: { n: { type: "integer" } }, required: ["n"] } },
  { name: "two" },
];

demoTest(
  "grammar: a forced call is of one of the tools, with arguments of its schema",
  async (model) => {
    await Promise.resolve();
    const probe = new GrammarProbe(model);
    const any = buildGrammar(
      request({ prompt: { kind: "chat", messages: [], tools: TOOLS, toolChoice: "required" } }),
      NONE,
    )!;
    assert.equal(probe.accepts(any, '{"name": "one","arguments": {"n": 3}}'), true);
    assert.equal(probe.accepts(any, '{"name": "two","arguments": {}}'), true);
    assert.equal(probe.accepts(any, '{"name": "one","arguments": {"n": "3"}}'), false);
    assert.equal(probe.accepts(any, '{"name": "three","arguments": {}}'), false);
    const two = buildGrammar(
      request({
        prompt: { kind: "chat", messages: [], tools: TOOLS, toolChoice: { name: "two" } },
      }),
      NONE,
    )!;
    assert.equal(probe.accepts(two, '{"name": "one","arguments": {"n": 3}}'), false);
    probe.free();
  },
);

Deno.test("grammar: none without a format", () => {
  assert.equal(buildGrammar(request({}), NONE), undefined);
});

Deno.test("grammar: a schema that cannot be one names the field it came from", () => {
  const bad = request({
    format: { kind: "schema", schema: { type: "odd" }, field: "text.format" },
  });
  assert.throws(() => buildGrammar(bad, NONE), { code: "bad-request", field: "text.format" });
});
