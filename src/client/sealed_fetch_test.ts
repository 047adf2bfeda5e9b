/** Requests and replies of the client that seals, as a caller of fetch meets them. */
import assert from "node:assert/strict";
import { utf8, utf8Decode } from "../bytes.ts";
import { randomBytes } from "../sealed/primitives.ts";
import { sealedFetch } from "./sealed_fetch.ts";
import { CHAT, client, fails, post, PSK_ID, serve } from "./testing.ts";

for (const suite of [1, 2]) {
  Deno.test(`suite ${suite}: request and reply arrive as they were meant`, async () => {
    await using server = await serve({ suites: [1, 2] });
    server.answer = () => ({
      status: 201,
      headers: { "content-type": "application/json", "x-a": "b" },
      body: [utf8('{"a":'), utf8("1}")],
    });
    const fetch = client(server, { suite });
    const response = await fetch("http://anything.example/api/chat?x=1", post(CHAT));
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("x-a"), "b");
    assert.deepEqual(await response.json(), { a: 1 });
    const { request, body, pskId } = server.opened[0]!;
    assert.equal(request.method, "POST");
    assert.equal(request.path, "/api/chat?x=1");
    assert.equal(request.headers["content-type"], "application/json");
    assert.equal(request.headers["host"], undefined);
    assert.deepEqual(JSON.parse(utf8Decode(body)), CHAT);
    assert.equal(pskId, PSK_ID);
  });
}

Deno.test("the key document is fetched once and kept until it expires", async () => {
  await using server = await serve();
  const clock = { now: Date.now() };
  const fetch = client(server, { now: () => clock.now });
  for (let i = 0; i < 3; i++) await (await fetch("/api/chat", post(CHAT))).text();
  assert.deepEqual(server.counts, { keys: 1, requests: 3 });
  const twoHours = 7_200_000;
  clock.now += twoHours;
  server.clock.now += twoHours;
  await (await fetch("/api/chat", post(CHAT))).text();
  assert.deepEqual(server.counts, { keys: 2, requests: 4 });
});

Deno.test("GET and HEAD travel sealed, with the model from the path or the options", async () => {
  await using server = await serve();
  server.answer = ({ request }) => ({ headers: { "x-path": request.path }, body: [utf8("body")] });
  const fetch = client(server);
  const get = await fetch("/v1/models/demo");
  assert.equal(await get.text(), "body");
  const head = await fetch("/v1/models/demo", { method: "HEAD" });
  assert.equal(head.headers.get("x-path"), "/v1/models/demo");
  assert.equal(head.body, null);
  assert.deepEqual(server.opened.map(({ request }) => request.method), ["GET", "HEAD"]);
  await fails(fetch("/api/tags"), "bad-request");
  const withModel = client(server, { model: "demo" });
  assert.equal(await (await withModel("/api/tags")).text(), "body");
});

Deno.test("a Request object, a URL and a body stream are taken as fetch takes them", async () => {
  await using server = await serve();
  const fetch = client(server);
  const url = new URL("http://x/api/chat");
  await (await fetch(new Request(url, post(CHAT)))).text();
  await (await fetch(url, post(CHAT, { body: new Blob([JSON.stringify(CHAT)]).stream() }))).text();
  for (const { body } of server.opened) assert.deepEqual(JSON.parse(utf8Decode(body)), CHAT);
});

Deno.test("statuses without a body have none", async () => {
  await using server = await serve();
  server.answer = () => ({ status: 204 });
  const response = await client(server)("/api/chat", post(CHAT));
  assert.equal(response.status, 204);
  assert.equal(response.body, null);
});

Deno.test("application errors are responses, not exceptions", async () => {
  await using server = await serve();
  server.answer = () => ({ status: 400, body: [utf8('{"error":"no"}')] });
  const response = await client(server)("/api/chat", post(CHAT));
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), { error: "no" });
});

Deno.test("the body streams: each piece is there before the next is made", async () => {
  await using server = await serve();
  const steps = [0, 1, 2].map(() => Promise.withResolvers<void>());
  server.answer = () => ({
    body: (async function* () {
      for (const [i, step] of steps.entries()) {
        yield utf8(`piece ${i}`);
        await step.promise;
      }
    })(),
  });
  const response = await client(server)("/api/chat", post(CHAT));
  const reader = response.body!.getReader();
  for (const [i, step] of steps.entries()) {
    assert.equal(utf8Decode((await reader.read()).value!), `piece ${i}`);
    step.resolve();
  }
  assert.ok((await reader.read()).done);
});

