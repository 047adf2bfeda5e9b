import assert from "node:assert/strict";
import { IGNORED_HEADER } from "../../src/api/ignored.ts";
import { testApi } from "./testing.ts";

const messages = [{ role: "user", content: "Hi" }];

Deno.test("shift: Ollama's dialect goes on past the context unless told not to, the others end there", async () => {
  const { post, engine } = testApi();
  const shiftOf = async (path: string, body: Record<string, unknown>) => {
    const response = await post(path, { model: "demo", stream: false, ...body });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get(IGNORED_HEADER), null);
    const { shift, maxTokens } = engine.requests.at(-1)!;
    return { shift, maxTokens };
  };
  for (
    const [path, asked] of [["/api/chat", { messages }], ["/api/generate", {
      prompt: "Hi",
    }]] as const
  ) {
    for (const shift of [true, undefined]) {
      assert.deepEqual(await shiftOf(path, { ...asked, shift }), {
        shift: { keep: 4, window: 4096 },
        maxTokens: 40_960,
      });
    }
    assert.deepEqual(await shiftOf(path, { ...asked, shift: false }), {
      shift: undefined,
      maxTokens: -1,
    });
    // A context of the request's own is the one that is full.
    const options = { num_ctx: 256, num_keep: -1, num_predict: 300 };
    const own = await shiftOf(path, { ...asked, options });
    assert.deepEqual([own.shift!.window, own.maxTokens], [256, 300]);
    assert.equal(own.shift!.keep, engine.requests.at(-1)!.prompt.length);
    const most = await shiftOf(path, { ...asked, options: { num_ctx: 256, num_predict: 9999 } });
    assert.equal(most.maxTokens, 2560);
  }
  const openai = await shiftOf("/v1/chat/completions", { messages });
  assert.equal(openai.shift, undefined);
  const anthropic = await shiftOf("/v1/messages", { messages, max_tokens: 9 });
  assert.equal(anthropic.shift, undefined);
});

Deno.test("shift: a picture is not cut, so a reply to one ends where the context does", async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "vision"] } });
  const images = ["iVBORw0KGgo="];
  const response = await post("/api/generate", {
    model: "demo",
    prompt: "Hi",
    images,
    shift: true,
    stream: false,
    options: { num_ctx: 256 },
  });
  assert.equal(response.status, 200, await response.text());
  const { shift, maxTokens } = engine.requests.at(-1)!;
  assert.equal(shift, undefined);
  assert.ok(maxTokens > 0 && maxTokens < 256);
});
