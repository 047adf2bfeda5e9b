/** What the library adds to the sealed fetch: pairings, defaults, renewals, metadata. Built and on its platforms: tests/library. */
import assert from "node:assert/strict";
import { utf8 } from "../bytes.ts";
import { randomBytes } from "../sealed/primitives.ts";
import { sealRenewal } from "../sealed/renewal_sealer.ts";
import { sealedFetch, type SealedFetchOptions } from "./library.ts";
import { encodePairing, parsePairing } from "./pairing.ts";
import { post, PSK_ID, serve } from "./testing.ts";

const CLIENT = "00112233445566778899aabbccddeeff";
const [OLD, NEW] = [`client.${"0".repeat(16)}.${CLIENT}`, `client.${"1".repeat(16)}.${CLIENT}`];
const ASK = post({ model: "demo" });

Deno.test("library: a paired client uses suite 2, one of this machine suite 1, unless told otherwise", async () => {
  const psk = randomBytes(32);
  await using server = await serve({ psk: () => psk, suites: [1, 2] });
  const suites: (string | null)[] = [];
  server.intercept = (route, request) => {
    if (route === "key") suites.push(new URL(request.url).searchParams.get("suite"));
  };
  for (
    const [pskId, suite] of [[OLD, undefined], [PSK_ID, undefined], [OLD, 1], [PSK_ID, 2]] as const
  ) {
    const pairing = encodePairing({ url: server.gateway, pskId, psk, hid: server.host.hid });
    const sealed = await sealedFetch({ pairing, ...(suite && { suite }) });
    assert.equal((await sealed("/api/chat", ASK)).status, 200);
    sealed.close();
  }
  assert.deepEqual(suites, ["2", null, null, "2"]);
});

Deno.test("library: a new key comes as a new pairing string, which is used once it is stored", async () => {
  const [old, newer] = [randomBytes(32), randomBytes(32)];
  await using server = await serve({
    psk: (id) => id === OLD ? old : id === NEW ? newer : undefined,
    suites: [2],
  });
  const { hid } = server.host;
  const renewal = sealRenewal({ pskId: NEW, psk: newer, gen: 1 }, old, hid);
  server.answer = ({ pskId }) => pskId === OLD ? { renewal } : {};
  const pairing = encodePairing({ url: server.gateway, pskId: OLD, psk: old, hid });
  const stored: string[] = [];
  let fails = true;
  const sealed = await sealedFetch({
    pairing,
    renewed(text) {
      if (fails) return Promise.reject(new Error("the disk is full"));
      stored.push(text);
      return Promise.resolve();
    },
  });
  const without = await sealedFetch({ pairing });
  const used = async (send: typeof sealed) => {
    await (await send("/api/chat", ASK)).text();
    return server.opened.at(-1)!.pskId;
  };
  assert.equal(await used(sealed), OLD);
  assert.equal(await used(sealed), OLD, "used before it was stored");
  fails = false;
  assert.equal(await used(sealed), OLD);
  assert.equal(await used(sealed), NEW);
  const [taken, settled] = stored.map(parsePairing);
  assert.deepEqual([taken!.pskId, taken!.psk, taken!.hid], [NEW, newer, hid]);
  assert.deepEqual(taken!.previous, { pskId: OLD, psk: old }, "kept until the new one has opened");
  const { previous: _, ...rest } = taken!;
  assert.deepEqual(settled, rest);
  assert.equal(stored.length, 2);
  assert.equal(await used(await sealedFetch({ pairing: stored[0]! })), NEW);
  for (let i = 0; i < 2; i++) assert.equal(await used(without), OLD);
});

Deno.test("library: credentials that are read are read again after a 401, and no more than needed", async () => {
  const psk = randomBytes(32);
  await using server = await serve({ psk: (id) => id === OLD ? psk : undefined });
  const readings = [randomBytes(32), psk];
  const { hid } = server.host;
  let reads = 0;
  const sealed = await sealedFetch({
    gateway: server.gateway,
    credentials: () => Promise.resolve({ pskId: OLD, hid, psk: readings[Math.min(reads++, 1)]! }),
    suite: 1,
  });
  assert.equal(reads, 1);
  await assert.rejects(sealed("/api/chat", ASK), { code: "auth" }); // our own check of the key document: no retry
  let lateReads = 0;
  const late = await sealedFetch({
    gateway: server.gateway,
    credentials: () => Promise.resolve({ pskId: lateReads++ > 0 ? OLD : NEW, psk, hid }),
    suite: 1,
  });
  assert.equal((await late("/api/chat", ASK)).status, 200);
  assert.equal(lateReads, 2);
});

Deno.test("library: what is no conversation is asked of the gateway, with a proof, by any form of request", async () => {
  const seen: { line: string; proof: boolean; body: string }[] = [];
  await using server = await serve();
  server.intercept = async (_, request) => {
    const { pathname, search } = new URL(request.url);
    seen.push({
      line: `${request.method} ${pathname}${search}`,
      proof: request.headers.has("secllama-proof"),
      body: await request.text(),
    });
    return Response.json({});
  };
  const sealed = await sealedFetch({
    gateway: server.gateway,
    credentials: server.credentials,
  });
  await sealed("/api/tags");
  await sealed(new URL("http://anywhere/v1/models"));
  await sealed(new Request("http://anywhere/api/ps?x=1"));
  await sealed("http://anywhere/api/show", { method: "post", body: utf8('{"model":"demo"}') });
  assert.deepEqual(seen, [
    { line: "GET /api/tags", proof: true, body: "" },
    { line: "GET /v1/models", proof: true, body: "" },
    { line: "GET /api/ps?x=1", proof: true, body: "" },
    { line: "POST /api/show", proof: true, body: '{"model":"demo"}' },
  ]);
});

Deno.test("library: options that cannot be are named", async () => {
  const [psk, hid] = [randomBytes(32), randomBytes(16)];
  const bad: readonly [unknown, string][] = [
    [{ pairing: "secllama-pair-1.x.y" }, "bad-pairing"],
    [{ gateway: "gateway", credentials: { pskId: PSK_ID, psk, hid } }, "bad-config"],
    [{ gateway: "http://127.0.0.1:1" }, "bad-config"],
    [
      { gateway: "http://127.0.0.1:1", credentials: { pskId: PSK_ID, psk: "secret", hid } },
      "bad-config",
    ],
    [{ gateway: "http://127.0.0.1:1", credentials: { psk, hid } }, "bad-config"],
    [{ gateway: "http://127.0.0.1:1", credentials: { pskId: PSK_ID, psk } }, "bad-config"],
    [
      { gateway: "http://127.0.0.1:1", credentials: { pskId: PSK_ID, psk, hid }, suite: 3 },
      "bad-config",
    ],
  ];
  for (const [options, code] of bad) {
    await assert.rejects(sealedFetch(options as SealedFetchOptions), (error: Error) => {
      assert.equal((error as Error & { code: string }).code, code);
      assert.ok(!error.message.includes("secret"));
      return true;
    });
  }
});
