/**
 * Calls that a grammar forces are written as each family's template writes them: what the template renders is permitted, and what
 * is permitted is read back as calls that fit their tool's schema.
 */
import assert from "node:assert/strict";
import { runAtOnce } from "../../src/budget.ts";
import { callForm } from "../../src/replies/call_forms.ts";
import { readerFor, replyFormat } from "../../src/replies/formats.ts";
import { replyOf } from "../../src/replies/written_calls.ts";
import type { Call } from "../../src/templates/types.ts";
import { callSyntax } from "../../runner/api/call_syntax.ts";
import { buildGrammar } from "../../runner/api/grammar.ts";
import { DEFAULT_OPTIONS } from "../../runner/api/options.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { exactText } from "../../src/exact_json.ts";
import { TestGrammar } from "../../runner/grammar/testing_gbnf.ts";
import { judge } from "../../runner/grammar/testing_judge.ts";
import { SchemaGenerator } from "../../runner/grammar/testing_schemas.ts";
import { Random } from "../jinja/generate.ts";
import { corpus, type Member } from "./corpus.ts";
import { cut, readReply, writer } from "./replies.ts";
import { seeds } from "../support/seeds.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";

const text = { type: "string", description: "a text" };
const TOOLS = [
  {
    name: "write_file",
    description: "Writes a file",
    parameters: {
      type: "object",
      properties: {
        path: text,
        content: text,
        count: { type: "integer", description: "how often" },
        ratio: { type: "number", description: "how much", minimum: 0, maximum: 2 },
        force: { type: "boolean", description: "whether" },
        tags: { type: "array", items: { type: "string" }, description: "which" },
        unit: { type: "string", enum: ["C", "3001", "true"], description: "one of" },
        line: { type: ["string", "null"], description: "a text or nothing" },
        port: { anyOf: [{ type: "string" }, { type: "integer" }], description: "either" },
        code: { type: "string", pattern: "^[a-z<>/]{0,30}$", description: "a code" },
        short: { type: "string", maxLength: 12, description: "few letters" },
        note: { type: "string", minLength: 1, maxLength: 2000, description: "many letters" },
        maybe: { type: ["string", "null"], maxLength: 500, description: "many, or nothing" },
        deep: {
          type: "object",
          description: "more",
          properties: {
            a: text,
            b: { type: "object", properties: { ok: { type: "boolean" }, list: { type: "array" } } },
          },
          required: ["a"],
        },
      },
      required: ["path"],
    },
  },
  { name: "now", description: "The time", parameters: { type: "object", properties: {} } },
];
/** What values may hold: what looks like another type, and what looks like the end of a value or a call. */
const TEXTS = [
  "3001",
  "true",
  "Oslo",
  "",
  "two\nlines",
  "ends\n",
  "\nbegins",
  "a </tool_call> b",
  'it "is" so\\n',
  "</parameter> or </arg_value>",
  "[TOOL_CALLS] and [ARGS]",
  "<|tool_call_end|> <|end|> <|call|>",
  "<｜tool▁call▁end｜>",
  "}]",
  "é 😀 <b>",
  "null",
  '{"a": 1}',
  " 7 ",
];

/** Its template writes neither objects nor null. */
const FLAT = new Set(["functiongemma"]);

function randomCall(random: Random, flat: boolean): Call {
  if (random.below(6) === 0) return { name: "now", arguments: {} };
  const text = () => TEXTS[random.below(TEXTS.length)]!;
  const all: Record<string, unknown> = {
    content: text(),
    count: random.below(100) - 50,
    ratio: random.below(3) / 2,
    force: random.below(2) === 0,
    tags: [text(), text()].slice(0, random.below(3)),
    unit: ["C", "3001", "true"][random.below(3)],
    line: random.below(2) === 0 ? null : "plain",
    port: random.below(2) === 0 ? 8080 : "http",
    code: ["", "</b>", "abc"][random.below(3)],
    short: ["", "a < b", "twelve chars"][random.below(3)],
    note: ["x", "a </p> b\n".repeat(90), "é <li>".repeat(250)][random.below(3)],
    maybe: ["", "a && b < c\n\n</p>", "x".repeat(400), "3 < 4".repeat(80)][random.below(4)],
    deep: { a: text(), b: { ok: random.below(2) === 0, list: [1.5, null, { x: [] }] } },
  };
  const names = Object.keys(all).filter((key) =>
    random.below(3) === 0 && !(flat && (key === "deep" || key === "line"))
  );
  return {
    name: "write_file",
    arguments: { path: text(), ...Object.fromEntries(names.map((key) => [key, all[key]])) },
  };
}

type Tools = readonly { readonly name: string; readonly parameters: unknown }[];

