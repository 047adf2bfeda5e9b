/**
 * A runner's session over a real pipe, asked by the real client with an injected clock: recipient keys that roll and expire, a client
 * whose clock is wrong, a full replay window, clients that are revoked or get a new key.
 */
import assert from "node:assert/strict";
import { type Bytes, fromHex, toHex } from "../src/bytes.ts";
import { type Credentials, sealedFetch, type SealedFetchOptions } from "../src/client/mod.ts";
import { encodeGive, encodeTake } from "../src/pipe/key_frames.ts";
import { type JsonObject, Pipe } from "../src/pipe/pipe.ts";
import { randomBytes } from "../src/sealed/primitives.ts";
import { FakeHost } from "../src/sealed/fake_host.ts";
import { clientPskId, localPskId } from "../src/sealed/psk.ts";
import { sealRenewal } from "../src/sealed/renewal_sealer.ts";
import { Session, type SessionOptions } from "./session.ts";

const HOUR_MS = 3_600_000;
const [OLD, NEW] = ["0123456789abcdef", "fedcba9876543210"];
const ID = "ab".repeat(16);

interface World {
  readonly clock: { now: number };
  readonly session: Session;
  readonly url: string;
  readonly counts: { keys: number; requests: number };
  /** As the gateway does; `newer` is the key that each of these clients is to take up. */
  give(entries: readonly Credentials[], newer?: Credentials): void;
  take(kind: "forget" | "revoke", ...entries: Credentials[]): void;
  client(options: Partial<SealedFetchOptions>): ReturnType<typeof sealedFetch>;
}

const CHAT = { method: "POST", body: `{"model":"demo"}` };
const psks = new Map<string, Uint8Array>();
const host = new FakeHost((id) => psks.get(id));

function known(pskId: string): Credentials {
  const psk = randomBytes(32);
  psks.set(pskId, psk);
  return { pskId, psk, hid: host.hid };
}

const local = known(localPskId(OLD));
const paired = known(clientPskId(OLD, ID));
const renewed = known(clientPskId(NEW, ID));

/** The host's word, as it goes into the head of a key exchange. */
function word(pskId: string, model: string, c: string) {
  const { gen, attest } = host.word(pskId, { model, challenge: fromHex(c) });
  return { gen, attest: toHex(attest) };
}

/** A session behind a pipe, and in front of it what a gateway does: key documents and sealed requests, nothing else. */
async function withWorld(
  recipient: SessionOptions["recipient"],
  body: (world: World) => Promise<void>,
  answer: SessionOptions["fetch"] = () => Promise.resolve(new Response("fine")),
): Promise<void> {
  const clock = { now: 1_750_000_000_000 };
  const counts = { keys: 0, requests: 0 };
  const session = await Session.start({
    model: "demo:latest",
    encryption: true,
    fetch: answer,
    hid: toHex(host.hid),
    rn: toHex(host.rn),
    onRecipients: () => {},
    recipient: { now: () => clock.now, ...recipient },
  });
  session.serve();
  const [toRunner, toGateway] = [
    new TransformStream<Uint8Array>(),
    new TransformStream<Uint8Array>(),
  ];
  const [down, up] = [toRunner.writable.getWriter(), toGateway.writable.getWriter()];
  const common = { onControl() {}, onSecret() {} };
  const runner = new Pipe({
    ...common,
    side: "runner",
    readable: toRunner.readable,
    write: (bytes) => up.write(bytes.slice()).catch(() => {}),
    onExchange: (exchange) => session.handle(exchange),
  });
  const gateway = new Pipe({
    ...common,
    side: "gateway",
    readable: toGateway.readable,
    write: (bytes) => down.write(bytes.slice()).catch(() => {}),
  });
  const running = [runner.run().catch(() => {}), gateway.run().catch(() => {})];
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, searchParams: q } = new URL(request.url);
    const isKey = pathname === "/sealed/v1/key";
    counts[isKey ? "keys" : "requests"]++;
    const head = isKey
      ? {
        kind: "key",
        id: q.get("id"),
        c: q.get("c"),
        model: q.get("model"),
        suite: Number(q.get("suite") ?? 1),
        waitedMs: 0,
        ...word(q.get("id")!, q.get("model")!, q.get("c")!),
      }
      : { kind: "sealed" };
    const exchange = gateway.open(head as JsonObject);
    await exchange.write(await request.bytes());
    await exchange.end();
    const { status, headers } = await exchange.head() as { status: number; headers: HeadersInit };
    return new Response(ReadableStream.from(exchange), { status, headers });
  });
  const url = `http://127.0.0.1:${http.addr.port}`;
  try {
    await body({
      clock,
      session,
      url,
      counts,
      give(entries, newer) {
        const keys = entries.map(({ pskId, psk, hid }) => ({
          pskId,
          psk: host.runnerPsk(pskId)!,
          ...(newer &&
            { renewal: sealRenewal({ ...newer, psk: newer.psk as Bytes, gen: 1 }, psk, hid) }),
        }));
        for (const payload of encodeGive(keys)) session.takeKeys(payload);
      },
      take(kind, ...entries) {
        const ids = entries.map(({ pskId }) => pskId);
        for (const payload of encodeTake(kind, ids)) session.takeKeys(payload);
      },
      client: (options) =>
        sealedFetch({
          gateway: url,
          credentials: () => Promise.resolve(local),
          now: () => clock.now,
          ...options,
        }),
    });
  } finally {
    await http.shutdown();
    await Promise.all([down.close().catch(() => {}), up.close().catch(() => {})]);
    await Promise.all(running);
  }
}

