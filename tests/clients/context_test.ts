/** Long prompts over the whole path: whole where there is room, and where there is not, said. */
import assert from "node:assert/strict";
import { AFTER, startScripted, TEXT } from "../support/agent_model.ts";
import type { Served } from "../support/serve.ts";

/** Some 20,000 tokens of Llama's vocabulary, as a coding agent's first request has. */
const LONG = "Read the file, then change a line of it. ".repeat(2000);

async function post({ proxyUrl }: Served, path: string, body: Record<string, unknown>) {
  const response = await fetch(proxyUrl + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "scripted", ...body }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

async function contextOf({ proxyUrl }: Served): Promise<number> {
  const { models } = await (await fetch(`${proxyUrl}/api/ps`)).json();
  const of = models.find(({ name }: { name: string }) => name === "scripted:latest");
  return of?.context_length ?? 0;
}

const user = (content: string) => [{ role: "user", content }];

Deno.test("context: a prompt of 20,000 tokens is whole in each dialect, without a setting", async (t) => {
  await using served = await startScripted();
  const counts = new Set<number>();
  for (
    const [path, body, tokensOf] of [
      ["/api/chat", { messages: user(LONG), stream: false }, (b: Any) => b.prompt_eval_count],
      ["/v1/chat/completions", { messages: user(LONG) }, (b: Any) => b.usage.prompt_tokens],
      ["/v1/responses", { input: LONG }, (b: Any) => b.usage.input_tokens],
      ["/v1/messages", { messages: user(LONG), max_tokens: 50 }, (b: Any) => b.usage.input_tokens],
      ["/v1/messages/count_tokens", { messages: user(LONG) }, (b: Any) => b.input_tokens],
      ["/v1/responses/input_tokens", { input: LONG }, (b: Any) => b.input_tokens],
    ] as const
  ) {
    await t.step(path, async () => {
      const answer = await post(served, path, body);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.equal(answer.headers.get("secllama-truncated"), null);
      counts.add(tokensOf(answer.body));
      if (!path.endsWith("tokens")) assert.ok(JSON.stringify(answer.body).includes(TEXT));
    });
  }
  assert.equal(counts.size, 1, `all count alike: ${[...counts]}`);
  assert.ok([...counts][0]! > 20_000);
  assert.ok(await contextOf(served) >= 32_768);
});

// deno-lint-ignore no-explicit-any -- an answer's body, looked into
type Any = any;

Deno.test("context: what the operator's limit cuts is refused or said, in each dialect's own words", async (t) => {
  await using served = await startScripted({
    args: ["--ephemeral", "--context-length", "4096"],
  });
  const count = (await post(served, "/v1/messages/count_tokens", { messages: user(LONG) }))
    .body.input_tokens;
  assert.ok(count > 20_000);

  await t.step("Ollama's is cut, and says so in a header and in the proxy's log", async () => {
    const body = { messages: user(LONG), stream: false, options: { num_ctx: 32_768 } };
    const { status, headers, body: answer } = await post(served, "/api/chat", body);
    assert.equal(status, 200);
    const said = /^prompt=(\d+), kept=(\d+)$/.exec(headers.get("secllama-truncated") ?? "")!;
    assert.ok(Math.abs(Number(said[1]) - count) < count / 20, `${said[1]} is about ${count}`);
    assert.equal(Number(said[2]), answer.prompt_eval_count);
    assert.match(served.stderr(), /"role":"proxy","event":"prompt-truncated","prompt":\d+,"kept":/);
    assert.ok(!served.stderr().includes("Read the file"));
    assert.equal(await contextOf(served), 4096);
  });

  await t.step(
    "the others refuse, with the code and the numbers that agents look for",
    async () => {
      for (const stream of [false, true]) {
        const chat = await post(served, "/v1/chat/completions", { messages: user(LONG), stream });
        assert.equal(chat.status, 400);
        assert.equal(chat.body.error.code, "context_length_exceeded");
        assert.match(
          chat.body.error.message,
          /maximum context length is 4095 tokens\. .* \d{5} tokens/,
        );
        const responses = await post(served, "/v1/responses", { input: LONG, stream });
        assert.deepEqual([responses.status, responses.body.error.code], [
          400,
          "context_length_exceeded",
        ]);
        const messages = await post(served, "/v1/messages", {
          messages: user(LONG),
          max_tokens: 9,
          stream,
        });
        assert.deepEqual([messages.status, messages.body.error.type], [
          400,
          "invalid_request_error",
        ]);
        assert.match(
          messages.body.error.message,
          /^prompt is too long: \d{5} tokens > 4095 maximum/,
        );
      }
      const auto = await post(served, "/v1/responses", { input: LONG, truncation: "auto" });
      assert.equal(auto.status, 200);
      assert.match(auto.headers.get("secllama-truncated")!, /^prompt=\d+, kept=\d+$/);
    },
  );
});

Deno.test("context: num_ctx loads the model with more, and what was running goes on", async () => {
  const modelfile = { num_ctx: 2048 };
  await using served = await startScripted({ parameters: modelfile });
  const first = await post(served, "/api/chat", { messages: user("hi"), stream: false });
  assert.equal(first.body.message.content, TEXT);
  assert.equal(await contextOf(served), 2048);

  const running = await fetch(`${served.proxyUrl}/api/chat`, {
    method: "POST",
    body: JSON.stringify({ model: "scripted", messages: user("USE:endless") }),
    headers: { "content-type": "application/json" },
  });
  const reader = running.body!.getReader();
  await reader.read();
  // The gateway cannot read it; the proxy tells it in steps.
  const options = { num_ctx: 6000 };
  const larger = await post(served, "/api/chat", {
    messages: user(LONG.slice(0, 12_000)),
    stream: false,
    options,
  });
  assert.equal(larger.status, 200);
  assert.equal(larger.headers.get("secllama-truncated"), null);
  assert.equal(await contextOf(served), 8192);
  const { value, done } = await reader.read();
  assert.ok(!done && value.length > 0, "the old runner still answers");
  await reader.cancel();

  const tools = [{ type: "function", function: { name: "bash" } }];
  const messages = [
    ...user(LONG),
    { role: "assistant", content: "", tool_calls: [{ function: { name: "bash", arguments: {} } }] },
    { role: "tool", content: "ok" },
  ];
  const long = await post(served, "/api/chat", { messages, tools, stream: false });
  assert.equal(long.body.message.content, AFTER, "a long conversation asks for itself");
  assert.ok(await contextOf(served) >= 32_768);
});
