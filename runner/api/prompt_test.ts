import assert from "node:assert/strict";
import { testApi } from "./testing.ts";

// The fake's context is 60 tokens, and its tokens are characters: a turn costs 15 and its text.
const SMALL = { info: { slotContextLength: 60 } };

const chat = (contents: string[], change: Record<string, unknown> = {}) => ({
  model: "demo",
  stream: false,
  messages: contents.map((content, index) => ({
    role: content.startsWith("S") ? "system" : index % 2 === 0 ? "user" : "user",
    content,
  })),
  ...change,
});

const contents = (api: ReturnType<typeof testApi>) =>
  api.engine.chats.at(-1)!.messages.map((message) => message.content);

Deno.test("prompt: what fits is left alone", async () => {
  const api = testApi(SMALL);
  await api.post("/api/chat", chat(["S", "a"]));
  assert.equal(api.engine.chats.length, 1);
  assert.deepEqual(contents(api), ["S", "a"]);
});

Deno.test("prompt: the oldest messages go first, system messages and the last one stay", async () => {
  const api = testApi({ info: { slotContextLength: 80 } });
  await api.post("/api/chat", chat(["S", "old1", "old2", "old3", "last"]));
  const request = api.engine.requests.at(-1)!;
  const text = api.engine.promptText(request);
  assert.ok(!text.includes("old1") && !text.includes("old2"));
  assert.match(text, /^<\|system\|>S<\|end\|>.*<\|user\|>last<\|end\|><\|assistant\|>$/);
  // Some of the context is left for the reply.
  assert.ok((request.prompt as Int32Array).length <= 60);
});

Deno.test("prompt: as many messages are kept as fit", async () => {
  const api = testApi({ info: { slotContextLength: 400 } });
  const many = Array.from({ length: 100 }, (_, index) => `m${index}`);
  await api.post("/api/chat", chat(many));
  const request = api.engine.requests.at(-1)!;
  const kept = api.engine.promptText(request).match(/m\d+/g)!;
  assert.deepEqual(kept, many.slice(-kept.length));
  const room = 400 - 100;
  const length = (request.prompt as Int32Array).length;
  assert.ok(length <= room && length + "<|user|>m10<|end|>".length > room);
  // Found by halving, not by rendering a hundred prompts.
  assert.ok(api.engine.chats.length < 12);
});

Deno.test("prompt: what is too long is made as a whole once, however often it is asked for", async () => {
  for (const contents of [["S", "old1", "old2", "old3", "last"], ["x".repeat(90)]]) {
    const api = testApi({ info: { slotContextLength: 80 } });
    const response = await api.post("/api/chat", chat(contents));
    assert.match(response.headers.get("secllama-truncated") ?? "", /^prompt=\d+/);
    const whole = api.engine.chats.filter(({ messages }) => messages.length === contents.length);
    assert.equal(whole.length, 1, `of ${api.engine.chats.length}`);
  }
});

Deno.test("prompt: a last message that is too long is cut in front, its end stays", async () => {
  const api = testApi(SMALL);
  const response = await api.post("/api/chat", chat(["x".repeat(500) + "THE END"]));
  assert.equal(response.status, 200);
  const text = api.engine.promptText(api.engine.requests.at(-1)!);
  assert.match(text, /x+THE END<\|end\|><\|assistant\|>$/);
  assert.equal((api.engine.requests.at(-1)!.prompt as Int32Array).length, 45);
});

Deno.test("prompt: with truncate false it is 400 in Ollama's words", async () => {
  for (const length of [100, 10_000_000]) {
    const { post } = testApi(SMALL);
    const body = chat(["x".repeat(length)], { truncate: false });
    const response = await post("/api/chat", body);
    assert.equal(response.status, 400);
    const { error, code, hint } = await response.json();
    assert.equal(error, "the input length exceeds the context length");
    assert.equal(code, "context-too-long");
    const [, have, most] = /^the prompt has (\d+) tokens, the context has room for (\d+)$/.exec(
      hint,
    )!;
    assert.equal(Number(most), SMALL.info.slotContextLength - 1);
    assert.ok(Number(have) > Number(most), hint);
    // Counted where it costs little, else estimated.
    if (length === 100) assert.equal(Number(have), 1 + 100 + "<|user|><|end|><|assistant|>".length);
  }
});

Deno.test("prompt: one that is too long is told with both numbers, in each dialect's words", async () => {
  const texts: { readonly [path: string]: RegExp } = {
    "/v1/messages": /^prompt is too long: (\d+) tokens > (\d+) maximum$/,
    "/v1/chat/completions":
      /^This model's maximum context length is (?<most>\d+) tokens\. However, your messages resulted in (?<have>\d+) tokens\./,
  };
  // More messages than the context has tokens, and system messages that are too long, are never cut.
  const systems = { role: "system", content: "x".repeat(SMALL.info.slotContextLength * 300) };
  const user = { role: "user", content: "x" };
  for (const messages of [Array(100).fill(user), [systems, user]]) {
    for (const [path, text] of Object.entries(texts)) {
      const body = { model: "demo", max_tokens: 1, messages };
      const response = await testApi(SMALL).post(path, body);
      assert.equal(response.status, 400);
      const { error: { message } } = await response.json();
      const match = text.exec(message);
      assert.ok(match, message);
      const { have = match[1], most = match[2] } = match.groups ?? {};
      assert.ok(Number(have) > Number(most) && Number(most) > 0, message);
    }
  }
  const input = { model: "demo", input: "x".repeat(100), truncation: "disabled" };
  const { error } = await (await testApi(SMALL).post("/v1/responses", input)).json();
  assert.deepEqual([error.param, error.code], ["input", "context_length_exceeded"]);
});

Deno.test("prompt: ten megabytes are cut without being tokenized", async () => {
  const api = testApi(SMALL);
  let longest = 0;
  const tokenize = api.engine.tokenize.bind(api.engine);
  api.engine.tokenize = (text, o) => {
    longest = Math.max(longest, text.length);
    return tokenize(text, o);
  };
  for (const path of ["/api/chat", "/api/generate"]) {
    const text = "word ".repeat(2_000_000);
    const body = path === "/api/chat"
      ? chat([text])
      : { model: "demo", prompt: text, stream: false };
    assert.equal((await api.post(path, body)).status, 200);
  }
  assert.ok(longest > 0 && longest <= 60 * 256);
});

Deno.test("prompt: half a surrogate pair at the cut does no harm", async () => {
  const api = testApi(SMALL);
  const text = "x" + "😀".repeat(20_000);
  const response = await api.post("/api/chat", chat([text]));
  assert.equal(response.status, 200);
});

Deno.test("prompt: num_ctx makes the context smaller, never larger", async () => {
  const api = testApi({ info: { slotContextLength: 200 } });
  const ask = (num_ctx: number) =>
    api.post("/api/chat", chat(["hello"], { options: { num_ctx }, truncate: false, shift: false }));
  assert.equal((await ask(30)).status, 400);
  assert.equal((await ask(50)).status, 200);
  // 1 + 8 + 5 + 7 + 13 tokens of prompt.
  assert.equal(api.engine.requests.at(-1)!.maxTokens, 50 - 34);
  assert.equal((await ask(1_000_000)).status, 200);
  assert.equal(api.engine.requests.at(-1)!.maxTokens, -1);
});