const text = async (response: Promise<Response>) => await (await response).text();

for (const suite of [1, 2]) {
  Deno.test(`session: recipient keys roll hourly, two are valid, a client goes on by itself (suite ${suite})`, () =>
    withWorld({}, async ({ clock, client, counts, give }) => {
      give([local]);
      const fetch = client({ suite });
      assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
      clock.now += HOUR_MS / 2;
      assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
      assert.equal(counts.keys, 1, "the key document is kept");
      // Rolled, and the one before still opens.
      clock.now += HOUR_MS;
      assert.equal(await text(client({ suite })("/api/chat", CHAT)), "fine");
      assert.equal(counts.keys, 2);
      assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
      assert.equal(counts.keys, 2, "the older of two valid keys was used");
      // Expired by its own date: the client fetches the next without being refused.
      const before = counts.requests;
      clock.now += 2 * HOUR_MS;
      assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
      assert.deepEqual([counts.keys, counts.requests - before], [3, 1]);
    }));
}

Deno.test("session: a key that is gone before its time is refused with 422, fetched again and sealed to once", () =>
  withWorld({}, async ({ clock, client, counts, give }) => {
    give([local]);
    const skew = { ms: 0 };
    // A client whose clock stands still does not notice that its key has expired.
    const fetch = client({ now: () => clock.now - skew.ms });
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    skew.ms = 3 * HOUR_MS;
    clock.now += 3 * HOUR_MS;
    const before = counts.requests;
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    assert.deepEqual([counts.keys, counts.requests - before], [2, 2]);
  }));

Deno.test("session: clients whose clock is wrong by an hour are served; one that jumps is refused once", () =>
  withWorld({}, async ({ clock, client, counts, give }) => {
    give([local]);
    for (const off of [-HOUR_MS, HOUR_MS]) {
      assert.equal(await text(client({ now: () => clock.now + off })("/api/chat", CHAT)), "fine");
    }
    let jump = 0;
    const fetch = client({ now: () => clock.now + jump });
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    const before = counts.requests;
    jump = 600_000;
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    assert.equal(counts.requests - before, 2, "425, then sealed by the runner's clock");
  }));

Deno.test("session: a full replay window ends the recipient key, and the client goes on with the next", () =>
  withWorld({ limits: { replayEntries: 3 } }, async ({ client, counts, give, session }) => {
    give([local]);
    for (const suite of [1, 2]) {
      const fetch = client({ suite });
      const keys = counts.keys;
      for (let i = 0; i < 8; i++) assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
      assert.ok(counts.keys - keys >= 3, `${counts.keys - keys} key documents for 8 requests`);
    }
    assert.ok(session);
  }));

