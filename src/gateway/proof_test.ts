import assert from "node:assert/strict";
import { Hono } from "hono";
import { randomBytes } from "../sealed/primitives.ts";
import { makeProof, NOW_HEADER, parseProof, PROOF_HEADER } from "../sealed/proof.ts";
import { deriveHostPsk, deriveProofKey } from "../sealed/psk.ts";
import { Nonces } from "./nonces.ts";
import { PROOF_NONCES, PROOF_SKEW_MS, type ProofEnv, ProofGate } from "./proof.ts";

const PSK_ID = "client.00112233445566ff.0102030405060708090a0b0c0d0e0f10";
const PSK = randomBytes(32);
const HID = randomBytes(16);
const NOTHING = new Uint8Array(0);

function makeApp(gated: boolean, clock = { now: 1_700_000_000_000 }) {
  const app = new Hono();
  const gate = new ProofGate({
    nonces: new Nonces(PROOF_NONCES),
    now: () => clock.now,
    proofKey: (id) =>
      Promise.resolve(
        id === PSK_ID ? { hid: HID, key: deriveProofKey(deriveHostPsk(PSK, HID)) } : undefined,
      ),
  });
  if (gated) app.use("*", gate.middleware());
  app.get("/", (c) => c.text("here"));
  app.post("/sealed/v1", (c) => c.text("sealed"));
  app.get("/api/tags", (c) => c.text("names"));
  app.get("/sealed/v1/key", (c) => c.text("key"));
  app.post("/api/show", async (c) => c.text(`shows ${await c.req.raw.text()}`));
  return { app, clock };
}

const proofOf = (
  method: string,
  target: string,
  now: number,
  more: {
    psk?: Uint8Array;
    pskId?: string;
    hid?: Uint8Array;
    body?: Uint8Array;
    nonce?: Uint8Array;
  } = {},
) =>
  makeProof({ method, target, body: more.body ?? NOTHING }, {
    psk: more.psk ?? PSK,
    pskId: more.pskId ?? PSK_ID,
    hid: more.hid ?? HID,
    now,
    ...(more.nonce && { nonce: more.nonce }),
  });

const ask = (app: Hono, path: string, proof?: string, init: RequestInit = {}) =>
  app.request(`http://host${path}`, {
    ...init,
    headers: proof === undefined ? {} : { [PROOF_HEADER]: proof },
  });

Deno.test("proof: without the gate a stranger is answered; with it only what is open, and nothing new by default", async () => {
  for (const path of ["/api/tags", "/sealed/v1/key?model=demo", "/"]) {
    assert.equal((await ask(makeApp(false).app, path)).status, 200, path);
  }
  const { app, clock } = makeApp(true);
  assert.equal((await ask(app, "/")).status, 200);
  assert.equal((await ask(app, "/sealed/v1", undefined, { method: "POST" })).status, 200);
  for (const path of ["/api/tags", "/sealed/v1/key?model=demo", "/api/later", "/sealed/v1"]) {
    const response = await ask(app, path);
    assert.equal(response.status, 401, path);
    assert.ok(!/names|key/.test(await response.text()), path);
  }
  const key = await ask(app, "/sealed/v1/key");
  assert.equal(key.headers.get("content-type"), "application/problem+json");
  const good = await ask(app, "/api/tags", proofOf("GET", "/api/tags", clock.now));
  assert.equal(await good.text(), "names");
});