for (const how of ["abort", "cancel"] as const) {
  Deno.test(`${how} in mid-stream reaches the server`, async () => {
    await using server = await serve();
    const never = Promise.withResolvers<void>();
    server.answer = () => ({
      body: (async function* () {
        yield utf8("first");
        await never.promise;
      })(),
    });
    const controller = new AbortController();
    const response = await client(server)(
      "/api/chat",
      post(CHAT, { signal: controller.signal }),
    );
    const reader = response.body!.getReader();
    await reader.read();
    const signal = server.signals.at(-1)!;
    assert.ok(!signal.aborted);
    const gone = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    const pending = reader.read();
    if (how === "abort") {
      controller.abort();
      await assert.rejects(pending, { name: "AbortError" });
    } else {
      await reader.cancel();
      assert.ok((await pending).done);
    }
    await gone;
    never.resolve();
  });
}

Deno.test("abort before and during the request rejects as fetch does", async () => {
  await using server = await serve();
  const fetch = client(server);
  const aborted = AbortSignal.abort();
  await assert.rejects(fetch("/api/chat", post(CHAT, { signal: aborted })), { name: "AbortError" });
  assert.equal(server.counts.requests, 0);
  const controller = new AbortController();
  const arrived = Promise.withResolvers<void>();
  const never = Promise.withResolvers<void>();
  server.answer = async () => {
    arrived.resolve();
    await never.promise;
    return {};
  };
  const pending = fetch("/api/chat", post(CHAT, { signal: controller.signal }));
  await arrived.promise;
  controller.abort(new Error("my reason"));
  await assert.rejects(pending, /my reason/);
  never.resolve();
});

Deno.test("bad requests are named before anything is sent", async () => {
  await using server = await serve();
  const fetch = client(server);
  const bad: [body: string, message: string][] = [
    ["", "missing request body"],
    ["{", "the request body must be JSON"],
    ["[]", "the request body must be a JSON object"],
    ["null", "the request body must be a JSON object"],
    ["{}", "model is required"],
    ['{"model":1}', "model is required"],
    ['{"model":""}', "model is required"],
  ];
  for (const [body, message] of bad) {
    const error = await fails(fetch("/api/chat", { method: "POST", body }), "bad-request");
    assert.equal(error.message, message);
    assert.equal(error.field, message.startsWith("model") ? "model" : undefined);
  }
  await fails(
    fetch("/api/chat", post(CHAT, { headers: { "x-long": "a".repeat(70_000) } })),
    "too-large",
  );
  assert.equal(server.counts.requests, 0);
});

Deno.test("no gateway there, or no URL", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const credentials = () =>
    Promise.resolve({ psk: randomBytes(32), pskId: PSK_ID, hid: randomBytes(16) });
  const fetch = sealedFetch({ gateway: `http://127.0.0.1:${port}`, credentials });
  const error = await fails(fetch("/api/chat", post(CHAT)), "gateway-unreachable");
  assert.match(error.hint!, /secllama serve/);
  for (const gateway of ["", "nonsense", "ftp://x", "file:///x"]) {
    assert.throws(() => sealedFetch({ gateway, credentials }), { code: "bad-config" });
  }
});

Deno.test("exchanges at one time do not mix", async () => {
  await using server = await serve();
  server.answer = ({ body }) => ({ body: [body.slice(0, 5), body.slice(5)] });
  const fetch = client(server);
  await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    const json = { model: "demo", prompt: `number ${i}` };
    const response = await fetch("/api/generate", post(json));
    assert.deepEqual(await response.json(), json);
  }));
});

Deno.test("a request of 10 MB arrives whole", async () => {
  await using server = await serve();
  const image = "A".repeat(10 << 20);
  await (await client(server)("/api/chat", post({ model: "demo", images: [image] }))).text();
  assert.deepEqual(JSON.parse(utf8Decode(server.opened[0]!.body)).images[0].length, 10 << 20);
});
