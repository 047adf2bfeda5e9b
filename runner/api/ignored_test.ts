/** What of a request had no effect is said in a header, alike in all dialects; figures of the cache are true. */
import assert from "node:assert/strict";
import { IGNORED_HEADER, readIgnored, writeIgnored } from "../../src/api/ignored.ts";
import { testApi } from "./testing.ts";

const messages = [{ role: "user", content: "Hi" }];
const THINKING: readonly (readonly [path: string, body: Record<string, unknown>])[] = [
  ["/api/chat", { messages, think: true }],
  ["/api/chat", { messages, think: "high", stream: false }],
  ["/api/generate", { prompt: "Hi", think: true }],
  ["/v1/chat/completions", { messages, reasoning_effort: "high" }],
  ["/v1/chat/completions", { messages, reasoning: { effort: "low" }, stream: true }],
  ["/v1/responses", { input: "Hi", reasoning: { effort: "high" } }],
  ["/v1/responses", { input: "Hi", reasoning: { effort: "high" }, stream: true }],
  ["/v1/messages", { messages, max_tokens: 9, thinking: { type: "enabled", budget_tokens: 1024 } }],
  ["/v1/messages", { messages, max_tokens: 9, thinking: { type: "adaptive" }, stream: true }],
];

for (const [path, body] of THINKING) {
  Deno.test(`${path}: ${JSON.stringify(body).slice(41, 120)}: a model that cannot think answers without, and says so`, async () => {
    const response = await testApi().post(path, { model: "demo", ...body });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get(IGNORED_HEADER), "thinking");
    assert.match(await response.text(), /Hello/);
    const able = testApi({ info: { capabilities: ["completion", "thinking"] } });
    const other = await able.post(path, { model: "demo", ...body });
    assert.equal(other.headers.get(IGNORED_HEADER), null);
    await other.body?.cancel();
  });
}

Deno.test("ignored: tools that only a server could run", async () => {
  const { post } = testApi({ info: { capabilities: ["completion", "tools"] } });
  const fn = { type: "function", name: "f" };
  const asked = {
    model: "demo",
    input: "Hi",
    tools: [
      { type: "local_shell" },
      fn,
      { type: "mcp", server_label: "x" },
      { type: "namespace", name: "n", tools: [{ type: "web_search" }] },
      { type: "mcp", server_label: "y" },
    ],
  };
  const response = await post("/v1/responses", asked);
  assert.equal(
    response.headers.get(IGNORED_HEADER),
    "tools.local_shell, tools.mcp, tools.web_search",
  );
});

Deno.test("ignored: fields of OpenAI's chat that only its own models know", async () => {
  const body = {
    model: "demo",
    messages: [{ role: "user", content: "hi" }],
    functions: [{ name: "a", parameters: {} }],
    function_call: "auto",
    web_search_options: {},
    audio: { voice: "a", format: "wav" },
  };
  const answer = await testApi().post("/v1/chat/completions", body);
  assert.equal(answer.status, 200);
  const ignored = readIgnored(answer.headers);
  assert.deepEqual(ignored, ["functions", "function_call", "web_search_options", "audio"]);
});

Deno.test("ignored: strict, of tools whose calls nothing can hold to their schema", async () => {
  const tool = (strict: boolean) => ({ type: "function", function: { name: "f", strict } });
  const header = async (chatTemplate: string, o: { strict: boolean; tool_choice?: string }) => {
    const { post } = testApi({ info: { capabilities: ["completion", "tools"], chatTemplate } });
    const { strict, ...more } = o;
    const asked = { model: "demo", messages, tools: [tool(strict)], ...more };
    const response = await post("/v1/chat/completions", asked);
    assert.equal(response.status, 200);
    return response.headers.get(IGNORED_HEADER);
  };
  const shown = "{{ messages[0].content }}{{ tools }}";
  assert.equal(await header(shown, { strict: true }), "tools.strict");
  assert.equal(await header(shown, { strict: false }), null);
  assert.equal(await header(shown, { strict: true, tool_choice: "required" }), null);
  assert.equal(await header(`${shown}<tool_call>`, { strict: true }), null);
});

Deno.test("ignored: of what a runner writes, only what is in its form is read", () => {
  const of = (value: string) => readIgnored(new Headers({ [IGNORED_HEADER]: value }));
  assert.deepEqual(of("thinking, tools.mcp"), ["thinking", "tools.mcp"]);
  for (const bad of ["", "A", "x;y", "<b>", "a,b", "a".repeat(65), "a, ".repeat(20) + "a"]) {
    assert.deepEqual(of(bad), [], bad);
  }
  assert.equal(writeIgnored(["a", "b c", "a", "d"]), "a, d");
});

Deno.test("usage: what was in the cache, in each dialect's own way", async () => {
  const { post } = testApi();
  const json = async (path: string, body: Record<string, unknown>) =>
    (await (await post(path, { model: "demo", ...body })).json()).usage;
  const chat = await json("/v1/chat/completions", { messages });
  assert.equal(chat.prompt_tokens_details.cached_tokens, 2);
  const responses = await json("/v1/responses", { input: "Hi" });
  assert.equal(responses.input_tokens_details.cached_tokens, 2);
  const max_tokens = 9;
  const plain = await json("/v1/messages", { messages, max_tokens });
  assert.deepEqual([plain.input_tokens, plain.cache_read_input_tokens], [chat.prompt_tokens, 0]);
  const cache_control = { type: "ephemeral" };
  const text = { type: "text", text: "Hi" };
  for (
    const marked of [
      { cache_control },
      { messages: [{ role: "user", content: [{ ...text, cache_control }] }] },
      { tools: [{ name: "f", cache_control }], tool_choice: { type: "none" } },
    ]
  ) {
    const usage = await json("/v1/messages", { messages, max_tokens, ...marked });
    assert.deepEqual(
      [usage.input_tokens + usage.cache_read_input_tokens, usage.cache_read_input_tokens],
      [chat.prompt_tokens, 2],
    );
  }
});

Deno.test("/api/embed: num_ctx bounds an input", async () => {
  const { post } = testApi({ info: { capabilities: ["embedding"] } });
  const ask = async (body: Record<string, unknown>) =>
    await post("/api/embed", { model: "demo", input: "a long text", ...body });
  const count = async (body: Record<string, unknown>) =>
    (await (await ask(body)).json()).prompt_eval_count;
  const whole = await count({});
  assert.ok(whole > 4);
  assert.equal(await count({ options: { num_ctx: 4 } }), 4);
  assert.equal(await count({ options: { num_ctx: 100_000 } }), whole);
  assert.equal((await ask({ options: { num_ctx: 4 }, truncate: false })).status, 400);
});
