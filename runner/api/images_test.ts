import assert from "node:assert/strict";
import { testApi } from "./testing.ts";

const PNG = "iVBORw0KGgo=";
const NO_IMAGES = /this model does not support images/;

const user = (content: unknown) => ({ messages: [{ role: "user", content }], max_tokens: 5 });
const parts = (...list: unknown[]) => user([{ type: "text", text: "?" }, ...list]);
const image = (url: unknown) => parts({ type: "image_url", image_url: url });

const REFUSED: [path: string, body: Record<string, unknown>, message: RegExp][] = [
  ["/api/chat", { messages: [{ role: "user", content: "?", images: [PNG] }] }, NO_IMAGES],
  ["/api/chat", { messages: [{ role: "user", content: "?", images: ["%%"] }] }, /base64 strings/],
  ["/api/chat", { messages: [{ role: "user", content: "?", images: [""] }] }, /base64 strings/],
  ["/api/chat", { messages: [{ role: "user", content: "?", images: [7] }] }, /base64 strings/],
  ["/api/chat", { messages: [{ role: "user", content: "?", images: "x" }] }, /must be an array/],
  ["/api/generate", { prompt: "?", images: [`${PNG.slice(0, 4)}\n${PNG.slice(4)}`] }, NO_IMAGES],
  ["/api/generate", { prompt: "?", images: ["abc"] }, /base64 strings/],
  ["/v1/chat/completions", image({ url: `data:image/png;base64,${PNG}` }), NO_IMAGES],
  ["/v1/chat/completions", image(`data:;base64,${PNG}`), NO_IMAGES],
  ["/v1/chat/completions", image({ url: "data:image/png;base64,%" }), /invalid image input/],
  ["/v1/chat/completions", image({ url: "data:text/html;base64,AAAA" }), /invalid image input/],
  [
    "/v1/chat/completions",
    image({ url: "http://127.0.0.1/x.png" }),
    /^image URLs are not currently supported, please use base64 encoded data instead$/,
  ],
  ["/v1/chat/completions", parts({ type: "input_audio", input_audio: {} }), /support audio/],
  ["/v1/chat/completions", parts({ type: "file", file: {} }), /support files/],
  ["/v1/chat/completions", parts({ type: "hologram" }), /must be "text"/],
  [
    "/v1/responses",
    {
      input: [{
        role: "user",
        content: [{ type: "input_image", image_url: `data:image/png;base64,${PNG}` }],
      }],
    },
    NO_IMAGES,
  ],
  [
    "/v1/responses",
    { input: [{ role: "user", content: [{ type: "input_file", file_id: "f" }] }] },
    /support files/,
  ],
  [
    "/v1/messages",
    parts({ type: "image", source: { type: "base64", media_type: "image/png", data: PNG } }),
    NO_IMAGES,
  ],
  ["/v1/messages", parts({ type: "image", source: { type: "base64", data: "%" } }), /be base64/],
  ["/v1/messages", parts({ type: "image", source: { type: "url", url: "http://x" } }), NO_IMAGES],
  [
    "/v1/messages",
    parts({
      type: "tool_result",
      tool_use_id: "t",
      content: [{ type: "image", source: { type: "base64", data: PNG } }],
    }),
    NO_IMAGES,
  ],
];

const messageOf = (body: { error: string | { message: string } }) =>
  typeof body.error === "string" ? body.error : body.error.message;

for (const [path, body, message] of REFUSED) {
  Deno.test(`${path}: ${JSON.stringify(body).slice(0, 80)} is 400, ${message}`, async () => {
    const { post, engine } = testApi();
    const response = await post(path, { model: "demo", ...body });
    assert.equal(response.status, 400);
    assert.match(messageOf(await response.json()), message);
    assert.equal(engine.requests.length, 0);
  });
}

Deno.test("images: none, or an empty list, is no image", async () => {
  const { post } = testApi();
  for (const images of [[], null]) {
    const chat = { messages: [{ role: "user", content: "?", images }], stream: false };
    assert.equal((await post("/api/chat", { model: "demo", ...chat })).status, 200);
    const generate = { prompt: "?", images, stream: false };
    assert.equal((await post("/api/generate", { model: "demo", ...generate })).status, 200);
  }
});

Deno.test("images: of ten megabytes the beginning is looked at", async () => {
  const { post } = testApi();
  const good = "QUJD".repeat(10 * 1024 * 1024 / 3);
  for (const [data, message] of [[good, NO_IMAGES], ["A=B=" + good, /base64/]] as const) {
    const response = await post("/api/chat", {
      model: "demo",
      messages: [{ role: "user", content: "?", images: [data] }],
    });
    assert.equal(response.status, 400);
    const error = messageOf(await response.json());
    assert.match(error, message);
    assert.ok(error.length < 200);
  }
});
