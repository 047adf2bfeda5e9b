import assert from "node:assert/strict";
import { runAtOnce } from "../../src/budget.ts";
import { GrammarProbe } from "../engine/testing_grammar.ts";
import { demoTest } from "../engine/testing.ts";
import { TestGrammar } from "../grammar/testing_gbnf.ts";
import { seeded } from "../../tests/support/seeds.ts";
import { callSyntax } from "./call_syntax.ts";
import { buildGrammar, type Thought } from "./grammar.ts";
import { DEFAULT_OPTIONS } from "./options.ts";
import type { ChatPrompt, InferenceRequest } from "./request.ts";
import { readerFor } from "../../src/replies/formats.ts";
import { CALL_FORMS } from "../../src/replies/call_forms.ts";
import { KNOWN_TAGS } from "../../src/replies/thought.ts";

const SCHEMA = { type: "object", properties: { root: { type: "null" } }, required: ["root"] };
const NONE: Thought = { tags: undefined, opensThought: false };

const request = (change: Partial<InferenceRequest>): InferenceRequest => ({
  model: "demo",
  prompt: { kind: "chat", messages: [], tools: [], toolChoice: "auto" },
  options: DEFAULT_OPTIONS,
  truncate: true,
  ...change,
});
const calling = (change: Partial<ChatPrompt>, more: Partial<InferenceRequest> = {}) =>
  request({
    prompt: { kind: "chat", messages: [], tools: TOOLS, toolChoice: "auto", ...change },
    ...more,
  });
const build = (of: InferenceRequest, thought = NONE, template?: string) =>
  runAtOnce(buildGrammar(of, thought, callSyntax({ source: template })));
const grammarOf = (...args: Parameters<typeof build>) => new TestGrammar(build(...args)!);

const FORMAT = { kind: "schema", schema: SCHEMA, field: "format" } as const;
const formatted = request({ format: FORMAT });
const TOOLS = [
  { name: "one", parameters: { properties: { n: { type: "integer" } }, required: ["n"] } },
  { name: "two" },
];

/** Templates in which each form is found. */
const FORMS = CALL_FORMS.map(({ open, sign = "" }) => open + sign);

demoTest(
  "grammar: a thought may come before the JSON, or must end if the prompt opened it",
  async (model) => {
    await Promise.resolve();
    const probe = new GrammarProbe(model);
    for (const tags of KNOWN_TAGS) {
      const accepts = (opensThought: boolean, text: string) =>
        probe.accepts(build(formatted, { tags, opensThought })!, text);
      const { open, close } = tags;
      assert.equal(accepts(false, '{"root": null}'), true);
      assert.equal(accepts(false, `${open}a < b </x${close}\n\n{"root": null}`), true);
      // The beginning of the tag, and then the tag.
      assert.equal(accepts(false, `${open}a${close.slice(0, -1)}${close}{"root": null}`), true);
      assert.equal(accepts(false, `${open}never closed {"root": null}`), false);
      assert.equal(accepts(false, "chatter"), false);
      assert.equal(accepts(true, `thought${close}{"root": null}`), true);
      assert.equal(accepts(true, '{"root": null}'), false);
    }
    assert.equal(probe.accepts(build(formatted)!, '{"root": null}'), true);
    probe.free();
  },
);

demoTest("grammar: llama.cpp reads what is made for tools, formats and thoughts", async (model) => {
  await Promise.resolve();
  const probe = new GrammarProbe(model);
  const strict = TOOLS.map((tool) => ({ ...tool, strict: true }));
  for (const template of [undefined, "<|channel|>", '"parameters":', ...FORMS]) {
    for (const tags of template === "<tool_call>" ? [undefined, ...KNOWN_TAGS] : [undefined]) {
      const thought = { tags, opensThought: false };
      for (
        const of of [
          calling({ toolChoice: "required" }),
          calling({}, { format: FORMAT }),
          calling({ tools: strict }),
        ]
      ) {
        const grammar = build(of, thought, template);
        if (grammar === undefined) continue;
        assert.notEqual(probe.accepts(grammar, "x"), undefined, grammar);
        // What one reads, the other reads.
        const text = new TestGrammar(grammar).sample(() => 0.3, 40);
        // The model's vocabulary has this sign for a space.
        if (!text.includes("▁")) assert.equal(probe.accepts(grammar, text), true, text);
      }
    }
  }
  probe.free();
});

