/** Pictures and sounds of a request that cannot be taken: each dialect says which, and why. */
import assert from "node:assert/strict";
import { wav } from "../engine/testing_hearing.ts";
import { MAX_PICTURES } from "./pictures.ts";
import { testApi } from "./testing.ts";
import { a, b, before, block, chatted, SEES, text, url, user, WEBP } from "./testing_pictures.ts";

const REFUSED: [path: string, body: Record<string, unknown>, message: RegExp][] = [
  [
    "/v1/chat/completions",
    user({ type: "image_url", image_url: { url: "https://example.org/x.png" } }),
    /URLs are not currently supported/,
  ],
  ["/api/chat", chatted(["https://example.org/x.png"]), /URLs are not currently supported/],
  ["/api/generate", { prompt: "?", images: ["HTTP://x/"] }, /URLs are not currently supported/],
  ...[`data:image/png;base64,${a}`, "file:///etc/passwd", "/etc/passwd", "", "AQID-g==", "AQI D+g="]
    .map((image): [string, Record<string, unknown>, RegExp] => [
      "/api/chat",
      chatted([image]),
      /base64 strings .*without data: or a path in front/,
    ]),
  [
    "/v1/responses",
    { input: [{ role: "user", content: [{ type: "input_image", file_id: "file-1" }] }] },
    /no files are kept here .*as base64/,
  ],
  [
    "/v1/messages",
    user({ type: "image", source: { type: "file", file_id: "file-1" } }),
    /no files are kept here .*as base64/,
  ],
  [
    "/v1/messages",
    user({ type: "image", source: { type: "url", url: "http://x" } }),
    /URLs are not/,
  ],
  ...[
    `data:image/png,${a}`,
    `data:text/html;base64,${a}`,
    `data:image/png;base64;x=y,${a}`,
    `data:image/png;base64,${a.slice(0, -1)}-`,
    `data:image/png;base64,${a.slice(0, -1)}`,
    "data:image/png;base64,",
    "data:image/png;base64,====",
    "data:",
    "",
    "blob:https://example.org/1",
    "file:///etc/passwd",
    "ftp://example.org/x.png",
    a,
  ].map((image_url): [string, Record<string, unknown>, RegExp] => [
    "/v1/chat/completions",
    user({ type: "image_url", image_url: { url: image_url } }),
    /invalid image input .*data:image.png;base64,…/,
  ]),
  [
    "/v1/chat/completions",
    user({ type: "image_url", image_url: { url: `data:application/pdf;base64,${a}` } }),
    /type is application\/pdf, must be a picture's: PNG, .* of a PDF send the text/,
  ],
  [
    "/v1/responses",
    {
      input: [{ role: "user", content: [{ type: "input_image", image_url: `data:audio/wav,x` }] }],
    },
    /type is audio\/wav, must be a picture's: PNG/,
  ],
  ...["foo", "BASE64", ""].map((type): [string, Record<string, unknown>, RegExp] => [
    "/v1/messages",
    user(text("?"), { type: "image", source: { type, data: a } }),
    /^messages\[0\]\.content\[1\]\.source\.type must be "base64"/,
  ]),
  ["/v1/messages", user({ type: "image", source: { data: a } }), /source\.type is required/],
  [
    "/v1/messages",
    { ...user(text("?")), system: [block(a)] },
    /^system\[0\] must be text: images cannot stand here .*put it into a message of the user's/,
  ],
  ["/api/chat", chatted([a, b, "AQI D+g="]), /base64 strings, element 2 is none/],
  // Its letters are right, and what they stand for is not.
  ["/api/chat", chatted([a, "A==="]), /base64 strings, element 1 is none/],
  ["/api/generate", { prompt: "?", images: [a, 7] }, /base64 strings, element 1 is none/],
  ["/v1/messages", user(block("abc")), /must be base64/],
  ["/v1/messages", user(block("ab%=")), /must be base64/],
  ["/v1/messages", user({ type: "image" }), /source is required/],
  ["/api/chat", { messages: [{ role: "user", content: "?", images: ["%%"] }] }, /base64 strings/],
  [
    "/api/chat",
    { messages: [{ role: "user", content: "?", images: Array(MAX_PICTURES + 1).fill(b) }] },
    /more than 32 pictures/,
  ],
  [
    "/api/chat",
    {
      messages: [
        { role: "user", content: "?", images: Array(MAX_PICTURES).fill(b) },
        { role: "user", content: "?", images: [b] },
      ],
    },
    /33 pictures, must be at most 32/,
  ],
  ["/v1/chat/completions", user({ type: "input_audio", input_audio: {} }), /support audio/],
  ["/api/generate", { prompt: "a", suffix: "b", images: [a] }, /cannot stand beside suffix/],
];

