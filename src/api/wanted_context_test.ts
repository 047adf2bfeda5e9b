import assert from "node:assert/strict";
import { parseWantedContext, wantedContext } from "./wanted_context.ts";

const CHAT = "/v1/chat/completions";
const LONG = "some words ".repeat(20_000);

Deno.test("wanted context: num_ctx, rounded up to a power of two", () => {
  for (const [asked, told] of [[1, 1], [4096, 4096], [32_768, 32_768], [40_000, 65_536]]) {
    assert.equal(wantedContext("/api/chat", { options: { num_ctx: asked } }), told);
    assert.equal(wantedContext("/api/embed", { options: { num_ctx: asked } }), told);
  }
  assert.equal(wantedContext("/api/chat", { options: { num_ctx: 2 ** 31 } }), 2 ** 24);
  for (const options of [null, 7, {}, { num_ctx: "8" }, { num_ctx: -1 }, { num_ctx: 1.5 }]) {
    assert.equal(wantedContext("/api/chat", { options }), undefined);
  }
});

Deno.test("wanted context: a long conversation's length, in any dialect's fields", () => {
  const messages = [{ role: "user", content: [{ type: "text", text: LONG }] }];
  for (
    const [path, body] of [
      [CHAT, { messages }],
      ["/api/generate", { prompt: LONG }],
      ["/v1/responses", { input: messages, instructions: "x" }],
      ["/v1/messages", { messages: [], system: LONG }],
      ["/v1/messages", { messages: [], tools: [{ description: LONG }] }],
    ] as const
  ) assert.equal(wantedContext(path, body), 131_072, path);
  assert.equal(wantedContext(CHAT, { messages: [{ role: "user", content: "hi" }] }), undefined);
});

Deno.test("wanted context: pictures are no words, and texts to embed are no conversation", () => {
  const picture = "QUJD".repeat(1_000_000);
  assert.equal(wantedContext("/api/chat", { messages: [{ images: [picture] }] }), undefined);
  assert.equal(wantedContext("/v1/embeddings", { input: Array(100).fill(LONG) }), undefined);
});

Deno.test("wanted context: the gateway takes powers of two and nothing else", () => {
  for (const good of [1, 2, 4096, 2 ** 24]) assert.equal(parseWantedContext(String(good)), good);
  for (
    const bad of ["", "0", "3", "4097", "-2", "1e3", "0x10", " 8", String(2 ** 25), "9".repeat(400)]
  ) {
    assert.equal(parseWantedContext(bad), undefined, bad);
  }
});