const one = '{"name": "one", "arguments": {"n": 3}}';
const two = '{"name": "two", "arguments": {}}';

Deno.test("grammar: a forced call is of one of the tools, with arguments of its schema", () => {
  const any = grammarOf(calling({ toolChoice: "required" }));
  assert.ok(any.accepts(one));
  assert.ok(any.accepts(two));
  assert.ok(!any.accepts('{"name": "one","arguments": {"n": "3"}}'));
  assert.ok(!any.accepts('{"name": "three","arguments": {}}'));
  assert.ok(!any.accepts('{"root": null}'));
  const named = grammarOf(calling({ toolChoice: { name: "two" } }, { format: FORMAT }));
  assert.ok(named.accepts(two));
  assert.ok(!named.accepts(one));
  assert.ok(!named.accepts('{"root": null}'));
  assert.throws(() => build(calling({ toolChoice: { name: "three" } })), { field: "tool_choice" });
});

Deno.test("grammar: calls are written as the model's template has them", () => {
  const forms: Record<string, string> = {
    "<tool_call>": `<tool_call>\n${one}\n</tool_call>\n<tool_call>\n${two}\n</tool_call>`,
    "[TOOL_CALLS]": `[TOOL_CALLS][${one}, ${two}]`,
    "<|tool_call|>": `<|tool_call|>[${one}, ${two}]`,
  };
  for (const [template, text] of Object.entries(forms)) {
    const several = grammarOf(calling({ toolChoice: "required" }), NONE, template);
    assert.ok(several.accepts(text), text);
    assert.ok(!several.accepts(one), "without the sign");
    const single = grammarOf(calling({ toolChoice: "required", oneCall: true }), NONE, template);
    assert.ok(!single.accepts(text));
  }
});

Deno.test("grammar: what each family is held to is read back as calls, and as nothing else", () => {
  const random = seeded(3);
  assert.ok(FORMS.length >= 25);
  for (const sign of [...FORMS, ""]) {
    for (const oneCall of [false, true]) {
      const grammar = grammarOf(calling({ toolChoice: "required", oneCall }), NONE, sign);
      let most = 0;
      for (let round = 0; round < 30; round++) {
        const text = grammar.sample(random, 300);
        const { reader } = readerFor({
          template: sign,
          promptTail: "",
          thought: false,
          tools: TOOLS,
        });
        const said = [reader.push(text), reader.end(false)];
        const calls = said.flatMap((one) => one.calls);
        const rest = said.map((one) => one.text + one.thinking).join("");
        assert.equal(rest.trim(), "", text);
        assert.ok(calls.length > 0, text);
        assert.ok(!oneCall || calls.length === 1, text);
        for (const { name, arguments: given } of calls) {
          if (name === "one") assert.ok(Number.isInteger(given["n"]), text);
          else assert.equal(name, "two");
        }
        most = Math.max(most, calls.length);
      }
      assert.ok(oneCall || sign === "" || most > 1, `${sign}: several`);
    }
  }
});

Deno.test("grammar: with tools and a format the reply is a call or of the format", () => {
  for (const template of [undefined, "<tool_call>"]) {
    const both = grammarOf(calling({}, { format: FORMAT }), NONE, template);
    assert.ok(both.accepts('{"root": null}'));
    assert.ok(both.accepts(template === undefined ? one : `<tool_call>${one}</tool_call>`));
    assert.ok(!both.accepts("It is warm."));
    assert.ok(!both.accepts('{"name": "one", "arguments": {"n": "3"}}'));
  }
  const json = grammarOf(calling({}, { format: { kind: "json" } }), NONE, "<tool_call>");
  assert.ok(json.accepts('{"a": 1}'));
  assert.ok(json.accepts(`<tool_call>${two}</tool_call>`));
});

