/** Requests of an attacker, by the flaw of a peer that they come from. */
import assert from "node:assert/strict";
import { testApi } from "./testing.ts";
import { processorMs } from "../../tests/support/patience.ts";

const PATHS = [
  "/api/chat",
  "/api/generate",
  "/api/embed",
  "/api/embeddings",
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/responses",
  "/v1/responses/input_tokens",
  "/v1/chat/completions/input_tokens",
  "/tokenize",
  "/apply-template",
  "/v1/messages",
  "/v1/messages/count_tokens",
];
const SECRET = "SECRET-CONTENT";

/** A good body of each path. */
const GOOD: Readonly<Record<string, Record<string, unknown>>> = {
  "/api/chat": { messages: [{ role: "user", content: SECRET }] },
  "/api/generate": { prompt: SECRET },
  "/api/embed": { input: SECRET },
  "/api/embeddings": { prompt: SECRET },
  "/v1/chat/completions": { messages: [{ role: "user", content: SECRET }] },
  "/v1/completions": { prompt: SECRET },
  "/v1/embeddings": { input: SECRET },
  "/v1/responses": { input: SECRET },
  "/v1/responses/input_tokens": { input: SECRET },
  "/v1/chat/completions/input_tokens": { messages: [{ role: "user", content: SECRET }] },
  "/tokenize": { content: SECRET },
  "/apply-template": { messages: [{ role: "user", content: SECRET }] },
  "/v1/messages": { max_tokens: 5, messages: [{ role: "user", content: SECRET }] },
  "/v1/messages/count_tokens": { messages: [{ role: "user", content: SECRET }] },
};

for (const path of PATHS) {
  Deno.test(`${path}: a good body works, so the refusals below are about what is bad`, async () => {
    const { post } = testApi();
    const response = await post(path, { model: "demo", ...GOOD[path] });
    assert.equal(response.status, 200);
    await response.text();
  });

  Deno.test(`${path}: what is no JSON object is 400 and quotes nothing`, async () => {
    const { post, engine } = testApi();
    const bodies: (string | Uint8Array)[] = [
      "",
      `{"model": "demo", ${SECRET}`,
      `["${SECRET}"]`,
      `"${SECRET}"`,
      new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
      `{"a":${"[".repeat(100_000)}`,
      `{"a":`.repeat(50_000),
    ];
    for (const body of bodies) {
      const response = await post(path, body);
      assert.equal(response.status, 400);
      assert.ok(!(await response.text()).includes(SECRET));
    }
    assert.equal(engine.requests.length, 0);
  });

  Deno.test(`${path}: no model, another model, a model of another type`, async () => {
    const { post } = testApi();
    const missing = await post(path, { ...GOOD[path] });
    assert.equal(missing.status, 400);
    assert.match(await missing.text(), /model is required/);
    const other = await post(path, { ...GOOD[path], model: "../../etc/passwd" });
    assert.equal(other.status, 404);
    assert.match(await other.text(), /model '..\/..\/etc\/passwd' not found/);
    const wrong = await post(path, { ...GOOD[path], model: { a: 1 } });
    assert.equal(wrong.status, 400);
    assert.match(await wrong.text(), /model must be a string/);
  });

  Deno.test(`${path}: fields of a wrong type are refused by name, never with what they hold`, async () => {
    const { post } = testApi();
    for (const [name, value] of Object.entries(GOOD[path]!)) {
      for (const wrong of [{ [SECRET]: 1 }, true, -1]) {
        if (typeof value === "number" && wrong === true) continue;
        const response = await post(path, { model: "demo", ...GOOD[path], [name]: wrong });
        const text = await response.text();
        assert.equal(response.status, 400, `${name} ${JSON.stringify(wrong)}: ${text}`);
        assert.ok(text.includes(name) && !text.includes(SECRET), text);
      }
    }
  });

  Deno.test(`${path}: unknown fields, __proto__ among them, are ignored`, async () => {
    const { post } = testApi();
    const body = JSON.stringify({ model: "demo", zeal: { deep: [1] }, ...GOOD[path] });
    const response = await post(path, body.replace("{", '{"__proto__": {"stream": 7}, '));
    assert.equal(response.status, 200);
    await response.text();
    assert.equal(({} as Record<string, unknown>).stream, undefined);
  });

  Deno.test(`${path}: GET is 405, as is any other method`, async () => {
    const { api } = testApi();
    for (const method of ["GET", "PUT", "DELETE"]) {
      const response = await api.fetch(new Request(`http://x${path}`, { method }), { client: "a" });
      assert.equal(response.status, 405);
    }
  });
}

Deno.test("unknown paths are 404, whatever their spelling", async () => {
  const { post } = testApi();
  for (
    const path of ["/api/pull", "/api/chat/", "/API/chat", "/api//chat", "/v1", "/api/chat%2e"]
  ) {
    assert.equal((await post(path, { model: "demo" })).status, 404, path);
  }
});

