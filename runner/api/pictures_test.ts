/** Pictures in every dialect's own words, for a model that sees: they reach the engine whole, in their order and place. */
import assert from "node:assert/strict";
import { testApi } from "./testing.ts";
import { A, a, B, b, block, SEES, text, url, user } from "./testing_pictures.ts";

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