Deno.test("grammar: calls of strict tools fit, and text is free", () => {
  const tools = [{ ...TOOLS[0]!, strict: true }, TOOLS[1]!];
  const grammar = grammarOf(calling({ tools }), NONE, "<tool_call>");
  assert.ok(grammar.accepts("It is {warm} <b> <tool_cal"));
  assert.ok(grammar.accepts(""));
  assert.ok(grammar.accepts(`Let me see.\n<tool_call>\n${one}\n</tool_call>`));
  assert.ok(!grammar.accepts(`<tool_call>\n{"name": "one", "arguments": {}}\n</tool_call>`));
  assert.equal(build(calling({}), NONE, "<tool_call>"), undefined);
  // A call that is the whole reply begins as text may.
  assert.equal(build(calling({ tools })), undefined);
});

Deno.test("grammar: references of a tool's schema are its own", () => {
  const tool = (name: string, inner: unknown) => ({
    name,
    parameters: {
      properties: { a: { $ref: "#/$defs/x" } },
      required: ["a"],
      $defs: { x: inner },
    },
  });
  const tools = [tool("one", { const: 1 }), tool("two", { const: 2 })];
  const grammar = grammarOf(calling({ tools, toolChoice: "required" }));
  assert.ok(grammar.accepts('{"name": "one", "arguments": {"a": 1}}'));
  assert.ok(grammar.accepts('{"name": "two", "arguments": {"a": 2}}'));
  assert.ok(!grammar.accepts('{"name": "two", "arguments": {"a": 1}}'));
});

Deno.test("grammar: one in GBNF stands beside calls and behind thoughts", () => {
  const format = (source: string) => ({ kind: "grammar", source, field: "grammar" }) as const;
  const source =
    '# a comment "\nroot ::= ws value{1,3} # more\nws ::= " "?\nvalue ::= [r\\]"] | "root"\n';
  const tags = KNOWN_TAGS[0]!;
  const grammar = grammarOf(
    calling({}, { format: format(source) }),
    { tags, opensThought: false },
    "<tool_call>",
  );
  for (const text of [" rootr", '"]', `<think>hm</think>root`, `<tool_call>${two}</tool_call>`]) {
    assert.ok(grammar.accepts(text), text);
  }
  assert.ok(!grammar.accepts("g0-root"));
  for (const bad of ["x ::= y", 'root ::= "a"{100000}', `root ::= ${'"a"{900} '.repeat(30)}`]) {
    assert.throws(() => build(request({ format: format(bad) })), {
      field: "grammar",
      code: "bad-request",
    });
  }
});

Deno.test("grammar: none without a format", () => {
  assert.equal(build(request({})), undefined);
});

Deno.test("grammar: a schema that cannot be one names the field it came from, and the tool", () => {
  const bad = request({
    format: { kind: "schema", schema: { type: "odd" }, field: "text.format" },
  });
  assert.throws(() => build(bad), { code: "bad-request", field: "text.format" });
  const parameters = {
    properties: { tags: { type: "array", items: { type: "string" }, uniqueItems: true } },
  };
  assert.throws(
    () => build(calling({ tools: [{ name: "f", parameters }], toolChoice: "required" })),
    {
      field: "tools",
      message: /^tools: "f": the JSON schema's "uniqueItems" at #\/properties\/tags: /,
    },
  );
});

Deno.test("grammar: a dozen tools with bounds and formats, as servers of MCP have them, are one grammar in each family", () => {
  const properties = {
    owner: { type: "string", minLength: 1, maxLength: 39 },
    title: { type: "string", minLength: 1, maxLength: 256 },
    body: { type: "string", maxLength: 65_536 },
    url: { type: "string", format: "uri" },
    when: { type: "string", format: "date-time" },
    labels: { type: "array", items: { type: "string", maxLength: 50 }, maxItems: 100 },
    page: { type: "integer", minimum: 1 },
  };
  const parameters = { type: "object", properties, required: ["owner"] };
  const tools = Array.from({ length: 12 }, (_, at) => ({ name: `tool_${at}`, parameters }));
  const size = (count: number, form: string) =>
    build(calling({ tools: tools.slice(0, count), toolChoice: "required" }), NONE, form)!.length;
  for (const form of ["<tool_call><function=", "<|tool_call>"]) {
    // They share what is alike in them: the names and the order are each one's own.
    const [one, twelve] = [size(1, form), size(12, form)];
    assert.ok(twelve < 3 * one, `${form}: ${one}, ${twelve}`);
  }
});