Deno.test("proof: it holds for one method, target, body, key, time and use", async () => {
  const { app, clock } = makeApp(true);
  const status = async (path: string, proof: string, init?: RequestInit) =>
    (await ask(app, path, proof, init)).status;
  const once = proofOf("GET", "/api/tags", clock.now);
  assert.equal(await status("/api/tags", once), 200);
  assert.equal(await status("/api/tags", once), 401, "used");
  assert.equal(await status("/api/tags?x=1", proofOf("GET", "/api/tags", clock.now)), 401);
  assert.equal(await status("/api/tags", proofOf("POST", "/api/tags", clock.now)), 401);
  assert.equal(
    await status("/api/tags", proofOf("GET", "/api/tags", clock.now, { psk: randomBytes(32) })),
    401,
  );
  assert.equal(
    await status("/api/tags", proofOf("GET", "/api/tags", clock.now, { pskId: "local.0" })),
    401,
  );
  const body = new TextEncoder().encode(`{"model":"demo"}`);
  const shown = { method: "POST", body };
  assert.equal(await status("/api/show", proofOf("POST", "/api/show", clock.now), shown), 401);
  const proof = proofOf("POST", "/api/show", clock.now, { body });
  const answer = await ask(app, "/api/show", proof, shown);
  assert.equal(await answer.text(), `shows {"model":"demo"}`);
  for (let at = 0; at < once.length; at++) {
    const fresh = proofOf("GET", "/api/tags", clock.now);
    const changed = fresh.slice(0, at) + (fresh[at] === "0" ? "1" : "0") + fresh.slice(at + 1);
    assert.equal(await status("/api/tags", changed), 401, changed);
  }
  for (const bad of ["", "x", `${once};`, once.replace("t=", "t=-"), "a".repeat(5000)]) {
    assert.equal(parseProof(bad), undefined);
  }
});

Deno.test("proof: one that was shown to a host is nothing at another of the same keys", async () => {
  const { clock } = makeApp(true);
  const request = { method: "GET", target: "/api/tags", body: NOTHING };
  const hosts = [randomBytes(16), randomBytes(16)].map((hid) => ({
    hid,
    gate: new ProofGate({
      nonces: new Nonces(PROOF_NONCES),
      now: () => clock.now,
      proofKey: () => Promise.resolve({ hid, key: deriveProofKey(deriveHostPsk(PSK, hid)) }),
    }),
  }));
  const shown = proofOf("GET", request.target, clock.now, { hid: hosts[0]!.hid });
  await hosts[0]!.gate.check(shown, request);
  await assert.rejects(hosts[1]!.gate.check(shown, request), { code: "auth" });
  // The control: were proofs not bound to a host, the second would take it, for it has not seen this nonce.
  const careless = new ProofGate({
    nonces: new Nonces(PROOF_NONCES),
    now: () => clock.now,
    proofKey: () =>
      Promise.resolve({
        hid: hosts[0]!.hid,
        key: deriveProofKey(deriveHostPsk(PSK, hosts[0]!.hid)),
      }),
  });
  await careless.check(shown, request);
});

Deno.test("proof: on loopback nobody needs one, and only a right one counts as having shown a key", async () => {
  const clock = { now: 1_700_000_000_000 };
  const proven: string[] = [];
  const gate = new ProofGate({
    nonces: new Nonces(PROOF_NONCES),
    now: () => clock.now,
    proofKey: (id) =>
      Promise.resolve(
        id === PSK_ID ? { hid: HID, key: deriveProofKey(deriveHostPsk(PSK, HID)) } : undefined,
      ),
    onProven: (id) => proven.push(id),
    required: false,
  });
  const app = new Hono();
  app.use("*", gate.middleware());
  app.get("/api/tags", (c) => c.text("names"));
  const good = proofOf("GET", "/api/tags", clock.now);
  for (
    const proof of [
      undefined,
      "nonsense",
      proofOf("GET", "/api/tags", clock.now, { psk: randomBytes(32) }),
      proofOf("GET", "/api/tags", clock.now, { pskId: "local.0" }),
      proofOf("GET", "/api/ps", clock.now),
      proofOf("GET", "/api/tags", clock.now - 3_600_000),
    ]
  ) {
    assert.equal((await ask(app, "/api/tags", proof)).status, 200);
  }
  assert.deepEqual(proven, []);
  for (let i = 0; i < 2; i++) assert.equal((await ask(app, "/api/tags", good)).status, 200);
  assert.deepEqual(proven, [PSK_ID], "once: the second time its nonce is known");
});

