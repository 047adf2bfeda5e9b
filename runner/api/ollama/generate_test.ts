import assert from "node:assert/strict";
import { readLines, testApi } from "../testing.ts";

const HELLO = { model: "demo", prompt: "Hi" };

Deno.test("/api/generate streams Ollama's fields in its order", async () => {
  const { post } = testApi();
  const response = await post("/api/generate", HELLO);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const { lines, chunks } = await readLines(response);
  assert.equal(chunks, 3);
  assert.deepEqual(Object.keys(lines[0]!), ["model", "created_at", "response", "done"]);
  assert.deepEqual(lines.map((line) => line.response), ["Hello", " world", ""]);
  assert.deepEqual(Object.keys(lines[2]!), [
    "model",
    "created_at",
    "response",
    "done",
    "done_reason",
    "context",
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
  ]);
});

Deno.test("/api/generate: system and prompt go through the chat template", async () => {
  const { post, engine } = testApi();
  await post("/api/generate", { ...HELLO, system: "Be brief", stream: false });
  assert.equal(
    engine.promptText(engine.requests.at(-1)!),
    "<|system|>Be brief<|end|><|user|>Hi<|end|><|assistant|>",
  );
});

Deno.test("/api/generate raw: the prompt is everything, control tokens included, and no context comes back", async () => {
  const { post, engine } = testApi({ controlTokens: ["<|end|>"] });
  const body = await (await post("/api/generate", {
    model: "demo",
    prompt: "a<|end|>",
    raw: true,
    stream: false,
  })).json();
  assert.deepEqual([...engine.requests.at(-1)!.prompt as Int32Array], [1, 97, 0x110000]);
  assert.equal(body.context, undefined);
  for (const extra of [{ system: "s" }, { template: "t" }, { context: [1] }]) {
    const refused = await post("/api/generate", { ...HELLO, raw: true, ...extra });
    assert.equal(refused.status, 400);
    assert.deepEqual(await refused.json(), {
      error: "raw mode does not support template, system, or context",
      code: "bad-request",
    });
  }
});

Deno.test("/api/generate: control tokens in a prompt that is not raw stay text", async () => {
  const { post, engine } = testApi({ controlTokens: ["<|end|>"] });
  await post("/api/generate", { model: "demo", prompt: "a<|end|>", stream: false });
  const tokens = [...engine.requests.at(-1)!.prompt as Int32Array];
  // The template's own <|end|> is the control token; the user's seven characters are not.
  assert.equal(tokens.filter((id) => id === 0x110000).length, 1);
});

Deno.test("/api/generate: context goes in front of the new turn, without a second BOS", async () => {
  const { post, engine } = testApi();
  const first = await (await post("/api/generate", { ...HELLO, stream: false })).json();
  await post("/api/generate", {
    model: "demo",
    prompt: "B",
    context: first.context,
    stream: false,
  });
  const tokens = [...engine.requests.at(-1)!.prompt as Int32Array];
  assert.deepEqual(tokens.slice(0, first.context.length), first.context);
  assert.equal(tokens.filter((id) => id === 1).length, 1);
});

Deno.test("/api/generate: a token id outside of the vocabulary is 400", async () => {
  for (const id of [-1, 0x7fffffff, 1.5, "1", null]) {
    const response = await testApi().post("/api/generate", { ...HELLO, context: [1, id] });
    assert.equal(response.status, 400);
    assert.match((await response.json()).error, /^context /);
  }
});

Deno.test("/api/generate: suffix fills in the middle, or is 400 where the model cannot", async () => {
  const able = testApi({ info: { capabilities: ["completion", "insert"] } });
  await able.post("/api/generate", { model: "demo", prompt: "a", suffix: "b", stream: false });
  assert.equal(able.engine.promptText(able.engine.requests.at(-1)!), "<PRE>a<SUF>b<MID>");
  const unable = await testApi().post("/api/generate", { model: "demo", prompt: "a", suffix: "b" });
  assert.equal(unable.status, 400);
  assert.match((await unable.json()).error, /does not support insert/);
});

