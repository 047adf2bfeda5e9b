/**
 * Every inference path that exists travels sealed, with all that a request and a reply can carry: the wire before the gateway
 * is recorded and searched. The same requests in plaintext, to a gateway whose operator allowed that, show that the search
 * finds what there is to find.
 */
import assert from "node:assert/strict";
import { sealedFetch } from "../../src/client/library.ts";
import { routes } from "../../src/api/routes.ts";
import { serveWithKey } from "../library/testing.ts";
import { findIn } from "../support/memory.ts";
import { Recorder } from "../support/recorder.ts";

const INFERENCE_PATHS = routes("inference").map(({ path }) => path);

/** In every request, and by its format in every reply that has text. */
const ASKED = "kestrelvermillion";
const REPLIED = "ocelotquartzite";

const schema = { type: "object", properties: { a: { const: REPLIED } }, required: ["a"] };
const jsonSchema = { name: ASKED, strict: true, schema };
const parameters = { type: "object", properties: { [ASKED]: { type: "string" } } };
const tool = { type: "function", function: { name: ASKED, description: ASKED, parameters } };
const messages = [{ role: "system", content: ASKED }, { role: "user", content: ASKED }];
const greedy = { temperature: 0, num_predict: 60 };
const picture = btoa(`not a picture: ${ASKED}`);

interface Case {
  readonly body: Record<string, unknown>;
  /** The reply says {@link REPLIED}. */
  readonly replies?: boolean;
  /** Refused by the application in words of its own, as tools and pictures are by a model that takes none. */
  readonly refused?: boolean;
}

/** Path → what is asked there. A path of the API without a row fails the test. */
const CASES: Readonly<Record<string, readonly Case[]>> = {
  "/api/chat": [
    { body: { messages, format: schema, options: greedy }, replies: true },
    { body: { messages, format: schema, options: greedy, stream: false }, replies: true },
    { body: { messages, tools: [tool], options: greedy }, refused: true },
    { body: { messages: [{ role: "user", content: ASKED, images: [picture] }] }, refused: true },
    { body: { messages, options: { temperature: ASKED } }, refused: true },
  ],
  "/api/generate": [
    { body: { prompt: ASKED, system: ASKED, format: schema, options: greedy }, replies: true },
    { body: { prompt: ASKED, images: [picture] }, refused: true },
    { body: { prompt: [ASKED] }, refused: true },
  ],
  "/api/embed": [{ body: { input: [ASKED, ASKED] } }, {
    body: { input: { [ASKED]: 1 } },
    refused: true,
  }],
  "/api/embeddings": [{ body: { prompt: ASKED } }],
  "/v1/chat/completions": [
    {
      body: {
        messages,
        temperature: 0,
        stream: true,
        response_format: { type: "json_schema", json_schema: jsonSchema },
      },
      replies: true,
    },
    { body: { messages, tools: [tool], max_tokens: 4 }, refused: true },
    {
      body: {
        messages: [{
          role: "user",
          content: [{ type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } }],
        }],
      },
      refused: true,
    },
  ],
  "/v1/completions": [{ body: { prompt: ASKED, max_tokens: 4 } }],
  "/v1/embeddings": [{ body: { input: ASKED } }],
  "/v1/rerank": [{ body: { query: ASKED, documents: [ASKED] }, refused: true }],
  "/v1/chat/completions/input_tokens": [{ body: { messages } }],
  "/tokenize": [{ body: { content: ASKED } }],
  "/detokenize": [{ body: { tokens: [100, 101] } }, { body: { tokens: ASKED }, refused: true }],
  "/apply-template": [{ body: { messages } }],
  "/v1/responses": [
    {
      body: {
        input: ASKED,
        instructions: ASKED,
        temperature: 0,
        text: { format: { type: "json_schema", ...jsonSchema } },
      },
      replies: true,
    },
    { body: { input: ASKED, stream: true, max_output_tokens: 4 } },
  ],
  "/v1/responses/input_tokens": [{ body: { input: ASKED } }],
  "/v1/messages": [
    { body: { messages: [{ role: "user", content: ASKED }], system: ASKED, max_tokens: 4 } },
    {
      body: {
        messages: [{ role: "user", content: ASKED }],
        tools: [{ name: ASKED, description: ASKED, input_schema: parameters }],
        max_tokens: 4,
        stream: true,
      },
      refused: true,
    },
    { body: { messages: ASKED, max_tokens: 4 }, refused: true },
  ],
  "/v1/messages/count_tokens": [{ body: { messages: [{ role: "user", content: ASKED }] } }],
};

