/** Gateways that cut, lie, replay or answer in clear: nothing of it is taken for an answer. */
import assert from "node:assert/strict";
import { utf8, utf8Decode } from "../bytes.ts";
import type { ErrorCode } from "../errors.ts";
import { randomBytes } from "../sealed/primitives.ts";
import { Recipient } from "../sealed/recipient.ts";
import { CHAT, client, fails, post, problem, PSK_ID, serve } from "./testing.ts";

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
