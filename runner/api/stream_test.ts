/** What a stream sends before there is output, and while there is none for long. */
import assert from "node:assert/strict";
import { BUSY_TEXT } from "../../src/api/texts.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { GenerateEvent } from "../engine/types.ts";
import { testApi } from "./testing.ts";

const messages = [{ role: "user", content: "hi" }];
const decoder = new TextDecoder();

/** By path: a request, and the sign of life in the form that its clients know. */
const DIALECTS: readonly [string, Record<string, unknown>, RegExp][] = [
  [
    "/api/chat",
    { messages },
    /^\{[^\n]*"message":\{"role":"assistant","content":""\},"done":false\}\n$/,
  ],
  ["/api/generate", { prompt: "hi" }, /^\{[^\n]*"response":"","done":false\}\n$/],
  ["/v1/chat/completions", { messages }, /^data: \{[^\n]*"choices":\[\{"index":0,"delta":\{\}/],
  ["/v1/completions", { prompt: "hi" }, /^data: \{[^\n]*"choices":\[\{"text":"","index":0/],
  ["/v1/responses", { input: "hi" }, /^event: response\.in_progress\ndata: \{/],
  ["/v1/messages", { messages, max_tokens: 5 }, /^event: ping\ndata: \{"type":"ping"\}\n\n$/],
];

/** An API whose engine says nothing before `speak` is called. */
function silentApi() {
  const gate = Promise.withResolvers<void>();
  const tested = testApi({ pieces: ["word"] }, { lifeSignMs: 5 });
  const generate = tested.engine.generate.bind(tested.engine);
  tested.engine.generate = async function* (request, signal): AsyncGenerator<GenerateEvent> {
    await gate.promise;
    yield* generate(request, signal);
  };
  return { ...tested, speak: gate.resolve };
}

for (const [path, body, sign] of DIALECTS) {
  Deno.test(`stream: ${path}: the head comes at once, then signs of life, then the reply`, async () => {
    const { post, speak } = silentApi();
    // Nothing was said, and nothing will be before this has come.
    const response = await post(path, { model: "demo", stream: true, ...body });
    assert.equal(response.status, 200);
    const reader = response.body!.getReader();
    const chunks: string[] = [];
    const read = async () => {
      const { value, done } = await reader.read();
      if (!done) chunks.push(decoder.decode(value));
      return !done;
    };
    while (chunks.filter((chunk) => sign.test(chunk)).length < 3) assert.ok(await read());
    const before = chunks.length;
    speak();
    while (await read());
    const after = chunks.slice(before).join("");
    assert.match(after, /word/);
    if (!path.startsWith("/v1/")) return;
    const datas = chunks.join("").split("\n").filter((line) => line.startsWith("data: {"));
    const numbers = datas.map((line) => JSON.parse(line.slice(6)).sequence_number);
    if (path === "/v1/responses") assert.deepEqual(numbers, numbers.map((_, index) => index));
  });
}

Deno.test("stream: a client that leaves in the silence ends the generation", async () => {
  const { post, speak, engine } = silentApi();
  const response = await post("/api/chat", { model: "demo", messages });
  const reader = response.body!.getReader();
  await reader.read();
  const gone = reader.cancel();
  speak();
  await gone;
  assert.equal(engine.running, 0);
});

Deno.test("stream: what is refused at once has a status of its own", async () => {
  const { post, engine } = testApi();
  engine.generate = () => ({
    [Symbol.asyncIterator]() {
      throw new SecLlamaError("busy", BUSY_TEXT);
    },
  });
  for (const [path, body] of DIALECTS) {
    const response = await post(path, { model: "demo", stream: true, ...body });
    assert.equal(response.status, 503, path);
    await response.body?.cancel();
  }
});
