/** What a client does about its keys when a runner, or whoever answers in its place, lies to it. */
import assert from "node:assert/strict";
import { problemResponse } from "../api/problems.ts";
import { SecLlamaError } from "../errors.ts";
import { randomBytes } from "../sealed/primitives.ts";
import type { Renewal } from "../sealed/renewal.ts";
import { sealRenewal } from "../sealed/renewal_sealer.ts";
import type { Credentials } from "./options.ts";
import { sealedFetch } from "./sealed_fetch.ts";
import { post, serve, type Server } from "./testing.ts";

const CLIENT = "00112233445566778899aabbccddeeff";
const [OLD, NEW] = ["0".repeat(16), "1".repeat(16)].map((kid) => `client.${kid}.${CLIENT}`);
const ASK = post({ model: "demo" });

/** A host with a client's two keys, and that client, which stores what it is told to. */
async function world() {
  const psks = new Map([[OLD!, randomBytes(32)], [NEW!, randomBytes(32)]]);
  const accepted = new Set([OLD!, NEW!]);
  const server = await serve({ psk: (id) => accepted.has(id) ? psks.get(id) : undefined });
  const { hid } = server.host;
  const [old, newer] = [OLD!, NEW!].map((pskId) => ({ pskId, psk: psks.get(pskId)!, hid }));
  const disk = { stored: old! as Credentials, writes: 0 };
  const client = () =>
    sealedFetch({
      gateway: server.gateway,
      credentials: () => Promise.resolve(disk.stored),
      renewed(credentials) {
        disk.stored = credentials;
        disk.writes++;
        return Promise.resolve();
      },
    });
  const fetch = client();
  return {
    server,
    accepted,
    old: old!,
    newer: newer!,
    disk,
    /** The same client, started anew. */
    client,
    /** The psk_id of the request that was answered. */
    async ask(send = fetch): Promise<string> {
      await (await send("/api/chat", ASK)).text();
      return server.opened.at(-1)!.pskId;
    },
    renewal: (change: Partial<Renewal> = {}, under = old!.psk, host = hid) =>
      sealRenewal({ pskId: NEW!, psk: newer!.psk, gen: 1, ...change }, under, host),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Refuses sealed requests under `pskId`, as a runner or anybody on the way can, without the host's knowing. */
function refuse(server: Server, pskId: string): void {
  server.intercept = async (route, request) => {
    if (route === "key") return;
    const body = await request.clone().bytes();
    if (!new TextDecoder("latin1").decode(body).includes(pskId)) return;
    return problemResponse(new SecLlamaError("auth", "no"));
  };
}

Deno.test("keys: a key that the host did not seal to the client is not stored, whatever a runner makes up", async () => {
  await using w = await world();
  const runnerPsk = w.server.host.runnerPsk(OLD!)!;
  const forged: Uint8Array[] = [
    // All that a runner holds: its own PSK with the client, what it has seen, what it draws.
    w.renewal({}, runnerPsk),
    w.renewal({}, randomBytes(32)),
    w.renewal({ psk: randomBytes(32) }, runnerPsk),
    randomBytes(200),
    new Uint8Array(0),
    w.renewal().map((byte, i) => i === 40 ? byte ^ 1 : byte),
    // Sealed by the host, for somebody else or for another time.
    w.renewal({ pskId: NEW!.replace("00112233", "ffffffff") }),
    w.renewal({ pskId: "local.0123456789abcdef" }),
    w.renewal({}, w.newer.psk),
    w.renewal({}, w.old.psk, randomBytes(16)),
    w.renewal({ gen: 0 }),
  ];
  for (const renewal of forged) {
    w.server.answer = () => ({ renewal });
    assert.equal(await w.ask(), OLD);
  }
  assert.deepEqual([w.disk.writes, w.disk.stored], [0, w.old]);
  // The control: the host's own is taken.
  w.server.answer = () => ({ renewal: w.renewal() });
  await w.ask();
  assert.equal(w.disk.stored.pskId, NEW);
});

Deno.test("keys: one that was recorded and is shown again after the host went back does not move the client", async () => {
  await using w = await world();
  const recorded = w.renewal({ gen: 1 });
  w.server.host.gen = 2; // the host made the old key the active one again
  w.server.answer = () => ({ renewal: recorded });
  assert.equal(await w.ask(), OLD);
  assert.deepEqual([w.disk.writes, w.disk.stored], [0, w.old]);
  // The control: before that it would have been taken.
  w.server.host.gen = 1;
  await w.ask(w.client());
  assert.equal(w.disk.stored.pskId, NEW);
});

Deno.test("keys: the old one is kept until the new one has opened a reply, also by a client that is started anew", async () => {
  await using w = await world();
  w.server.answer = ({ pskId }) => pskId === OLD ? { renewal: w.renewal() } : {};
  assert.equal(await w.ask(), OLD);
  const { pskId, psk } = w.old;
  assert.deepEqual(w.disk.stored, { ...w.newer, previous: { pskId, psk } });
  assert.equal(await w.ask(w.client()), NEW);
  assert.deepEqual(w.disk.stored, w.newer, "settled");
  assert.equal(w.disk.writes, 2);
});

Deno.test("keys: a runner that refuses the new key, or a host that does, leaves the client with one that works", async () => {
  await using w = await world();
  w.server.answer = ({ pskId }) => pskId === OLD ? { renewal: w.renewal() } : {};
  await w.ask();
  const both = w.disk.stored;
  // A runner that lies: the client goes back, and drops neither, for the host may have seen the new one meanwhile.
  refuse(w.server, NEW!);
  for (let i = 0; i < 2; i++) assert.equal(await w.ask(), OLD);
  assert.deepEqual(w.disk.stored, both);
  // The host has dropped the old one; an honest runner answers again.
  w.accepted.delete(OLD!);
  await assert.rejects(w.ask(), { code: "auth" });
  assert.deepEqual(w.disk.stored, both, "refused under both, and still nothing is dropped");
  w.server.intercept = () => {};
  assert.equal(await w.ask(), NEW);
  assert.deepEqual(w.disk.stored, w.newer);
});

Deno.test("keys: a host that knows the new key no more is asked with the old one, each request at most three times", async () => {
  await using w = await world();
  w.disk.stored = { ...w.newer, previous: { pskId: w.old.pskId, psk: w.old.psk } };
  w.accepted.delete(NEW!);
  assert.equal(await w.ask(), OLD);
  w.accepted.clear();
  w.server.counts.keys = 0;
  await assert.rejects(w.ask(), { code: "auth" });
  assert.ok(w.server.counts.keys <= 3, `${w.server.counts.keys} key documents were asked for`);
});
