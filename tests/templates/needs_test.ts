/** What is found out about templates by trying, and what is made of it. */
import assert from "node:assert/strict";
import { adapt } from "../../src/templates/adapt.ts";
import { pairResults } from "../../src/templates/ids.ts";
import { type Needs, NO_NEEDS } from "../../src/templates/needs.ts";
import type { Message } from "../../src/templates/types.ts";
import { templateVariables } from "../../src/templates/variables.ts";
import { corpus } from "./corpus.ts";
import { writer } from "./replies.ts";

const NEEDS = new Map(corpus().map(({ name, template }) => [name, template.needs]));

/** Family → what must have been found, among other things. */
const FOUND: Readonly<Record<string, Partial<Needs>>> = {
  "mistral-nemo": { ids: "nine", turns: "joined", begins: "user", behindResult: "" },
  "kimi-k2": { ids: "numbered", arguments: "object" },
  "deepseek-r1": { arguments: "text", empty: "null", mixed: "split", tools: "system" },
  "deepseek-v3.1": { arguments: "text", toolParts: "filled" },
  "functionary3.1": { arguments: "text" },
  "gemma2": { system: "user", turns: "joined", calls: "text", results: "user" },
  "phi3-nosystem": { system: "user" },
  "phi4-mini": { tools: "message" },
  "firefunction2": { tools: "functions" },
  "parts-only": { content: "parts" },
  "llama3.1": { parallel: "apart", mixed: "split" },
  "gpt-oss": { systems: "one", parallel: "apart", orphans: "user" },
  "hermes3": { noTools: "empty", toolTypes: "single", toolParts: "filled" },
  "command-r-typed": { toolTypes: "filled", toolParts: "filled" },
  "falcon3": { toolsBeside: "system" },
  "qwen3-thinking": { systems: "one", users: "one", developer: "system" },
  "qwen3": { arguments: "object", system: "own", turns: "any" },
};

for (const [name, needs] of Object.entries(FOUND)) {
  Deno.test(`templates: what ${name} needs is found`, () => {
    const found = NEEDS.get(name)!;
    for (const [key, value] of Object.entries(needs)) {
      assert.equal(found[key as keyof Needs], value, key);
    }
  });
}

const user = (content: string): Message => ({ role: "user", content });
const called = (...ids: (string | undefined)[]): Message => ({
  role: "assistant",
  content: "",
  toolCalls: ids.map((id, index) => ({
    ...(id === undefined ? {} : { id }),
    name: `tool${index}`,
    arguments: {},
  })),
});
const answer = (toolCallId?: string, toolName?: string): Message => ({
  role: "tool",
  content: "r",
  ...(toolCallId === undefined ? {} : { toolCallId }),
  ...(toolName === undefined ? {} : { toolName }),
});

Deno.test("templates: results find their calls, with ids or without, and ids stay as a conversation grows", () => {
  for (const form of ["own", "nine", "numbered"] as const) {
    const messages = [
      user("a"),
      called("x", "y"),
      answer("y"),
      answer("x"),
      called(undefined, undefined),
      answer(undefined, "tool1"),
      answer(),
      called("x"),
      answer("x"),
    ];
    const paired = pairResults(messages, form);
    const ids = paired.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id }) => id));
    assert.deepEqual(
      paired.filter(({ role }) => role === "tool").map(({ toolCallId }) => toolCallId),
      [ids[1], ids[0], ids[3], ids[2], ids[4]],
    );
    assert.deepEqual(
      paired.filter(({ role }) => role === "tool").map(({ toolName }) => toolName),
      ["tool1", "tool0", "tool1", "tool0", "tool0"],
    );
    const shape = {
      own: /^(x|y|call_\d+)$/,
      nine: /^[a-z0-9]{9}$/,
      numbered: /^functions\.tool\d:\d$/,
    };
    for (const id of ids) assert.match(id!, shape[form]);
    assert.equal(new Set(ids).size, 4);
    for (let length = 1; length < messages.length; length++) {
      assert.deepEqual(pairResults(messages.slice(0, length), form), paired.slice(0, length));
    }
  }
  const kept = pairResults([called("Abc123xyz")], "nine");
  assert.equal(kept[0]!.toolCalls![0]!.id, "Abc123xyz");
});

