import assert from "node:assert/strict";
import { testApi } from "../testing.ts";

const messages = [{ role: "system", content: "Be brief" }, { role: "user", content: "Hi<|end|>" }];
const script = { controlTokens: ["<|end|>", "<|user|>", "<|system|>", "<|assistant|>"] };

function asking(o: Parameters<typeof testApi>[0] = script) {
  const { post, engine } = testApi(o);
  const ask = async (path: string, body: Record<string, unknown>) => {
    const response = await post(path, { model: "demo", ...body });
    return [response.status, await response.json()] as const;
  };
  return { ask, engine };
}

Deno.test("/tokenize and back: a text's tokens, with their pieces, control tokens or their text", async () => {
  const { ask } = asking();
  const content = "a😀<|end|>";
  const [, { tokens }] = await ask("/tokenize", { content });
  assert.deepEqual(tokens, [97, 0x1f600, 0x110000]);
  assert.deepEqual((await ask("/tokenize", { content, add_special: true }))[1].tokens[0], 1);
  const [, text] = await ask("/tokenize", { content, parse_special: false });
  assert.equal(text.tokens.length, 2 + 7);
  const [, pieces] = await ask("/tokenize", { content, with_pieces: true });
  assert.deepEqual(pieces.tokens, [
    { id: 97, piece: "a" },
    { id: 0x1f600, piece: "😀" },
    { id: 0x110000, piece: "<|end|>" },
  ]);
  assert.deepEqual(await ask("/detokenize", { tokens: [97, 0x1f600] }), [200, { content: "a😀" }]);
  assert.deepEqual(await ask("/detokenize", { tokens: [] }), [200, { content: "" }]);
});

Deno.test("/tokenize: of a long text no more is made than its client takes", async () => {
  const { post, engine } = testApi();
  let made = 0;
  const { bytesOf } = engine;
  engine.bytesOf = (token) => (made++, bytesOf.call(engine, token));
  const content = "x".repeat(300_000);
  const response = await post("/tokenize", { model: "demo", content, with_pieces: true });
  const reader = response.body!.getReader();
  assert.ok((await reader.read()).value!.length < 512 * 1024);
  assert.ok(made < content.length / 2, `${made} of ${content.length} tokens were made`);
  await reader.cancel();
});

Deno.test("/tokenize: what is wrong is said, by name, and what is long is bounded", async () => {
  const { ask, engine } = asking();
  for (
    const [path, body, status, param] of [
      ["/tokenize", {}, 400, "content"],
      ["/tokenize", { content: 1 }, 400, "content"],
      ["/tokenize", { content: "x", with_pieces: 1 }, 400, "with_pieces"],
      ["/tokenize", { content: "x".repeat(4 * 1024 * 1024 + 1) }, 413, null],
      ["/detokenize", {}, 400, "tokens"],
      ["/detokenize", { tokens: ["a"] }, 400, "tokens"],
      ["/detokenize", { tokens: [-1] }, 400, "tokens"],
      ["/detokenize", { tokens: [engine.info.vocabularySize] }, 400, "tokens"],
      ["/apply-template", {}, 400, "messages"],
    ] as const
  ) {
    const [got, { error }] = await ask(path, body);
    assert.deepEqual([got, error.param], [status, param], JSON.stringify(body).slice(0, 60));
  }
});

Deno.test("/apply-template and input_tokens: the prompt that a chat would have", async () => {
  const { ask, engine } = asking();
  const [, { prompt }] = await ask("/apply-template", { messages });
  assert.equal(prompt, "<|system|>Be brief<|end|><|user|>Hi<|end|><|end|><|assistant|>");
  const [, { input_tokens }] = await ask("/v1/chat/completions/input_tokens", { messages });
  await ask("/v1/chat/completions", { messages });
  assert.equal(input_tokens, engine.requests.at(-1)!.prompt.length);
  await ask("/apply-template", { messages, add_generation_prompt: false });
  assert.equal(engine.chats.at(-1)!.addGenerationPrompt, false);
});

Deno.test("chat: a last reply is continued or not, as vLLM and llama-server have it", async () => {
  const { ask, engine } = asking();
  const path = "/v1/chat/completions";
  const told = [...messages, { role: "assistant", content: "He" }];
  const asked = async (body: Record<string, unknown>) => {
    const [status] = await ask(path, body);
    return status === 200 ? engine.chats.at(-1)!.addGenerationPrompt : status;
  };
  assert.equal(await asked({ messages: told }), undefined);
  assert.equal(await asked({ messages: told, continue_final_message: true }), undefined);
  assert.equal(await asked({ messages: told, add_generation_prompt: true }), true);
  assert.equal(
    await asked({ messages: told, continue_final_message: true, add_generation_prompt: false }),
    undefined,
  );
  const both = { continue_final_message: true, add_generation_prompt: true };
  assert.equal(await asked({ messages: told, ...both }), 400);
  assert.equal(await asked({ messages, continue_final_message: true }), 400);
});

Deno.test("chat: a stream begins with the role alone", async () => {
  const { post } = testApi();
  const response = await post("/v1/chat/completions", {
    model: "demo",
    messages,
    stream: true,
    n: 2,
  });
  const chunks = (await response.text()).split("\n\n").filter((one) => one.startsWith("data: {"))
    .map((one) => JSON.parse(one.slice(6)).choices[0]);
  for (const index of [0, 1]) {
    const [first, ...others] = chunks.filter((one) => one.index === index);
    assert.deepEqual(first.delta, { role: "assistant", content: null });
    assert.ok(others.length > 1 && others.every(({ delta }) => !("role" in delta)));
    assert.deepEqual(others.at(-1).delta, {});
  }
});

Deno.test("chat: return_progress tells how far the prompt is, behind the role and before the text", async () => {
  const { post } = testApi();
  const chunks = async (body: Record<string, unknown>) => {
    const asked = { model: "demo", messages, stream: true, ...body };
    const text = await (await post("/v1/chat/completions", asked)).text();
    return text.split("\n\n").filter((one) => one.startsWith("data: {"))
      .map((one) => JSON.parse(one.slice(6)));
  };
  const told = await chunks({ return_progress: true });
  const progress = told.map(({ prompt_progress }) => prompt_progress);
  assert.deepEqual(progress.map((one) => one !== undefined), [
    false,
    true,
    true,
    false,
    false,
    false,
  ]);
  const [first, last] = progress.slice(1, 3);
  assert.deepEqual([first.cache, first.processed, last.processed], [2, 2, last.total]);
  assert.ok(Number.isInteger(last.time_ms));
  assert.equal((await chunks({})).length, told.length - 2);
});
