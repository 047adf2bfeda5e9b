/** What the client that seals tries again: other keys, other hosts, other clocks; and when it does not. */
import assert from "node:assert/strict";
import { utf8 } from "../bytes.ts";
import type { ErrorCode } from "../errors.ts";
import { randomBytes } from "../sealed/primitives.ts";
import { Recipient } from "../sealed/recipient.ts";
import { CHAT, client, fails, keyAnswer, post, problem, serve } from "./testing.ts";

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