/** How a member's replies are read. */
function reading({ template }: Member, promptTail: string, tools: Tools) {
  return { template: template.source, promptTail, thought: template.thinks, tools };
}

/** A family's grammar for calls that must be made, and what a thought is between. */
function forced(member: Member, promptTail: string, tools: Tools, oneCall = false) {
  const { template } = member;
  const { tags, opensThought } = readerFor(reading(member, promptTail, tools));
  const syntax = callSyntax({
    calls: template.writtenCalls,
    source: template.source,
    promptTail,
  });
  const prompt = {
    kind: "chat",
    messages: [],
    tools,
    toolChoice: "required",
    ...(oneCall ? { oneCall: true as const } : {}),
  } as const;
  const request = { model: "m", prompt, options: DEFAULT_OPTIONS, truncate: true };
  const grammar = runAtOnce(buildGrammar(request, { tags, opensThought }, syntax))!;
  return { grammar: new TestGrammar(grammar), tags, opensThought };
}

const MEMBERS = corpus().filter(({ template }) =>
  template.callsTools && template.needs.calls !== "text"
);
/** A member's prompt ends so. */
function tailOf(member: Member): string {
  return replyOf(writer(member), [{ name: "now", arguments: {} }], TOOLS)!.promptTail;
}

/** Of a template that sorts, as Jinja's `dictsort` does. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, sorted(inner)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => a < b ? -1 : 1));
}
const shown = (calls: readonly Pick<Call, "name" | "arguments">[]) =>
  exactText(calls.map(({ name, arguments: values }) => ({ name, values: sorted(values) })));

for (const seed of seeds(FULL ? 3 : 1)) {
  const each = FULL ? 200 : 2;
  Deno.test(`templates: calls that ${each} times each family's template writes are such as a grammar forces, seed ${seed}`, () => {
    const random = new Random(seed);
    const wrong: unknown[] = [];
    let replies = 0;
    for (const member of MEMBERS) {
      const { name, template } = member;
      const promptTail = tailOf(member);
      const { grammar, tags, opensThought } = forced(member, promptTail, TOOLS);
      const most = template.needs.parallel === "apart" || name === "gpt-oss" ? 1 : 3;
      for (let index = 0; index < each; index++) {
        const calls = Array.from(
          { length: 1 + random.below(most) },
          () => randomCall(random, FLAT.has(name)),
        );
        const reply = replyOf(writer(member), calls, TOOLS)!;
        const closed = !opensThought || reply.text.includes(tags!.close);
        // gpt-oss begins with a space: the rest of a header that the prompt begins.
        const said = name === "gpt-oss" ? reply.text : reply.text.trim();
        const text = closed ? said : `hm${tags!.close}${said}`;
        replies++;
        if (!grammar.accepts(text)) wrong.push([name, "not permitted", text]);
        const read = readReply(reading(member, promptTail, TOOLS), [text]);
        if (shown(read.calls) !== shown(calls)) wrong.push([name, text, read.calls, calls]);
      }
    }
    assert.deepEqual(wrong.slice(0, 6), [], `${wrong.length} of ${replies}`);
    console.log(`templates: ${replies} replies are permitted`);
  });
}

Deno.test("templates: what a grammar forces is read back as calls that fit, by Python's jsonschema", async () => {
  const each = FULL ? 40 : 2;
  const random = new Random(seeds(1)[0]!);
  const wrong: unknown[] = [];
  const cases: { name: string; text: string; schema: unknown; texts: string[] }[] = [];
  let refused = 0;
  for (const member of MEMBERS) {
    const promptTail = tailOf(member);
    for (let index = 0; index < each; index++) {
      const generator = new SchemaGenerator(() => random.next());
      const made = {
        name: "made",
        description: "x",
        parameters: {
          type: "object",
          properties: { a: generator.document(), b: { type: "string", description: "x" } },
          required: index % 2 === 0 ? ["a", "b"] : ["b"],
        },
      };
      const tools: Tools = index === 0 ? TOOLS : [made, TOOLS[1]!];
      let of: ReturnType<typeof forced>;
      try {
        of = forced(member, promptTail, tools, index % 5 === 4);
      } catch (error) {
        assert.ok(error instanceof SecLlamaError && error.code === "bad-request", `${error}`);
        // Drawn schemas may be such as no grammar keeps; tools as people write them are not.
        if (index === 0) wrong.push([member.name, "refused", `${error}`]);
        refused++;
        continue;
      }
      for (let round = 0; round < (FULL ? 4 : 1); round++) {
        const text = of.grammar.sample(() => random.next(), 150);
        const whole = readReply(reading(member, promptTail, tools), [text]);
        const pieces = readReply(reading(member, promptTail, tools), cut(text, random));
        if (whole.calls.length === 0 || whole.text.trim() !== "") {
          wrong.push([member.name, "no calls, or text", text, whole]);
        }
        if (exactText(pieces.calls) !== exactText(whole.calls)) {
          wrong.push([member.name, "pieces", text, pieces.calls, whole.calls]);
        }
        for (const call of whole.calls) {
          const schema = tools.find(({ name }) => name === call.name)!.parameters;
          cases.push({ name: member.name, text, schema, texts: [exactText(call.arguments)] });
        }
      }
    }
  }
  const drawn = MEMBERS.length * (each - 1);
  assert.ok(refused < drawn / 2, `${refused} of ${drawn} drawn schemas were refused`);
  const words = await judge(cases);
  words.forEach((word, at) => {
    // What the reference cannot judge it calls by an error's name.
    if (word?.[0] === false) wrong.push([cases[at]!.name, cases[at]]);
  });
  assert.deepEqual(wrong.slice(0, 6), [], `${wrong.length} of ${cases.length}`);
  console.log(`templates: ${cases.length} forced calls fit, ${refused} schemas were refused`);
});

Deno.test("templates: names that are no identifiers are written and read back, of tools and of their parameters", () => {
  const random = new Random(1);
  const wrong: unknown[] = [];
  let odd = 0;
  for (const member of MEMBERS) {
    const promptTail = tailOf(member);
    const { template } = member;
    const form = callForm(template.writtenCalls, template.source);
    const quotes = replyFormat(template.source) === "tagged" && form.call[0].endsWith('"');
    const inJson = form.arguments.kind === "json";
    const orJson = form.arguments.kind === "markup" && form.arguments.orJson === true;
    const parameters = ["max-results", ...(inJson || orJson ? ["a b", 'it"s'] : [])];
    const names = ["find", ...(inJson && quotes ? ['say "it"', "back\\slash"] : [])];
    odd += parameters.length + names.length - 2;
    for (const name of names) {
      for (const parameter of parameters) {
        const schema = {
          type: "object",
          properties: { [parameter]: { type: "integer" } },
          required: [parameter],
        };
        const tools: Tools = [{ name, parameters: schema }];
        const { grammar } = forced(member, promptTail, tools, true);
        const text = grammar.sample(() => random.next(), 150);
        const { calls } = readReply(reading(member, promptTail, tools), [text]);
        const is = calls.map((call) => [call.name, Object.keys(call.arguments)]);
        if (JSON.stringify(is) !== JSON.stringify([[name, [parameter]]])) {
          wrong.push([member.name, name, parameter, text, calls]);
        }
      }
    }
  }
  assert.deepEqual(wrong.slice(0, 6), [], `${wrong.length}`);
  assert.ok(odd > MEMBERS.length);
});

/** What stands for something in one family's way of writing or another's. */
const ODD_NAMES = [
  "my:tool{x}",
  "a b",
  "naïve",
  'x"y',
  "x'y",
  "a(b",
  "a=b",
  "日本",
  "<x>",
  "a,b",
  "a\nb",
  "a.b-c",
  "]",
  "{a}",
  "a</function>",
  "a<|message|>b",
  "to=functions.a",
  "functions.a:0",
  "a<|tool_call_argument_begin|>",
  "x".repeat(200),
];