Deno.test("proof: on loopback a handler is told who proved a key, and by which body; the body is there all the same", async () => {
  const clock = { now: 1_700_000_000_000 };
  const app = new Hono<ProofEnv>();
  const gate = new ProofGate({
    nonces: new Nonces(PROOF_NONCES),
    now: () => clock.now,
    proofKey: (id) =>
      Promise.resolve(
        id === PSK_ID ? { hid: HID, key: deriveProofKey(deriveHostPsk(PSK, HID)) } : undefined,
      ),
    required: false,
  });
  app.use("*", gate.middleware());
  app.post(
    "/secllama/session",
    async (c) => c.text(`${c.get("proven") ?? "nobody"} ${await c.req.raw.text()}`),
  );
  const body = new TextEncoder().encode('{"id_token":"x"}');
  const said = async (proof: string | undefined) =>
    await (await ask(app as unknown as Hono, "/secllama/session", proof, { method: "POST", body }))
      .text();
  const proof = (more: Parameters<typeof proofOf>[3]) =>
    proofOf("POST", "/secllama/session", clock.now, { body, ...more });
  const text = new TextDecoder().decode(body);
  assert.equal(await said(proof({})), `${PSK_ID} ${text}`);
  // The id alone, which travels in the clear, made anybody the session's owner before.
  for (
    const wrong of [
      undefined,
      "nonsense",
      proof({ psk: randomBytes(32) }),
      proof({ body: NOTHING }),
      proofOf("GET", "/secllama/session", clock.now, { body }),
      proof({}).replace(/mac=.*/, `mac=${"A".repeat(43)}`),
    ]
  ) {
    assert.equal(await said(wrong), `nobody ${text}`);
  }
});

Deno.test("proof: a wrong clock gets the right time; proofs from before the gateway's start are refused", async () => {
  const { app, clock } = makeApp(true);
  const started = clock.now;
  clock.now += 10 * PROOF_SKEW_MS;
  for (const off of [-3_600_000, 3_600_000, -PROOF_SKEW_MS - 1]) {
    const response = await ask(app, "/api/tags", proofOf("GET", "/api/tags", clock.now + off));
    assert.equal(response.status, 425);
    assert.equal(response.headers.get(NOW_HEADER), String(clock.now));
  }
  for (const off of [-PROOF_SKEW_MS, 0, PROOF_SKEW_MS]) {
    const proof = proofOf("GET", "/api/tags", clock.now + off);
    assert.equal((await ask(app, "/api/tags", proof)).status, 200);
  }
  // A used nonce is remembered for as long as its proof could still be in time.
  const early = proofOf("GET", "/api/tags", clock.now + PROOF_SKEW_MS);
  assert.equal((await ask(app, "/api/tags", early)).status, 200);
  clock.now += 2 * PROOF_SKEW_MS - 1;
  assert.equal((await ask(app, "/api/tags", early)).status, 401);
  clock.now += 2;
  assert.equal((await ask(app, "/api/tags", early)).status, 425);
  const again = makeApp(true, { now: started });
  const before = proofOf("GET", "/api/tags", started - 1);
  assert.equal((await ask(again.app, "/api/tags", before)).status, 425);
});

Deno.test("proof: one client that asks without end is told to wait, and the others are not", async () => {
  const clock = { now: 1_700_000_000_000 };
  const gate = new ProofGate({
    nonces: new Nonces({ ...PROOF_NONCES, each: 500 }),
    now: () => clock.now,
    proofKey: () => Promise.resolve({ hid: HID, key: deriveProofKey(deriveHostPsk(PSK, HID)) }),
  });
  const request = { method: "GET", target: "/api/tags", body: NOTHING };
  const check = (pskId: string) =>
    gate.check(proofOf("GET", request.target, clock.now, { pskId }), request);
  let taken = 0;
  await assert.rejects(
    (async () => {
      for (; taken < 4000; taken++) await check(PSK_ID);
    })(),
    { code: "rate-limited" },
  );
  assert.equal(taken, 500);
  await check(PSK_ID.replace("client.00", "client.ff"));
  clock.now += 2 * PROOF_SKEW_MS;
  await check(PSK_ID);
});
