/** Pictures in every dialect's own words, for a model that sees: they reach the engine whole, in their order and place. */
import assert from "node:assert/strict";
import { wav } from "../engine/testing_hearing.ts";
import { MAX_PICTURES } from "./pictures.ts";
import { testApi } from "./testing.ts";

const SEES = { info: { capabilities: ["completion", "vision"] } };
const [A, B] = [Uint8Array.of(1, 2, 3, 250), Uint8Array.of(9)];
const [a, b] = [A.toBase64(), B.toBase64()];
const url = (base64: string, type = "image/png") => `data:${type};base64,${base64}`;
const block = (data: string) => ({
  type: "image",
  source: { type: "base64", media_type: "image/png", data },
});

const user = (...content: unknown[]) => ({ messages: [{ role: "user", content }], max_tokens: 5 });
const text = (text: string) => ({ type: "text", text });

/** Each asks about two pictures. `prompt`: what the engine is given. */
const TAKEN: [path: string, body: Record<string, unknown>, prompt: RegExp][] = [
  [
    "/api/chat",
    { messages: [{ role: "user", content: "what?", images: [a, b] }] },
    /\[picture 1\]\[picture 2\]what\?/,
  ],
  ["/api/generate", { prompt: "what?", images: [a, b] }, /\[picture 1\]\[picture 2\]what\?/],
  [
    "/api/generate",
    { prompt: "what?", images: [a, b], raw: true },
    /^\[picture 1\]\[picture 2\]what\?$/,
  ],
  [
    "/api/generate",
    { prompt: "what?", images: [a, b], template: "<{{ .Prompt }}>" },
    /<\[picture 1\]\[picture 2\]what\?>/,
  ],
  [
    "/v1/chat/completions",
    user(
      text("first"),
      { type: "image_url", image_url: { url: url(a) } },
      text("then"),
      { type: "image_url", image_url: url(b, "image/gif") },
    ),
    /first\n\[picture 1\]\nthen\n\[picture 2\]/,
  ],
  [
    "/v1/responses",
    {
      input: [{
        role: "user",
        content: [
          { type: "input_image", image_url: url(a, "image/jpeg") },
          { type: "input_text", text: "and" },
          { type: "input_image", image_url: url(b) },
        ],
      }],
    },
    /\[picture 1\]\nand\n\[picture 2\]/,
  ],
  ["/v1/messages", user(block(a), text("and"), block(b)), /\[picture 1\]\nand\n\[picture 2\]/],
  [
    "/v1/messages",
    {
      max_tokens: 5,
      messages: [
        { role: "user", content: "look" },
        { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "see", input: {} }] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "t1", content: [block(a), text("seen")] },
            block(b),
          ],
        },
      ],
    },
    /\[picture 1\]\nseen[^]*\[picture 2\]/,
  ],
];

for (const [path, body, prompt] of TAKEN) {
  for (const stream of [false, true]) {
    Deno.test(`${path}: ${Object.keys(body)}, ${stream ? "streamed" : "whole"}`, async () => {
      const { post, engine } = testApi(SEES);
      const answer = await post(path, { model: "demo", ...body, stream });
      await answer.text();
      assert.equal(answer.status, 200);
      assert.deepEqual(engine.pictures.map((one) => [...one]), [[...A], [...B]]);
      const [request] = engine.requests;
      assert.match(engine.promptText(request!), prompt);
      assert.equal(request!.pictures?.length, 2);
      assert.equal(engine.picturesHeld, 0, "all are let go of");
    });
  }
}

Deno.test("a picture of an earlier turn is read again, and stays with a response that is gone on with", async () => {
  const { post, engine } = testApi(SEES);
  const image = { type: "input_image", image_url: url(a) };
  const first = await post("/v1/responses", {
    model: "demo",
    input: [{ role: "user", content: [image] }],
  });
  const { id } = await first.json();
  const next = await post("/v1/responses", {
    model: "demo",
    previous_response_id: id,
    input: "and now?",
  });
  assert.equal(next.status, 200);
  assert.match(engine.promptText(engine.requests[1]!), /\[picture 2\][^]*and now\?/);
  assert.deepEqual([...engine.pictures[1]!], [...A]);
});