/** Asks for every case through `send`; returns how many, and asserts that each was answered as it must be. */
async function askAll(send: typeof fetch, base: string): Promise<number> {
  let count = 0;
  for (const path of INFERENCE_PATHS) {
    for (const { body, replies, refused } of CASES[path]!) {
      const response = await send(`${base}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-note": ASKED },
        body: JSON.stringify({ model: "demo", ...body }),
      });
      const text = await response.text();
      const what = `${path} ${JSON.stringify(body).slice(0, 80)}: ${response.status} ${
        text.slice(0, 200)
      }`;
      assert.equal(response.status >= 400, refused === true, what);
      if (replies) assert.ok(textOf(text).includes(REPLIED), what);
      count++;
    }
  }
  return count;
}

/** The text that a reply's lines or events bring piece by piece, of any dialect. */
function textOf(body: string): string {
  const pieces = [...body.matchAll(/"(?:content|response|text|delta)":"((?:[^"\\]|\\.)*)"/g)];
  return pieces.map(([, piece]) => JSON.parse(`"${piece}"`)).join("");
}

/** A recorder before a gateway. */
function recorderOf(gatewayUrl: string): Recorder {
  return new Recorder({ hostname: "127.0.0.1", port: Number(new URL(gatewayUrl).port) });
}

Deno.test("sealed coverage: no path is left out", () => {
  assert.deepEqual(Object.keys(CASES).sort(), [...INFERENCE_PATHS].sort());
});

Deno.test("sealed coverage: in plaintext the search finds prompt and reply", async () => {
  const served = await serveWithKey([], { SECLLAMA_ENABLE_ENCRYPTION: "false" });
  const recorder = recorderOf(served.gatewayUrl);
  try {
    await askAll(fetch, recorder.url);
    assert.ok(findIn(recorder.bytes(), ASKED).includes("UTF-8"));
    assert.ok(findIn(recorder.bytes(), REPLIED).includes("UTF-8"));
    assert.ok(findIn(recorder.bytes(), picture).length > 0);
  } finally {
    await recorder.close();
    await served.stop();
  }
});

for (const suite of [1, 2] as const) {
  Deno.test(`sealed coverage: suite ${suite}, every path, nothing of it on the wire`, async () => {
    const served = await serveWithKey();
    const recorder = recorderOf(served.gatewayUrl);
    const sealed = await sealedFetch({
      gateway: recorder.url,
      credentials: served.credentials,
      suite,
      model: "demo",
    });
    try {
      const count = await askAll(sealed, "http://anywhere");
      // What is no POST, and what is no path, is answered by the model's process too.
      for (const method of ["GET", "HEAD", "DELETE"]) {
        const response = await sealed(`/api/chat?${ASKED}`, { method });
        assert.ok([404, 405].includes(response.status), `${method}: ${response.status}`);
        assert.equal((await response.text()) === "", method === "HEAD");
      }
      assert.equal((await sealed(`/api/${ASKED}`, { method: "POST", body: "{}" })).status, 404);
      const wire = recorder.bytes();
      assert.ok(wire.length > 20_000);
      const words = [
        ASKED,
        REPLIED,
        picture,
        "temperature",
        "embedding",
      ];
      for (const word of words) assert.deepEqual(findIn(wire, word), [], word);
      for (const path of INFERENCE_PATHS) assert.deepEqual(findIn(wire, path), [], path);
      // It did pass here: what the gateway must know is in the clear.
      assert.ok(findIn(wire, "demo:latest").length + findIn(wire, "model=demo").length > 0);
      console.log(`suite ${suite}: ${count + 4} requests, ${wire.length} bytes searched`);
    } finally {
      sealed.close();
      await recorder.close();
      await served.stop();
    }
  });
}