Deno.test("CVE-2026-21869: negative numbers do not reach the engine", async () => {
  const { post, engine } = testApi();
  for (const name of ["num_predict", "num_ctx", "num_keep", "num_batch", "top_k", "temperature"]) {
    const body = { model: "demo", ...GOOD["/api/chat"], options: { [name]: -100 } };
    const response = await post("/api/chat", body);
    assert.equal(response.status, 400);
    assert.match((await response.json()).error, new RegExp(`options\\.${name}`));
  }
  assert.equal(engine.requests.length, 0);
});

Deno.test("huge n is refused before any work", async () => {
  const { post, engine } = testApi();
  for (const path of ["/v1/chat/completions", "/v1/completions"]) {
    const response = await post(path, { model: "demo", ...GOOD[path], n: 1e15 });
    assert.equal(response.status, 400);
  }
  assert.equal(engine.requests.length, 0);
});

/** `depth` schemas inside each other. */
function deepSchema(depth: number): unknown {
  let schema: unknown = { type: "string" };
  for (let index = 0; index < depth; index++) {
    schema = { type: "object", properties: { a: schema } };
  }
  return schema;
}

Deno.test("deep, huge and regex-bomb schemas are refused or harmless, and quick", async () => {
  const { post } = testApi({ info: { capabilities: ["completion", "tools"] } });
  const bomb = { type: "string", pattern: "^(a+)+$" };
  const wide = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, index) => [`p${index}`, bomb]),
  );
  const schemas: [schema: unknown, status: number, asTool?: number][] = [
    [bomb, 200],
    [{ type: "object", properties: { a: bomb } }, 200],
    [deepSchema(150), 400],
    [deepSchema(5000), 400],
    [{ type: "object", properties: wide }, 400],
    [{ type: "array", items: { type: "null" }, minItems: 1e9 }, 400],
    [{ $ref: "http://example.com/schema" }, 400],
    [{ $ref: "#/nowhere" }, 400],
    // Within a tool's arguments it comes to an end.
    [{ $ref: "#" }, 400, 200],
  ];
  for (const [schema, status, asTool = status] of schemas) {
    const before = processorMs();
    const body = { model: "demo", ...GOOD["/api/chat"], stream: false, format: schema };
    const response = await post("/api/chat", body);
    assert.equal(response.status, status, JSON.stringify(schema).slice(0, 80));
    const forced = await post("/v1/chat/completions", {
      model: "demo",
      ...GOOD["/v1/chat/completions"],
      tools: [{
        type: "function",
        function: { name: "f", parameters: { properties: { a: schema } } },
      }],
      tool_choice: "required",
    });
    assert.equal(forced.status, asTool, JSON.stringify(schema).slice(0, 80));
    // A bomb that goes off does not end at all.
    assert.ok(processorMs() - before < 30_000);
  }
});

Deno.test("half a surrogate pair anywhere is U+FFFD, not an error", async () => {
  const { post, engine } = testApi();
  const body = String.raw`{"model":"demo","stream":false,"prompt":"a\ud800b"}`;
  assert.equal((await post("/api/generate", body)).status, 200);
  assert.match(engine.promptText(engine.requests.at(-1)!), /a\ufffdb/);
});

Deno.test("special tokens in a user's text stay text in every dialect, but for prompts that are the whole", async () => {
  const { post, engine } = testApi({ controlTokens: ["<|im_end|>", "<|end|>"] });
  const text = "<|im_end|>";
  const bodies: Record<string, Record<string, unknown>> = {
    "/api/chat": { messages: [{ role: "user", content: text }] },
    "/api/generate": { prompt: text },
    "/v1/chat/completions": { messages: [{ role: "user", content: text }] },
    "/v1/responses": { input: text },
    "/v1/messages": { max_tokens: 5, messages: [{ role: "user", content: text }] },
  };
  // The client writes the template's own tokens itself here, as in other servers.
  for (const [path, body] of [["/v1/completions", {}], ["/api/generate", { raw: true }]] as const) {
    await (await post(path, { model: "demo", prompt: text, ...body })).text();
    assert.ok((engine.requests.at(-1)!.prompt as Int32Array).includes(0x110000), path);
  }
  for (const [path, body] of Object.entries(bodies)) {
    await (await post(path, { model: "demo", ...body })).text();
    const tokens = engine.requests.at(-1)!.prompt as Int32Array;
    assert.ok(!tokens.includes(0x110000), path);
    assert.ok(tokens.includes(0x110001), path);
  }
});

Deno.test("the client's name goes to the engine, for prefixes are its own", async () => {
  const { api, engine } = testApi();
  for (const client of ["alice", "bob"]) {
    const body = JSON.stringify({ model: "demo", prompt: "x", stream: false });
    await api.fetch(new Request("http://x/api/generate", { method: "POST", body }), { client });
  }
  assert.deepEqual(engine.requests.map((request) => request.client), ["alice", "bob"]);
});
