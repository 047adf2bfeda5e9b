/** Pictures and sounds of earlier turns, which the client cannot take back: what cannot be read or is too much is left out, and said. */
import assert from "node:assert/strict";
import { wav } from "../engine/testing_hearing.ts";
import { MAX_PICTURES } from "./pictures.ts";
import { testApi } from "./testing.ts";
import { a, b, before, block, SEES, url, WEBP } from "./testing_pictures.ts";

const remoteUrl = "https://example.org/x.png";
const PAST: [path: string, body: Record<string, unknown>][] = [
  ...[remoteUrl, "file:///x.png", "data:image/png;base64,%%", url(WEBP)].flatMap(
    (image): [string, Record<string, unknown>][] => [
      ["/v1/chat/completions", before.chat({ type: "image_url", image_url: { url: image } })],
      ["/v1/responses", before.responses({ type: "input_image", image_url: image })],
    ],
  ),
  ["/v1/responses", before.responses({ type: "input_image", file_id: "file-1" })],
  ...[remoteUrl, "%%", WEBP].map((image): [string, Record<string, unknown>] => [
    "/api/chat",
    before.ollama([image]),
  ]),
  ["/v1/messages", before.result(block(WEBP))],
  ["/v1/messages", before.result(block("%%"))],
  ["/v1/messages", before.result({ type: "image", source: { type: "url", url: remoteUrl } })],
  ["/v1/messages", before.result({ type: "image", source: { type: "file", file_id: "f" } })],
];

for (const [path, body] of PAST) {
  const name = JSON.stringify(body.messages ?? body.input).slice(0, 120);
  Deno.test(`${path}: a picture of before that cannot be read is left out: ${name}`, async () => {
    const { post, engine } = testApi(SEES);
    const answer = await post(path, { model: "demo", ...body, stream: false });
    assert.equal(answer.status, 200, await answer.text());
    const prompt = engine.promptText(engine.requests[0]!);
    assert.match(prompt, /\[a picture was left out: it cannot be read\]/);
    assert.doesNotMatch(prompt, /picture-\d/);
    assert.equal(engine.picturesHeld, 0);
  });
}

Deno.test("of more pictures of before than a request may have the newest are seen; of new ones none too many", async () => {
  const { post, engine } = testApi(SEES);
  const turns = (count: number) => [
    ...Array.from({ length: count }, () => [
      { role: "user", content: "?", images: [b] },
      { role: "assistant", content: "Hm." },
    ]).flat(),
    { role: "user", content: "and this?", images: [a] },
  ];
  const answer = await post("/api/chat", { model: "demo", messages: turns(40), stream: false });
  assert.equal(answer.status, 200, await answer.text());
  const prompt = engine.promptText(engine.requests[0]!);
  assert.equal(prompt.match(/a picture was left out: there are later ones/g)!.length, 9);
  assert.equal(prompt.match(/\[picture \d+\]/g)!.length, MAX_PICTURES);
  assert.match(prompt, /\[picture \d+\]and this\?/);
  assert.ok(
    prompt.lastIndexOf("left out") < prompt.indexOf("[picture "),
    "the oldest are left out",
  );
});

Deno.test("/v1/chat/completions: of sounds of before that last too long together the newest are heard", async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "audio"] } });
  const sound = (seconds: number) => ({
    role: "user",
    content: [{
      type: "input_audio",
      input_audio: {
        data: wav(seconds, () => 0, { rate: 2000, bits: 8 }).toBase64(),
        format: "wav",
      },
    }],
  });
  const reply = { role: "assistant", content: "Hm." };
  const messages = [sound(300), reply, sound(200), reply, sound(250), reply, sound(100)];
  const answer = await post("/v1/chat/completions", { model: "demo", messages });
  assert.equal(answer.status, 200, await answer.text());
  const prompt = engine.promptText(engine.requests[0]!);
  assert.equal(prompt.match(/a sound was left out: there are later ones/g)!.length, 1);
  assert.equal(prompt.match(/\[picture \d+\]/g)!.length, 3);
  assert.ok(prompt.indexOf("left out") < prompt.indexOf("[picture "), "it is the oldest");
});