for (const [path, body, message] of REFUSED) {
  Deno.test(`${path}: ${JSON.stringify(body).slice(0, 80)} is 400, ${message}`, async () => {
    const { post, engine } = testApi(SEES);
    const answer = await post(path, { model: "demo", ...body, stream: false });
    assert.equal(answer.status, 400);
    const { error, hint } = await answer.json();
    assert.match(`${typeof error === "string" ? error : error.message} ${hint}`, message);
    assert.equal(engine.requests.length, 0);
    assert.equal(engine.picturesHeld, 0);
  });
}

Deno.test("of several pictures of a request the one is named that cannot be read; those of before do not count", async () => {
  const bad = WEBP;
  const asked: [path: string, of: (...all: string[]) => Record<string, unknown>][] = [
    ["/api/chat", (...images) => chatted(images)],
    ["/api/generate", (...images) => ({ prompt: "?", images })],
    [
      "/v1/chat/completions",
      (...all) => user(...all.map((one) => ({ type: "image_url", image_url: { url: url(one) } }))),
    ],
    [
      "/v1/responses",
      (...all) => ({
        input: [{
          role: "user",
          content: all.map((one) => ({ type: "input_image", image_url: url(one) })),
        }],
      }),
    ],
    ["/v1/messages", (...all) => user(...all.map(block))],
  ];
  for (const [path, of] of asked) {
    for (
      const [all, says] of [
        [[bad], /^the picture cannot be read/],
        [[a, bad, b], /^file 2 of 3: the picture cannot be read/],
        [[a, bad, bad, b], /^file 2 of 4: /],
      ] as const
    ) {
      const { post, engine } = testApi(SEES);
      const answer = await post(path, { model: "demo", ...of(...all), stream: false });
      assert.equal(answer.status, 400, path);
      const { error } = await answer.json();
      assert.match(typeof error === "string" ? error : error.message, says, path);
      assert.equal(engine.picturesHeld, 0);
    }
  }
  const { post } = testApi(SEES);
  const messages = [
    ...before.ollama([a, WEBP]).messages.slice(0, 2),
    { role: "user", content: "and these?", images: [b, WEBP] },
  ];
  const answer = await post("/api/chat", { model: "demo", messages, stream: false });
  assert.match((await answer.json()).error, /^file 2 of 2: /);
});

Deno.test("a prompt with a picture that is too long is refused, not cut in the middle of it", async () => {
  const { post, engine } = testApi({ info: { ...SEES.info, slotContextLength: 64 } });
  const long = { role: "user", content: "x".repeat(200), images: [a] };
  const answer = await post("/api/chat", {
    model: "demo",
    messages: [long],
    stream: false,
    truncate: true,
  });
  assert.equal(answer.status, 400);
  assert.equal(engine.requests.length, 0);
  assert.equal(engine.picturesHeld, 0);
});

Deno.test("/v1/chat/completions: sounds of one request are refused that last too long together", async () => {
  const { post } = testApi({ info: { capabilities: ["completion", "audio"] } });
  const data = wav(400, () => 0, { rate: 2000, bits: 8 }).toBase64();
  const sound = { type: "input_audio", input_audio: { data, format: "wav" } };
  const ask = (...sounds: unknown[]) =>
    post("/v1/chat/completions", { model: "demo", ...user(text("?"), ...sounds) });
  assert.equal((await ask(sound)).status, 200);
  const answer = await ask(sound, sound);
  assert.equal(answer.status, 400);
  assert.match((await answer.json()).error.message, /more than 600 seconds together/);
});
