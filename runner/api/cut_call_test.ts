/** A call that the bound on the reply cuts stays a call in each dialect, in its own form; it never becomes text. */
import assert from "node:assert/strict";
import { readEvents, readLines, testApi } from "./testing.ts";

const PARAMETERS = {
  type: "object",
  properties: { path: { type: "string" }, text: { type: "string" } },
};
const PARTIAL = '{"path":"a.txt","text":"Once upon';
const WRITTEN = '{"path": "a.txt", "text": "Once upon';
/** What of it is whole: nobody is to act on half a value. */
const WHOLE = { path: "a.txt" };
const MESSAGES = [{ role: "user", content: "Write" }];
const FUNCTION = { name: "write", parameters: PARAMETERS };

function cutApi() {
  const reply = `Now.<tool_call>{"name": "write", "arguments": ${WRITTEN}`;
  return testApi({
    pieces: [...reply],
    reason: "length",
    info: { chatTemplate: "{{ tools }}<tool_call>", capabilities: ["completion", "tools"] },
  });
}

async function ask(path: string, body: Record<string, unknown>) {
  const limit = { [path === "/v1/responses" ? "max_output_tokens" : "max_tokens"]: 16 };
  const response = await cutApi().post(path, { model: "demo", ...limit, ...body });
  assert.equal(response.status, 200, response.ok ? "" : await response.text());
  return response;
}

Deno.test("a cut call: OpenAI's chat, whole and streamed", async () => {
  const body = { messages: MESSAGES, tools: [{ type: "function", function: FUNCTION }] };
  const [choice] = (await (await ask("/v1/chat/completions", body)).json()).choices;
  assert.equal(choice.finish_reason, "length");
  assert.equal(choice.message.content, "Now.");
  assert.equal(choice.message.tool_calls[0].function.name, "write");
  assert.equal(choice.message.tool_calls[0].function.arguments, PARTIAL);

  const events = await readEvents(await ask("/v1/chat/completions", { ...body, stream: true }));
  const deltas = events.slice(0, -1).map((one) => JSON.parse(one.data).choices[0]?.delta ?? {});
  assert.equal(deltas.map((delta) => delta.content ?? "").join(""), "Now.");
  assert.equal(
    deltas.flatMap((delta) => delta.tool_calls ?? [])
      .map((call) => call.function.arguments).join(""),
    PARTIAL,
  );
});

Deno.test("a cut call: OpenAI's responses", async () => {
  const body = { input: "Write", tools: [{ type: "function", ...FUNCTION }] };
  const reply = await (await ask("/v1/responses", body)).json();
  assert.equal(reply.status, "incomplete");
  const call = reply.output.find((item: { type: string }) => item.type === "function_call");
  assert.equal(call.status, "incomplete");
  assert.equal(call.arguments, PARTIAL);
});

Deno.test("a cut call: Anthropic, whole and streamed", async () => {
  const tools = [{ name: "write", input_schema: PARAMETERS }];
  const reply = await (await ask("/v1/messages", { messages: MESSAGES, tools })).json();
  assert.equal(reply.stop_reason, "max_tokens");
  assert.deepEqual(reply.content.map((block: { type: string }) => block.type), [
    "text",
    "tool_use",
  ]);
  assert.deepEqual(reply.content[1].input, WHOLE);

  const events = await readEvents(
    await ask("/v1/messages", { messages: MESSAGES, tools, stream: true }),
  );
  const json = events.map((one) => JSON.parse(one.data).delta?.partial_json ?? "").join("");
  assert.equal(json, PARTIAL);
});

Deno.test("a cut call: Ollama, whole and streamed", async () => {
  const tools = [{ type: "function", function: FUNCTION }];
  const reply = await (await ask("/api/chat", { messages: MESSAGES, tools, stream: false })).json();
  assert.equal(reply.done_reason, "length");
  assert.equal(reply.message.content, "Now.");
  assert.deepEqual(reply.message.tool_calls[0].function, {
    index: 0,
    name: "write",
    arguments: WHOLE,
  });
  const { lines } = await readLines(await ask("/api/chat", { messages: MESSAGES, tools }));
  const calls = lines.flatMap((line) =>
    (line.message as { tool_calls?: unknown[] }).tool_calls ?? []
  );
  assert.equal(calls.length, 1);
});