Deno.test("session: a client of before the rotation gets its key in the reply, sealed, and uses it once it is stored", () =>
  withWorld({}, async ({ client, give, take }) => {
    let stored: Credentials = paired;
    let fails = true;
    const fetch = client({
      credentials: () => Promise.resolve(stored),
      renewed: (credentials) => {
        if (fails) return Promise.reject(new Error("the disk is full"));
        stored = credentials;
        return Promise.resolve();
      },
    });
    give([local, paired]);
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    assert.deepEqual(stored, paired);
    give([paired], renewed);
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    assert.deepEqual(stored, paired, "what is not stored is not used");
    fails = false;
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    const { pskId, psk } = paired;
    assert.deepEqual(stored, { ...renewed, previous: { pskId, psk } });
    give([renewed]);
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    assert.deepEqual(stored, renewed, "the new one has opened a reply");
    take("forget", paired);
    assert.equal(await text(fetch("/api/chat", CHAT)), "fine");
    // Another process of this client still has the old one: it is refused, reads the store, and goes on.
    let asked = 0;
    const other = client({ credentials: () => Promise.resolve(asked++ === 0 ? paired : stored) });
    assert.equal(await text(other("/api/chat", CHAT)), "fine");
    assert.equal(asked, 2);
    // A client that can store nothing keeps what it has.
    give([paired], renewed);
    const plain = client({ credentials: () => Promise.resolve(paired) });
    for (let i = 0; i < 2; i++) assert.equal(await text(plain("/api/chat", CHAT)), "fine");
  }));

Deno.test("session: a revoked client's stream ends, those of others and of the rotated go on", async () => {
  const open: ReadableStreamDefaultController<Uint8Array>[] = [];
  await withWorld({}, async ({ client, give, take }) => {
    const other = known(clientPskId(OLD, "cd".repeat(16)));
    give([local, paired, other]);
    const streams = await Promise.all(
      [paired, other, local].map((credentials) =>
        client({ credentials: () => Promise.resolve(credentials) })("/api/chat", CHAT)
      ),
    );
    const readers = streams.map((response) => response.body!.getReader());
    for (const reader of readers) assert.equal((await reader.read()).value?.length, 5);
    // A rotation ends nobody's, and neither does the end of an old key whose client has a newer one.
    give([paired, other], renewed);
    take("forget", other, local);
    take("revoke", paired);
    await assert.rejects(readers[0]!.read(), { code: "truncated" });
    for (const controller of open) {
      try {
        controller.enqueue(new TextEncoder().encode("later"));
        controller.close();
      } catch { /* the revoked one was cancelled */ }
    }
    for (const reader of readers.slice(1)) assert.equal((await reader.read()).value?.length, 5);
    for (const credentials of [paired, other]) {
      await assert.rejects(
        client({ credentials: () => Promise.resolve(credentials) })("/api/chat", CHAT),
        { code: "auth" },
      );
    }
  }, () =>
    Promise.resolve(
      new Response(
        new ReadableStream<Uint8Array>({
          start(controller) {
            controller.enqueue(new TextEncoder().encode("first"));
            open.push(controller);
          },
        }),
      ),
    ));
});

Deno.test("session: large requests that wait count for their client; another's goes on, and nothing is ended", async () => {
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  await withWorld({ limits: { heldBytes: 1_000_000 } }, async ({ client, give }) => {
    give([local, paired]);
    const large = {
      method: "POST",
      body: JSON.stringify({ model: "demo", x: "x".repeat(60_000) }),
    };
    const flood = client({});
    const begun: Promise<string>[] = [];
    let busy: unknown;
    for (let n = 0; n < 30 && busy === undefined; n++) {
      const asked = flood("/api/chat", large);
      await Promise.race([
        asked.catch((error) => busy = error),
        (async () => {
          while (waiting === n && busy === undefined) await new Promise((r) => setTimeout(r, 1));
        })(),
      ]);
      if (busy === undefined) begun.push(text(asked));
    }
    // 30 requests of 60 kB are 1.8 MB, which was counted nowhere once they were open.
    assert.equal((busy as { code?: string })?.code, "busy");
    const other = client({ credentials: () => Promise.resolve(paired) });
    assert.equal(await text(other("/api/embed", CHAT)), "fine");
    gate.resolve();
    assert.deepEqual(await Promise.all(begun), begun.map(() => "fine"));
    assert.equal(await text(flood("/api/chat", large)), "fine");
  }, async (request) => {
    waiting++;
    if (request.url.endsWith("/api/chat")) await gate.promise;
    return new Response("fine");
  });
});
