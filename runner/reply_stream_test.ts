/** Pacing of replies: nothing for clients of this machine; steps in size and time for all others. */
import assert from "node:assert/strict";
import { concat, utf8, utf8Decode } from "../src/bytes.ts";
import type { ReplyEnvelope } from "../src/sealed/envelope.ts";
import { randomBytes } from "../src/sealed/primitives.ts";
import { ReplyOpener } from "../src/sealed/reply_opener.ts";
import { ReplySealer } from "../src/sealed/reply_sealer.ts";
import { pacingOf, REMOTE_PACING, sendReply, ticked } from "./reply_stream.ts";

const LOCAL = "local.0123456789abcdef";
const PAIRED = "client.0123456789abcdef.00112233445566778899aabbccddeeff";
const PREFIX_BYTES = 68;

/** Pieces that come one after another, `everyMs` apart. */
function slowBody(pieces: readonly string[], everyMs: number, failure?: Error) {
  let next = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, everyMs));
      if (next < pieces.length) controller.enqueue(utf8(pieces[next++]!));
      else if (failure) controller.error(failure);
      else controller.close();
    },
  }, { highWaterMark: 0 });
}

/** Sends a response as to the client with this id; what a network sees, and what the client reads. */
async function send(pskId: string, response: Response) {
  const [secret, enc] = [randomBytes(32), randomBytes(32)];
  const pacing = pacingOf(pskId);
  const sealer = new ReplySealer(secret, enc, pacing ? { bucket: pacing.bucketBytes } : {});
  const started = performance.now();
  const seen: { ms: number; bytes: Uint8Array }[] = [];
  await sendReply(sealer, response, {
    pacing,
    write(bytes) {
      seen.push({ ms: performance.now() - started, bytes });
      return Promise.resolve();
    },
  });
  const opener = new ReplyOpener(secret, enc);
  const read = async () => {
    const parts = await opener.push(concat(...seen.map(({ bytes }) => bytes)));
    opener.end();
    const body = parts.filter((part) => part instanceof Uint8Array);
    return { head: parts[0] as ReplyEnvelope, text: utf8Decode(concat(...body)) };
  };
  return { seen, read };
}

const PIECES = [
  "a",
  "token".repeat(3),
  " and a longer one ".repeat(4),
  ..."many pieces, one by one",
];

Deno.test("pacing: a client of this machine gets each piece as it is made, in steps of 64 bytes", async () => {
  const { seen, read } = await send(LOCAL, new Response(slowBody(PIECES, 1)));
  assert.equal(seen.length, PIECES.length + 1);
  // Sizes tell the lengths of the pieces: the protection below is against something.
  assert.ok(new Set(seen.map(({ bytes }) => bytes.length)).size > 2);
  assert.equal((await read()).text, PIECES.join(""));
});

Deno.test("pacing: a paired client's frames are alike and leave on the ticks", async () => {
  const { seen, read } = await send(PAIRED, new Response(slowBody(PIECES, 1), { status: 201 }));
  const { head, text } = await read();
  assert.equal(text, PIECES.join(""));
  assert.equal(head.status, 201);
  const frame = 4 + REMOTE_PACING.bucketBytes + 16;
  assert.equal((seen[0]!.bytes.length - PREFIX_BYTES) % frame, 0);
  for (const { bytes } of seen.slice(1)) assert.equal(bytes.length % frame, 0);
  assert.ok(seen.length < PIECES.length + 1, "nothing was batched");
  // A head whose data is late goes by itself, at no tick.
  assert.ok(onTicks(seen.slice(1, -1)), `no clock's ticks: ${seen.map(({ ms }) => ms).join(" ")}`);
});

/** Whether there is a clock, started when the reply was or a little later, of which no two frames share a step, late as they may be. */
function onTicks(frames: readonly { ms: number }[]): boolean {
  const { everyMs } = REMOTE_PACING;
  for (let origin = 0; origin < everyMs; origin += 0.01) {
    const steps = frames.map(({ ms }) => Math.floor((ms - origin) / everyMs));
    if (steps.every((step, i) => i === 0 || step > steps[i - 1]!)) return true;
  }
  return false;
}

Deno.test("pacing: frames that leave as they are made are seen to keep no clock", () => {
  const every = (ms: number) => Array.from({ length: 12 }, (_, i) => ({ ms: 5 + i * ms }));
  assert.equal(onTicks(every(1)), false);
  assert.equal(onTicks(every(20)), false);
  assert.equal(onTicks(every(25)), true);
  assert.equal(onTicks([{ ms: 49.9 }, { ms: 50.2 }, { ms: 98 }]), true, "late, and then in time");
});

Deno.test("pacing: bodies that are empty, at once, or fail", async () => {
  for (const id of [LOCAL, PAIRED]) {
    assert.equal((await (await send(id, new Response(null, { status: 204 }))).read()).text, "");
    const large = "x".repeat(3_000_000);
    assert.equal((await (await send(id, new Response(large))).read()).text, large);
    const failing = await send(id, new Response(slowBody(["half"], 1, new Error("detail"))));
    await assert.rejects(failing.read(), { code: "truncated" });
    const bytes = concat(...failing.seen.map(({ bytes }) => bytes));
    assert.ok(bytes.length > PREFIX_BYTES + 200, "what came before the failure was not sent");
  }
});

Deno.test("pacing: a consumer that leaves cancels the body, also while it waits for a piece", async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(utf8("first")),
    pull: () => new Promise(() => {}),
    cancel: () => void (cancelled = true),
  });
  for await (const { piece } of ticked(body, 5)) {
    assert.equal(utf8Decode(piece), "first");
    break;
  }
  assert.ok(cancelled);
});