Deno.test("templates: a tool's name, whatever it is, comes back from a forced call, or is refused by name", () => {
  const random = new Random(3);
  const wrong: unknown[] = [];
  let read = 0, refused = 0;
  for (const member of MEMBERS) {
    const promptTail = tailOf(member);
    for (const name of ODD_NAMES) {
      const parameters = { type: "object", properties: { q: { enum: ["one"] } }, required: ["q"] };
      const tools: Tools = [{ name, parameters }, { name: "other", parameters }];
      let text: string;
      try {
        const { grammar } = forced(member, promptTail, tools.slice(0, 1), true);
        text = grammar.sample(() => random.next(), 150);
      } catch (error) {
        assert.ok(error instanceof SecLlamaError && error.message.includes("tools: "), `${error}`);
        refused++;
        continue;
      }
      read++;
      const { calls } = readReply(reading(member, promptTail, tools), [text]);
      const pieces = readReply(reading(member, promptTail, tools), [...text]);
      const is = (made: typeof calls) => made.map((call) => [call.name, call.arguments]);
      const wanted = JSON.stringify([[name, { q: "one" }]]);
      if (exactText(is(calls)) !== wanted || exactText(is(pieces.calls)) !== wanted) {
        wrong.push([member.name, name, text, calls]);
      }
    }
  }
  assert.deepEqual(wrong.slice(0, 6), [], `${wrong.length} of ${read}`);
  console.log(`templates: ${read} calls of odd names are read, ${refused} names were refused`);
  assert.ok(read > 10 * MEMBERS.length);
});
