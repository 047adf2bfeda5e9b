import assert from "node:assert/strict";
import { utf8, utf8Decode } from "../bytes.ts";
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import { problemResponse } from "../api/problems.ts";
import { randomBytes } from "../sealed/primitives.ts";
import { Recipient } from "../sealed/recipient.ts";
import { sealedFetch } from "./sealed_fetch.ts";
import { client, keyAnswer, post, PSK_ID, serve } from "./testing.ts";

const CHAT = { model: "demo", messages: [{ role: "user", content: "hello" }] };

async function fails(promise: Promise<unknown>, code: ErrorCode): Promise<SecLlamaError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, `not a SecLlamaError: ${error}`);
    assert.equal(error.code, code);
    return error;
  }
  assert.fail(`passed, but should have failed with ${code}`);
}

function problem(code: ErrorCode): Response {
  return problemResponse(new SecLlamaError(code, "told by the test"));
}

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

Deno.test("401: the credentials are read again, once, and only newer ones are tried", async () => {
  await using server = await serve();
  const current = server.credentials;
  const old = { ...current, psk: randomBytes(32), pskId: "local.old" };
  let reads = 0;
  const fetch = client(server, { credentials: () => Promise.resolve(reads++ ? current : old) });
  await (await fetch("/api/chat", post(CHAT))).text();
  assert.equal(reads, 2);
  await (await fetch("/api/chat", post(CHAT))).text();
  assert.equal(reads, 2);
  reads = 0;
  const stuck = client(server, { credentials: () => Promise.resolve((reads++, old)) });
  server.counts.keys = 0;
  await fails(stuck("/api/chat", post(CHAT)), "auth");
  assert.deepEqual([reads, server.counts.keys], [2, 1]);
});

Deno.test("401 without end: two tries, then the error", async () => {
  await using server = await serve();
  server.intercept = () => problem("auth");
  let reads = 0;
  const { hid } = server.host;
  const fresh = () => Promise.resolve({ psk: randomBytes(32), pskId: `local.${reads++}`, hid });
  await fails(client(server, { credentials: fresh })("/api/chat", post(CHAT)), "auth");
  assert.deepEqual([reads, server.counts.keys], [2, 2]);
});

Deno.test("what fails before the first frame is tried again as often as it may help, then told", async () => {
  // code, key documents fetched in all when the second try passes, requests when none does
  const recoveries: [ErrorCode, number, number][] = [
    ["replay", 1, 2],
    ["clock", 2, 2],
    ["key-mismatch", 2, 4],
    ["replay-window-full", 2, 4],
    ["busy", 2, 4],
  ];
  for (const [code, keys, most] of recoveries) {
    await using server = await serve();
    let left = 1;
    server.intercept = (route) => route === "sealed" && left-- > 0 ? problem(code) : undefined;
    await (await client(server)("/api/chat", post(CHAT))).text();
    assert.deepEqual(server.counts, { keys, requests: 2 }, code);
    assert.equal(server.opened.length, 1);
    left = 100;
    await fails(client(server)("/api/chat", post(CHAT)), code);
    assert.equal(server.counts.requests, 2 + most, code);
  }
});

Deno.test("a balancer's own 502 and 503, and a lost connection, are tried again; its 500 and 504 are not", async () => {
  const lost = () =>
    new Response(
      new ReadableStream({
        start: (controller) => {
          controller.enqueue(utf8("SLR1"));
          controller.close();
        },
      }),
      { headers: { "content-type": "application/vnd.secllama.sealed;v=1" } },
    );
  const page = (status: number) => () => new Response("<html>no host</html>", { status });
  // What comes first, its code, and how often it is sent when nothing else comes.
  const answers: [() => Response, ErrorCode, number][] = [
    [page(503), "busy", 4],
    [page(502), "gateway-unreachable", 4],
    // A runner had this one, so one more has to do.
    [lost, "truncated", 2],
    [page(500), "gateway-unreachable", 1],
    [page(504), "gateway-unreachable", 1],
  ];
  for (const [answer, code, most] of answers) {
    await using server = await serve();
    let left = most - 1;
    server.intercept = (route) => route === "sealed" && left-- > 0 ? answer() : undefined;
    const fetch = client(server);
    if (most > 1) {
      await (await fetch("/api/chat", post(CHAT))).text();
      assert.deepEqual(server.counts, { keys: most, requests: most }, code);
    }
    server.counts.requests = 0;
    left = 100;
    await fails(fetch("/api/chat", post(CHAT)), code);
    assert.equal(server.counts.requests, most, code);
    assert.equal(server.opened.length, most > 1 ? 1 : 0);
  }
});