Deno.test("templates: a template without needs is given the messages as they are", () => {
  const messages = [
    { role: "system", content: "s" },
    user("a"),
    user("b"),
    { role: "assistant", content: "c", thinking: "t" },
  ];
  assert.deepEqual(adapt({ messages }, NO_NEEDS), messages);
  const { messages: shown, tools } = templateVariables(
    messages,
    { addGenerationPrompt: true },
    NO_NEEDS,
    new Date(),
  );
  assert.deepEqual(shown, [
    ...messages.slice(0, 3),
    { role: "assistant", content: "c", thinking: "t", reasoning_content: "t" },
  ]);
  assert.equal(tools, null);
});

Deno.test("templates: system messages become the next user's text, and none is lost", () => {
  const needs: Needs = {
    ...NO_NEEDS,
    system: "user",
    developer: "system",
    turns: "joined",
    begins: "user",
  };
  const of = (...rows: [role: string, content: string][]) =>
    adapt({ messages: rows.map(([role, content]) => ({ role, content })) }, needs)
      .map(({ role, content }) => `${role}:${content}`);
  assert.deepEqual(of(["system", "s"], ["user", "u"]), ["user:s\n\nu"]);
  assert.deepEqual(of(["system", "s"]), ["user:s"]);
  assert.deepEqual(of(["system", "s"], ["assistant", "a"], ["user", "u"]), [
    "user:s",
    "assistant:a",
    "user:u",
  ]);
  assert.deepEqual(
    of(["user", "u"], ["assistant", "a"], ["system", "s"], ["developer", "d"], ["user", "v"]),
    ["user:u", "assistant:a", "user:s\n\nd\n\nv"],
  );
  assert.deepEqual(of(["user", "u"], ["system", "s"]), ["user:u\n\ns"]);
  assert.deepEqual(of(["assistant", "a"]), ["user:", "assistant:a"]);
});

Deno.test("templates: a tool whose types are no names of JSON Schema's makes a prompt in each family", () => {
  for (const member of corpus()) {
    if (!member.template.callsTools) continue;
    for (const type of ["int", "Float", "null", "any", "date", "constructor", "dict"]) {
      const parameters = { type: "object", properties: { q: { type, description: "a" } } };
      const tools = [{ name: "find", description: "finds", parameters }];
      const text = writer(member)([user("hi")], tools, true);
      assert.ok(text?.includes("find"), `${member.name}, ${type}`);
    }
  }
});

Deno.test("templates: a tool with maps of anything, or a description that is no text, makes a prompt in each family", () => {
  const map = (additionalProperties: unknown) => ({ type: "object", additionalProperties });
  const odd = [
    map({ type: ["string", "null"] }),
    map({ type: "object" }),
    map(map({ type: ["object", "null"] })),
    map({ anyOf: [{ type: "string" }, { type: "null" }] }),
    map({}),
    map(true),
    { type: "array", items: map({ type: "object" }) },
    { type: "string", description: 5 },
  ];
  for (const { name, template } of corpus()) {
    if (!template.callsTools) continue;
    for (const q of odd) {
      const parameters = { type: "object", properties: { q } };
      const tools = [{ name: "find", description: "finds", parameters }];
      const refused = template.refusal([{ messages: [user("hi")], tools }]);
      assert.equal(refused, undefined, `${name}, ${JSON.stringify(q)}`);
    }
  }
});

Deno.test("templates: what a map holds has its own type in the prompt", () => {
  const member = corpus().find(({ name }) => name === "command-r-typed")!;
  const of = (type: unknown) => {
    const q = { type: "object", additionalProperties: { type } };
    const parameters = { type: "object", properties: { q } };
    const tools = [{ name: "find", description: "finds", parameters }];
    return writer(member)([user("hi")], tools, true);
  };
  assert.match(of("integer")!, /q: Dict\[str, int\]/);
  assert.match(of(["number", "null"])!, /q: Dict\[str, float\]/);
});
