/**
 * What sealing costs: `deno bench bench/sealed_bench.ts`. Medians matter, and next to an inference more than alone.
 *
 * "message" is one chat request of 1 KB; "token" is one line of a streamed reply, about 100 bytes. A message's added time
 * is seal + open + head + opening the head; a token's is its frame on both ends.
 */
import { concat, utf8 } from "../src/bytes.ts";
import { Recipient } from "../src/sealed/recipient.ts";
import { ReplyOpener } from "../src/sealed/reply_opener.ts";
import { ReplySealer } from "../src/sealed/reply_sealer.ts";
import { randomBytes } from "../src/sealed/primitives.ts";
import { sealRequest, verifyKeyDocument } from "../src/sealed/sender.ts";

const PSK_ID = "local.0123456789abcdef";
const psk = randomBytes(32);
const MESSAGE = utf8(JSON.stringify({ model: "demo", prompt: "x".repeat(1000) }));
const IMAGE = utf8(JSON.stringify({ model: "demo", images: ["A".repeat(10 << 20)] }));
const TOKEN = utf8(
  '{"model":"demo","created_at":"2026-01-01T00:00:00.000Z","message":{"role":"assistant","content":" the"},"done":false}\n',
);

async function runner(suite: number) {
  const recipient = await Recipient.init({
    model: "demo:latest",
    psk: () => psk,
    suites: [suite],
    limits: { replayEntries: 10_000_000 },
  });
  const challenge = randomBytes(16);
  const document = await recipient.keyDocument({ pskId: PSK_ID, challenge, model: "demo" });
  const at = Date.now();
  const checked = { psk, model: "demo", challenge, sentAt: at, receivedAt: at, suite };
  const key = await verifyKeyDocument(document, checked);
  const seal = (body: Uint8Array) =>
    sealRequest(key, {
      psk,
      pskId: PSK_ID,
      method: "POST",
      path: "/api/chat",
      headers: { "content-type": "application/json" },
      body,
      now: Date.now(),
    });
  const open = (body: Uint8Array) => recipient.open(ReadableStream.from([body]));
  return { seal, open };
}

for (const suite of [1, 2]) {
  const { seal, open } = await runner(suite);
  Deno.bench(`suite ${suite}: seal a message`, { group: "message" }, async () => {
    await seal(MESSAGE);
  });
  Deno.bench(`suite ${suite}: open a message`, { group: "message" }, async (b) => {
    const { body } = await seal(MESSAGE);
    b.start();
    await open(body);
    b.end();
  });
  Deno.bench(`suite ${suite}: the whole exchange, both ends`, { group: "message" }, async () => {
    const sealed = await seal(MESSAGE);
    const { reply } = await open(sealed.body);
    await sealed.reply.push(concat(reply.head(200, {}), reply.final()));
    sealed.reply.end();
  });
}

{
  const secret = randomBytes(32);
  const sealer = new ReplySealer(secret, secret);
  const opener = new ReplyOpener(secret, secret);
  await opener.push(sealer.head(200, {}));
  Deno.bench("seal a token", { group: "token" }, () => {
    sealerAlone.frame(TOKEN);
  });
  const sealerAlone = new ReplySealer(secret, secret);
  sealerAlone.head(200, {});
  Deno.bench("seal and open a token, both ends", { group: "token" }, async () => {
    await opener.push(sealer.frame(TOKEN));
  });
}

{
  const { seal, open } = await runner(1);
  Deno.bench("seal 10 MB", { group: "image" }, async () => {
    await seal(IMAGE);
  });
  Deno.bench("seal and open 10 MB", { group: "image" }, async () => {
    await open((await seal(IMAGE)).body);
  });
}
