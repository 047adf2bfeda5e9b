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
  ["/v1/messages", parts({ type: "image", source: { type: "foo" } }), /type must be "base64"/],
  ["/api/generate", { prompt: "?", images: [PNG, "abc"] }, /base64 strings, element 1 is none/],
  ["/v1/messages", parts({ type: "image", source: { type: "url", url: "http://x" } }), NO_IMAGES],
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

const LEFT_OUT = "[a picture was left out: this model reads text only]";
const url = `data:image/png;base64,${PNG}`;
const picture = { type: "image_url", image_url: { url } };
const block = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
const used = { type: "tool_use", id: "t", name: "f", input: {} };
const said = { type: "function_call", call_id: "c", name: "f", arguments: "{}" };

/** By dialect: a picture in a tool's result, or in a question that was answered already; and a new question. */
const PAST: readonly [path: string, body: Record<string, unknown>][] = [
  ["/api/chat", {
    messages: [
      { role: "assistant", content: "", tool_calls: [{ function: { name: "f", arguments: {} } }] },
      { role: "tool", content: "It is:", images: [PNG] },
    ],
  }],
  ["/api/chat", {
    messages: [
      { role: "user", content: "It is:", images: [PNG] },
      { role: "assistant", content: "Yes" },
      { role: "user", content: "So?" },
    ],
  }],
  ["/v1/chat/completions", {
    messages: [
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: "c", content: [{ type: "text", text: "It is:" }, picture] },
    ],
  }],
  ["/v1/chat/completions", {
    messages: [
      { role: "user", content: [{ type: "text", text: "It is:" }, picture] },
      { role: "assistant", content: "Yes" },
      { role: "user", content: "So?" },
    ],
  }],
  ["/v1/responses", {
    input: [said, {
      type: "function_call_output",
      call_id: "c",
      output: [{ type: "input_text", text: "It is:" }, { type: "input_image", image_url: url }],
    }],
  }],
  ["/v1/responses", {
    input: [
      {
        role: "user",
        content: [{ type: "input_text", text: "It is:" }, { type: "input_image", image_url: url }],
      },
      { role: "assistant", content: "Yes" },
      { role: "user", content: "So?" },
    ],
  }],
  ["/v1/messages", {
    messages: [
      { role: "assistant", content: [used] },
      {
        role: "user",
        content: [{
          type: "tool_result",
          tool_use_id: "t",
          content: [{ type: "text", text: "It is:" }, block],
        }],
      },
    ],
  }],
  ["/v1/messages", {
    messages: [
      { role: "user", content: [{ type: "text", text: "It is:" }, block] },
      { role: "assistant", content: "Yes" },
      { role: "user", content: "So?" },
    ],
  }],
];

for (const [index, [path, body]] of PAST.entries()) {
  Deno.test(`${path} (${index}): a picture in the history does not lock the conversation`, async () => {
    const { post, engine } = testApi();
    const request = { model: "demo", max_tokens: 5, stream: false, ...body };
    const response = await post(path, request);
    assert.equal(response.status, 200, JSON.stringify(await response.json()));
    const contents = engine.chats.at(-1)!.messages.map(({ content }) => content);
    assert.ok(contents.includes(`It is:\n${LEFT_OUT}`), JSON.stringify(contents));
  });
}