Deno.test("a data URL may have parameters, capitals and line breaks; of the type nothing is believed", async () => {
  for (
    const head of [
      "data:image/png;charset=utf-8;base64,",
      "data:image/png;name=scan-1.png;a=b;base64,",
      "DATA:IMAGE/PNG;BASE64,",
      "data:;base64,",
      "data:image/svg+xml;base64,",
    ]
  ) {
    const { post, engine } = testApi(SEES);
    const image = {
      type: "image_url",
      image_url: { url: `${head}${a.slice(0, 2)}\r\n${a.slice(2)}` },
    };
    const answer = await post("/v1/chat/completions", { model: "demo", ...user(image) });
    assert.equal(answer.status, 200, head);
    assert.deepEqual([...engine.pictures[0]!], [...A], head);
  }
});

Deno.test("text that looks like a marker is text", async () => {
  const { post, engine } = testApi(SEES);
  const marker = `[[picture-${"1".repeat(30)}]]`;
  const content = [text(marker), { type: "image_url", image_url: url(a) }];
  assert.equal(
    (await post("/v1/chat/completions", { model: "demo", ...user(...content) })).status,
    200,
  );
  assert.match(engine.promptText(engine.requests[0]!), /\[\[picture-1{30}\]\]\n\[picture 1\]/);
});

const chatted = (images: unknown) => ({ messages: [{ role: "user", content: "?", images }] });
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

/** A turn of before with the picture, or a tool's result, and a new question: nobody can take the picture back. */
const before = {
  chat: (part: unknown) => ({
    messages: [
      { role: "user", content: [part] },
      { role: "assistant", content: "Hm." },
      { role: "user", content: "and now?" },
    ],
  }),
  ollama: (images: unknown) => ({
    messages: [
      { role: "user", content: "?", images },
      { role: "assistant", content: "Hm." },
      { role: "user", content: "and now?" },
    ],
  }),
  result: (part: unknown) => ({
    max_tokens: 5,
    messages: [
      { role: "user", content: "look" },
      { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "look", input: {} }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content: [part] }] },
    ],
  }),
  responses: (part: unknown) => ({
    input: [
      { role: "user", content: [part] },
      { role: "assistant", content: "Hm." },
      { role: "user", content: "and now?" },
    ],
  }),
};
const WEBP = new TextEncoder().encode("RIFF\x10\0\0\0WEBPVP8 ").toBase64();
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

Deno.test("_debug_render_only shows where pictures stand, and counts them", async () => {
  const { post, engine } = testApi(SEES);
  const shown = async (path: string, body: Record<string, unknown>) => {
    const answer = await post(path, { model: "demo", ...body, _debug_render_only: true });
    return (await answer.json())._debug_info;
  };
  for (
    const [path, body] of [
      ["/api/chat", { messages: [{ role: "user", content: "what?", images: [a, b] }] }],
      ["/api/generate", { prompt: "what?", images: [a, b] }],
      ["/api/generate", { prompt: "what?", images: [a, b], raw: true }],
    ] as const
  ) {
    const { rendered_template, image_count } = await shown(path, body);
    assert.match(rendered_template, /<__media__><__media__>what\?/);
    assert.equal(image_count, 2);
  }
  assert.equal(engine.requests.length, 0);
  assert.equal(engine.picturesHeld, 0);
});

Deno.test("a picture that is left out with its message is not held for the reply", async () => {
  const { post, engine } = testApi({ info: { ...SEES.info, slotContextLength: 128 } });
  const answer = await post("/api/chat", {
    model: "demo",
    messages: [
      { role: "user", content: "x".repeat(200), images: [a] },
      { role: "assistant", content: "yes" },
      { role: "user", content: "and now?", images: [b] },
    ],
    stream: false,
  });
  assert.equal(answer.status, 200);
  assert.match(engine.promptText(engine.requests[0]!), /\[picture 2\]and now\?/);
  assert.deepEqual(engine.requests[0]!.pictures?.map(({ tokens }) => [...tokens]), [[-2]]);
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