Deno.test("/api/generate: template is rendered in Ollama's language", async () => {
  const { post, engine } = testApi();
  await post("/api/generate", {
    ...HELLO,
    system: "S",
    template: "{{ .System }}[{{ .Prompt }}]{{ .Response }} after",
    stream: false,
  });
  assert.equal(engine.promptText(engine.requests.at(-1)!), "S[Hi]");
});

Deno.test("/api/generate: an empty prompt loads, with keep_alive 0 unloads", async () => {
  const { post, keepAlives } = testApi();
  const load = await (await post("/api/generate", { model: "demo" })).json();
  assert.equal(load.done_reason, "load");
  assert.equal(load.response, "");
  const unload = await (await post("/api/generate", { model: "demo", keep_alive: "0s" })).json();
  assert.equal(unload.done_reason, "unload");
  assert.deepEqual(keepAlives, [0]);
});

Deno.test("/api/generate: a thought is a field of its own", async () => {
  const { post } = testApi({
    pieces: ["<think>", "Hm", "</think>", "Yes"],
    info: { capabilities: ["completion", "thinking"] },
  });
  const body = await (await post("/api/generate", { ...HELLO, stream: false })).json();
  assert.equal(body.thinking, "Hm");
  assert.equal(body.response, "Yes");
});

Deno.test("/api/generate: images are 400", async () => {
  const response = await testApi().post("/api/generate", { ...HELLO, images: ["aGk="] });
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), {
    error: "this model does not support images",
    code: "bad-request",
    hint: "secllama show MODEL lists what a model takes (vision)",
  });
  assert.equal((await testApi().post("/api/generate", { ...HELLO, images: [] })).status, 200);
});

Deno.test("a Modelfile's system, messages and parameters are used where the request says nothing", async () => {
  const { post, engine } = testApi({}, {
    defaults: {
      system: "S",
      messages: [{ role: "user", content: "U" }],
      options: { temperature: 0.1, stop: ["X"] },
    },
  });
  await post("/api/chat", {
    model: "demo",
    messages: [{ role: "user", content: "Hi" }],
    stream: false,
  });
  const request = engine.requests.at(-1)!;
  assert.equal(
    engine.promptText(request),
    "<|system|>S<|end|><|user|>U<|end|><|user|>Hi<|end|><|assistant|>",
  );
  assert.equal(request.sampling.temperature, 0.1);
  assert.deepEqual(request.stop, ["X"]);
  await post("/api/generate", {
    ...HELLO,
    system: "T",
    options: { temperature: 0 },
    stream: false,
  });
  assert.match(engine.promptText(engine.requests.at(-1)!), /^<\|user\|>U<\|end\|><\|system\|>T/);
  assert.equal(engine.requests.at(-1)!.sampling.temperature, 0);
});

Deno.test("a Modelfile's template replaces the model's own", async () => {
  const { post, engine } = testApi({}, {
    defaults: { template: "<{{ .Prompt }}>{{ .Response }}" },
  });
  await post("/api/chat", {
    model: "demo",
    messages: [{ role: "user", content: "Hi" }],
    stream: false,
  });
  assert.equal(engine.promptText(engine.requests.at(-1)!), "<Hi>");
});

Deno.test("/api/generate: _debug_render_only answers each kind of prompt as text, and nothing is generated", async () => {
  const { post, engine } = testApi();
  const rendered = async (more: Record<string, unknown>) => {
    const answer = await post("/api/generate", { ...HELLO, _debug_render_only: true, ...more });
    const { response, done, _debug_info } = await answer.json();
    return [answer.status, response, done, _debug_info?.rendered_template];
  };
  const chat = "<|user|>Hi<|end|><|assistant|>";
  assert.deepEqual(await rendered({}), [200, "", false, chat]);
  assert.deepEqual(await rendered({ raw: true }), [200, "", false, "Hi"]);
  assert.deepEqual(await rendered({ template: "<{{ .Prompt }}>" }), [200, "", false, "<Hi>"]);
  const [status] = await rendered({ suffix: "b" });
  assert.equal(status, 400, "no template says how a gap is filled");
  assert.equal(engine.requests.length, 0);
});
