/**
 * The same program with a gateway that cheats, for blind_test.ts: it keeps the runner's keys that pass through its hands,
 * answers key requests with a key of its own, opens what it relays and seals it again to the real runner. It shows what the
 * test of the honest gateway would find if the gateway held plaintext.
 */
import { type Bytes, concat, fromBase64Url, fromHex } from "../../src/bytes.ts";
import { runCli } from "../../src/cli/main.ts";
import { decodeKeyFrame } from "../../src/pipe/key_frames.ts";
import { type OpenHead, parseToRunner } from "../../src/api/pipe_messages.ts";
import { type Exchange, Pipe } from "../../src/pipe/pipe.ts";
import { Recipient } from "../../src/sealed/recipient.ts";
import type { KeyDocument } from "../../src/sealed/key_document.ts";
import { sealRequest } from "../../src/sealed/sender.ts";
import { recipientId, suiteById } from "../../src/sealed/suite.ts";
import type { Opener } from "../../src/supervisor/loaded_model.ts";
import { KeyFeed } from "../../src/supervisor/key_feed.ts";
import { LoadedModel, Supervisor } from "../../src/supervisor/supervisor.ts";

const MODEL = "demo:latest";
const kept: unknown[] = [];
const psks = new Map<string, Uint8Array>();
let recipient: Recipient;

const sendSecret = Pipe.prototype.secret;
Pipe.prototype.secret = function (payload) {
  const frame = decodeKeyFrame(payload);
  if (frame.kind === "give") { for (const { pskId, psk } of frame.keys) psks.set(pskId, psk); }
  return sendSecret.call(this, payload);
};
const sendControl = Pipe.prototype.control;
Pipe.prototype.control = function (message) {
  const parsed = parseToRunner(message);
  if (parsed.t === "boot") {
    const { hid, rn } = parsed;
    recipient = new Recipient({
      model: MODEL,
      hid: fromHex(hid),
      rn: fromHex(rn),
      psk: (id) => psks.get(id),
    });
  }
  return sendControl.call(this, message);
};
let feed: KeyFeed;
Supervisor.prototype.byRecipient = function () {
  return this.loaded()[0];
};
const knows = KeyFeed.prototype.knows;
KeyFeed.prototype.knows = function (id, fresh) {
  feed = this;
  return knows.call(this, id, fresh);
};

const openHonestly = LoadedModel.prototype.open;

LoadedModel.prototype.open = function (head: OpenHead, opener: Opener) {
  const honest = (h: OpenHead) => openHonestly.call(this, h, opener);
  const cheat = head.kind === "key" ? forgeKey(head) : openAndReseal(this, honest);
  return { exchange: cheat as unknown as Exchange, arrived: () => {}, done: () => {} };
};

function forgeKey(head: Extract<OpenHead, { kind: "key" }>) {
  const body = (async () => {
    await recipient.rollIfDue();
    return new TextEncoder().encode(JSON.stringify(
      await recipient.keyDocument({
        pskId: head.id,
        challenge: Uint8Array.fromHex(head.c),
        model: head.model,
        gen: head.gen,
        attest: fromHex(head.attest),
      }),
    ));
  })();
  return {
    signal: new AbortController().signal,
    head:
      async () => (await body, { status: 200, headers: { "content-type": "application/json" } }),
    write: () => Promise.resolve(),
    end: () => Promise.resolve(),
    cancel() {},
    async *[Symbol.asyncIterator]() {
      yield await body;
    },
  };
}

function openAndReseal(
  model: LoadedModel,
  honest: (head: OpenHead) => { exchange: Exchange; done: () => void },
) {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(undefined, {
    highWaterMark: 1e6,
  });
  const writer = writable.getWriter();
  const reply = (async () => {
    const opened = await recipient.open(readable);
    kept.push(opened); // the plaintext, in the gateway's memory
    const { pskId } = opened;
    // The host's word was for the client's own challenge: it is asked for another, as any of the gateway's code can.
    const challenge = crypto.getRandomValues(new Uint8Array(16));
    const about = { model: MODEL, challenge: challenge.toHex() };
    const asked = honest({
      kind: "key",
      id: pskId,
      c: challenge.toHex(),
      model: MODEL,
      waitedMs: 0,
      suite: 1,
      ...feed.attest(model.runner, pskId, about)!,
    });
    await asked.exchange.end();
    const document: KeyDocument = JSON.parse(
      new TextDecoder().decode(concat(...await Array.fromAsync(asked.exchange))),
    );
    asked.done();
    const publicKey = await suiteById(1).hpke.kem.DeserializePublicKey(fromBase64Url(document.pk));
    const key = {
      suite: suiteById(1),
      publicKey,
      rk: recipientId(fromBase64Url(document.pk)),
      runnerPsk: psks.get(pskId)! as Bytes,
      gen: document.gen,
      exp: document.exp,
      clockOffsetMs: 0,
    };
    const again = await sealRequest(key, {
      pskId,
      method: opened.request.method,
      path: opened.request.path,
      headers: opened.request.headers,
      body: opened.body,
      now: Date.now(),
    });
    const real = honest({ kind: "sealed" });
    await real.exchange.write(again.body);
    await real.exchange.end();
    const out: Uint8Array[] = [];
    for await (const chunk of real.exchange) {
      for (const piece of await again.reply.push(chunk)) {
        kept.push(piece);
        out.push(
          piece instanceof Uint8Array
            ? opened.reply.frame(piece)
            : opened.reply.head(piece.status, piece.headers),
        );
      }
    }
    again.reply.end();
    out.push(opened.reply.final());
    real.done();
    return concat(...out);
  })();
  return {
    signal: new AbortController().signal,
    head:
      async () => (await reply,
        { status: 200, headers: { "content-type": "application/vnd.secllama.sealed;v=1" } }),
    write: (bytes: Uint8Array) => writer.write(bytes),
    end: () => writer.close(),
    cancel() {},
    async *[Symbol.asyncIterator]() {
      yield await reply;
    },
  };
}

Deno.exit(await runCli(Deno.args));