Deno.test("nothing is tried again once a frame has verified, nor after an abort", async () => {
  await using server = await serve();
  server.tamper = (bytes, index) => index === 0 ? bytes : undefined;
  await fails((await client(server)("/api/chat", post(CHAT))).text(), "truncated");
  await fails(client(server)("/v1/models/demo", { method: "HEAD" }), "truncated");
  assert.equal(server.counts.requests, 2);
  const controller = new AbortController();
  server.intercept = (route) => {
    if (route === "key") return;
    // The pause before the second try is under way, or about to be.
    queueMicrotask(() => controller.abort());
    return problem("busy");
  };
  server.counts.requests = 0;
  const { signal } = controller;
  await assert.rejects(client(server)("/api/chat", post(CHAT, { signal })), { name: "AbortError" });
  assert.ok(server.counts.requests <= 2);
});

Deno.test("a request names its runner as the key document's answer did, if that was true", async () => {
  await using server = await serve();
  const said: (string | null)[] = [];
  let label: (rk: string) => string | undefined = () => undefined;
  server.intercept = async (route, request) => {
    if (route === "sealed") {
      said.push(request.headers.get("secllama-runner"));
      return;
    }
    const answer = await keyAnswer(server, request);
    const pk = Uint8Array.fromBase64((await answer.clone().json()).pk, { alphabet: "base64url" });
    const rk = new Uint8Array(await crypto.subtle.digest("SHA-256", pk)).slice(0, 8).toHex();
    own = rk;
    const value = label(rk);
    if (value !== undefined) answer.headers.set("secllama-runner", value);
    return answer;
  };
  let own = "";
  const other = "0011223344556677";
  const cases: [typeof label, (rk: string) => string][] = [
    [() => undefined, (rk) => rk],
    [(rk) => rk, (rk) => rk],
    [(rk) => `gpu-1.${rk}`, (rk) => `gpu-1.${rk}`],
    [() => other, (rk) => rk],
    [() => `gpu-1.${other}`, (rk) => rk],
    [(rk) => `GPU.${rk}`, (rk) => rk],
    [(rk) => `a.b.${rk}`, (rk) => rk],
    [(rk) => `${"a".repeat(64)}.${rk}`, (rk) => rk],
  ];
  for (const [how, wanted] of cases) {
    label = how;
    await (await client(server)("/api/chat", post(CHAT))).text();
    assert.equal(said.at(-1), wanted(own));
  }
});

Deno.test("each try is sealed anew", async () => {
  await using server = await serve();
  const bodies: string[] = [];
  server.intercept = async (route, request) => {
    if (route === "key") return;
    bodies.push(new Uint8Array(await request.arrayBuffer()).toHex());
    return problem("replay");
  };
  await fails(client(server)("/api/chat", post(CHAT)), "replay");
  assert.equal(bodies.length, 2);
  assert.notEqual(bodies[0], bodies[1]);
});

Deno.test("the runner restarts or its key rolls: the client finds the new key by itself", async () => {
  await using server = await serve();
  const fetch = client(server);
  await (await fetch("/api/chat", post(CHAT))).text();
  const restarted = await Recipient.init({ model: "demo:latest", ...server.host.recipient });
  Object.assign(server, { recipient: restarted });
  await (await fetch("/api/chat", post(CHAT))).text();
  assert.deepEqual(server.counts, { keys: 2, requests: 3 });
});

Deno.test("a client's clock an hour off, or set while it runs, does no harm", async () => {
  for (const skew of [3_600_000, -3_600_000]) {
    await using server = await serve();
    let mine = server.clock.now + skew;
    const fetch = client(server, { now: () => mine });
    await (await fetch("/api/chat", post(CHAT))).text();
    assert.deepEqual(server.counts, { keys: 1, requests: 1 });
    mine -= skew / 2;
    await (await fetch("/api/chat", post(CHAT))).text();
    assert.deepEqual(server.counts, { keys: 2, requests: 3 });
  }
});

Deno.test("an unsealed 2xx is a downgrade, and is not tried again", async () => {
  const answers = [
    () => Response.json({ response: "hi" }),
    () => new Response(null, { status: 204 }),
    () => new Response("SLR1", { headers: { "content-type": "text/plain" } }),
    () =>
      new Response('{"response":"hi"}', {
        headers: { "content-type": "application/vnd.secllama.sealed;v=1" },
      }),
  ];
  for (const answer of answers) {
    await using server = await serve();
    server.intercept = (route) => route === "sealed" ? answer() : undefined;
    await fails(client(server)("/api/chat", post(CHAT)), "downgrade");
    assert.equal(server.counts.requests, 1);
  }
});

Deno.test("a stream that ends before FINAL, or breaks, is an error after its verified part", async () => {
  for (const how of ["end", "junk", "flip", "drop", "swap"] as const) {
    await using server = await serve();
    server.answer = () => ({ body: [utf8("one"), utf8("two"), utf8("three")] });
    let held: Uint8Array | undefined;
    server.tamper = (bytes, index) => {
      if (how === "end") return index === 3 ? undefined : bytes;
      if (how === "junk") return index === 4 ? new Uint8Array([...bytes, 0]) : bytes;
      if (index === 2 && how === "flip") bytes[20]! ^= 1;
      if (index === 2 && how === "drop") return new Uint8Array(0);
      if (index === 2 && how === "swap") return held = bytes, new Uint8Array(0);
      if (index === 3 && how === "swap") return new Uint8Array([...bytes, ...held!]);
      return bytes;
    };
    const response = await client(server)("/api/chat", post(CHAT));
    let text = "";
    const read = async () => {
      for await (const chunk of response.body!) text += utf8Decode(chunk);
    };
    await fails(read(), how === "end" ? "truncated" : "auth");
    assert.equal(text, how === "end" ? "onetwo" : how === "junk" ? "onetwothree" : "one", how);
  }
});

Deno.test("a reply recorded from another exchange is refused", async () => {
  await using server = await serve();
  const fetch = client(server);
  const recorded: Uint8Array[] = [];
  server.tamper = (bytes) => (recorded.push(bytes.slice()), bytes);
  await (await fetch("/api/chat", post(CHAT))).text();
  const first = [...recorded];
  server.tamper = (_, index) => first[index];
  await fails(fetch("/api/chat", post(CHAT)), "auth");
});

Deno.test("a gateway that puts in its own key is found out before anything is sent", async () => {
  await using server = await serve();
  const evil = await Recipient.init({
    model: "demo:latest",
    ...server.host.recipient,
    psk: () => randomBytes(32),
  });
  server.intercept = async (route, request) => {
    if (route === "sealed") return;
    const { searchParams } = new URL(request.url);
    return Response.json(
      await server.host.document(evil, {
        pskId: PSK_ID,
        model: "demo",
        challenge: Uint8Array.fromHex(searchParams.get("c")!),
      }),
    );
  };
  await fails(client(server)("/api/chat", post(CHAT)), "auth");
  assert.deepEqual(server.counts, { keys: 1, requests: 0 });
});

Deno.test("a gateway that answers suite 1 to a client of suite 2 is refused", async () => {
  await using server = await serve({ suites: [1, 2] });
  server.intercept = async (route, request) => {
    if (route === "sealed") return;
    const { searchParams } = new URL(request.url);
    const challenge = Uint8Array.fromHex(searchParams.get("c")!);
    const weaker = { pskId: PSK_ID, model: "demo", challenge, suite: 1 };
    return Response.json(await server.host.document(server.recipient, weaker));
  };
  await fails(client(server, { suite: 2 })("/api/chat", post(CHAT)), "unsupported-suite");
  assert.equal(server.counts.requests, 0);
});

Deno.test("errors of the gateway become errors with its code, and no plaintext is ever sent", async () => {
  const answers: [() => Response, ErrorCode][] = [
    [() => problem("busy"), "busy"],
    [() => problem("too-large"), "too-large"],
    [() => problem("runner-died"), "runner-died"],
    [() => problem("plaintext-refused"), "plaintext-refused"],
    [() => new Response("<html>", { status: 503 }), "busy"],
    [() => new Response("x".repeat(1 << 20), { status: 500 }), "gateway-unreachable"],
    [() => new Response(null, { status: 401 }), "auth"],
    [() => new Response(null, { status: 302, headers: { location: "/x" } }), "gateway-unreachable"],
  ];
  for (const [answer, code] of answers) {
    await using server = await serve();
    server.intercept = async (route, request) => {
      if (route === "key") return;
      const bytes = new Uint8Array(await request.arrayBuffer());
      assert.ok(!new TextDecoder("latin1").decode(bytes).includes("hello"));
      return answer();
    };
    await fails(client(server)("/api/chat", post(CHAT)), code);
  }
  await using server = await serve();
  await fails(client(server)("/api/chat", post({ model: "other" })), "model-not-found");
});

Deno.test("a key document that is not JSON, or endless, is an error and not a hang", async () => {
  for (const body of ["<html>", "[".repeat(100_000), "null"]) {
    await using server = await serve();
    server.intercept = () => new Response(body);
    await fails(client(server)("/api/chat", post(CHAT)), "malformed");
  }
});

Deno.test("a connection that breaks inside a key document is tried again, and is an error of ours", async () => {
  await using server = await serve();
  let times = 1;
  const breaking = (input: RequestInfo | URL, init?: RequestInit) => {
    if (times-- <= 0) return fetch(input, init);
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(utf8("{")),
      pull: (controller) => controller.error(new TypeError("the connection broke")),
    });
    return Promise.resolve(new Response(body));
  };
  const sealed = client(server, { fetch: breaking });
  await (await sealed("/api/chat", post(CHAT))).text();
  assert.deepEqual(server.counts, { keys: 1, requests: 1 });
  times = 4;
  await fails(client(server, { fetch: breaking })("/api/chat", post(CHAT)), "truncated");
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
