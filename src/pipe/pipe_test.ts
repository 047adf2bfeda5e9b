import assert from "node:assert/strict";
import { concat, utf8, utf8Decode } from "../bytes.ts";
import type { SecLlamaError } from "../errors.ts";
import { encodeFrame, FRAME, FrameReader, MAX_PAYLOAD_BYTES } from "./frame.ts";
import { type Exchange, type JsonObject, Pipe, WINDOW_BYTES } from "./pipe.ts";
import { settled, until } from "../../tests/support/patience.ts";

/** How a frame begins. */
function length(bytes: number): Uint8Array {
  const out = new DataView(new ArrayBuffer(4));
  out.setUint32(0, bytes);
  return new Uint8Array(out.buffer);
}

/** Two pipes joined in memory; `sniff` sees each frame of the runner. */
function joined(onExchange: (exchange: Exchange) => Promise<void>) {
  const toRunner = new TransformStream<Uint8Array, Uint8Array>(undefined, {
    highWaterMark: 1 << 20,
  });
  const toGateway = new TransformStream<Uint8Array, Uint8Array>(undefined, {
    highWaterMark: 1 << 20,
  });
  const gatewayWriter = toRunner.writable.getWriter();
  const runnerWriter = toGateway.writable.getWriter();
  const controls: JsonObject[] = [];
  const gateway = new Pipe({
    side: "gateway",
    readable: toGateway.readable,
    write: (bytes) => gatewayWriter.write(bytes),
    onControl: (m) => controls.push(m),
  });
  const secrets: string[] = [];
  const runner = new Pipe({
    side: "runner",
    readable: toRunner.readable,
    write: (bytes) => runnerWriter.write(bytes),
    onControl: (m) => controls.push(m),
    onSecret: (bytes) => secrets.push(bytes.toHex()),
    onExchange,
  });
  const runs = [gateway.run().catch((e) => e), runner.run().catch((e) => e)];
  const stop = async () => {
    await gatewayWriter.close().catch(() => {});
    await runnerWriter.close().catch(() => {});
    await Promise.all(runs);
  };
  return { gateway, runner, controls, secrets, stop, gatewayWriter, runnerWriter, runs };
}

async function readAll(exchange: Exchange): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of exchange) parts.push(part);
  return concat(...parts);
}

async function echo(exchange: Exchange) {
  await exchange.respond({ status: 200 });
  for await (const part of exchange) await exchange.write(part);
  await exchange.end();
}

Deno.test("pipe: 64 exchanges at once, each echoed whole", async () => {
  const p = joined(echo);
  await Promise.all(Array.from({ length: 64 }, async (_, i) => {
    const body = new Uint8Array(i * 9000).fill(i);
    const exchange = p.gateway.open({ i });
    const writing = exchange.write(body).then(() => exchange.end());
    assert.deepEqual(await exchange.head(), { status: 200 });
    assert.deepEqual(await readAll(exchange), body);
    await writing;
  }));
  assert.equal(p.gateway.openExchanges, 0);
  assert.equal(p.runner.openExchanges, 0);
  await p.stop();
});

Deno.test("pipe: a reader that stops holds up its own exchange only, and memory stays within the window", async () => {
  let written = 0;
  const p = joined(async (exchange) => {
    await exchange.respond({ status: 200 });
    if (exchange.request["kind"] === "flood") {
      for (;;) {
        await exchange.write(new Uint8Array(16 * 1024));
        written += 16 * 1024;
      }
    }
    await exchange.write(utf8("quick"));
    await exchange.end();
  });
  const slow = p.gateway.open({ kind: "flood" });
  await slow.head();
  await until(() => written >= WINDOW_BYTES, "the window is full");
  await new Promise((r) => setTimeout(r, 50)); // no more comes
  assert.equal(written, WINDOW_BYTES);
  const quick = p.gateway.open({ kind: "quick" });
  await quick.end();
  assert.equal(utf8Decode(await readAll(quick)), "quick");
  slow.cancel("client-gone");
  await until(() => p.runner.openExchanges === 0, "no exchange is left");
  await p.stop();
});

Deno.test("pipe: cancel aborts the runner's signal", async () => {
  const aborted = Promise.withResolvers<unknown>();
  const p = joined(async (exchange) => {
    exchange.signal.addEventListener("abort", () => aborted.resolve(exchange.signal.reason));
    await exchange.respond({ status: 200 });
    await new Promise(() => {});
  });
  const exchange = p.gateway.open({});
  await exchange.head();
  exchange.cancel("client-gone");
  assert.equal((await aborted.promise as SecLlamaError).code, "cancelled");
  await assert.rejects(readAll(exchange), { code: "cancelled" });
  await p.stop();
});

Deno.test("pipe: the end of the runner fails its exchanges with runner-died", async () => {
  const p = joined(async (exchange) => {
    await exchange.respond({ status: 200 });
    await new Promise(() => {});
  });
  const exchange = p.gateway.open({});
  await exchange.head();
  await p.runnerWriter.close();
  await assert.rejects(readAll(exchange), { code: "runner-died" });
  assert.throws(() => p.gateway.open({}), { code: "runner-died" });
  await p.stop();
});

Deno.test("pipe: a runner that is killed inside a frame has died, wherever that was", async () => {
  const frame = encodeFrame(FRAME.control, 0, utf8('{"t":"pong"}'));
  for (let at = 1; at < frame.length; at++) {
    const { gateway, stop, runnerWriter, runs } = joined(() => new Promise(() => {}));
    const exchange = gateway.open({});
    const head = exchange.head().catch((error: SecLlamaError) => error.code);
    await runnerWriter.write(frame.slice(0, at));
    await runnerWriter.close();
    assert.equal((await runs[0] as SecLlamaError).code, "runner-died", `${at} bytes`);
    assert.equal(await head, "runner-died");
    await stop();
  }
});

Deno.test("pipe: secrets reach the runner only, and are zeroed on both sides", async () => {
  const p = joined(echo);
  const payload = new Uint8Array(8).fill(7);
  await p.gateway.secret(payload);
  await until(() => p.secrets.length > 0, "the secret has come");
  assert.deepEqual(p.secrets, ["0707070707070707"]);
  await p.stop();
});

for (
  const [name, bytes] of [
    ["random bytes", new Uint8Array(64).fill(0xff)],
    ["a frame over the limit", concat(length(6 + MAX_PAYLOAD_BYTES), new Uint8Array(5))],
    ["a frame under its header", concat(length(4), new Uint8Array(4))],
    ["an unknown type", encodeFrame(9 as 7, 1, new Uint8Array(0))],
    ["an exchange never opened", encodeFrame(FRAME.data, 7, utf8("x"))],
    ["an exchange opened by the runner", encodeFrame(FRAME.open, 1, utf8("{}"))],
    ["a secret from the runner", encodeFrame(FRAME.secret, 0, utf8("x"))],
    ["control that is not JSON", encodeFrame(FRAME.control, 0, utf8("{"))],
    [
      "a long control message of the runner's",
      encodeFrame(FRAME.control, 0, utf8(JSON.stringify({ t: "x".repeat(70_000) }))),
    ],
    ["control that is not an object", encodeFrame(FRAME.control, 0, utf8("[]"))],
  ] as const
) {
  Deno.test(`pipe: ${name} ends the pipe and its exchanges`, async () => {
    const p = joined(echo);
    const exchange = p.gateway.open({});
    await exchange.head();
    await p.runnerWriter.write(bytes);
    assert.equal((await p.runs[0] as SecLlamaError).code, "pipe-broken");
    await assert.rejects(readAll(exchange), { code: "pipe-broken" });
    await p.stop();
  });
}

Deno.test("pipe: more data than the credit ends the pipe", async () => {
  const p = joined((exchange) => exchange.respond({}));
  const exchange = p.gateway.open({});
  await exchange.head();
  for (let i = 0; i < 2; i++) {
    await p.runnerWriter.write(encodeFrame(FRAME.data, exchange.id, new Uint8Array(WINDOW_BYTES)));
  }
  assert.equal((await p.runs[0] as SecLlamaError).code, "pipe-broken");
  await p.stop();
});

Deno.test("pipe: data frames without data, which no credit bounds, end the pipe", async () => {
  const p = joined((exchange) => exchange.respond({}));
  const exchange = p.gateway.open({});
  await exchange.head();
  await p.runnerWriter.write(encodeFrame(FRAME.data, exchange.id, new Uint8Array(0)));
  const ended = await settled(p.runs[0]!, "the end of the pipe");
  assert.equal((ended as unknown as SecLlamaError).code, "pipe-broken");
  await p.stop();
});

Deno.test("pipe: frames cut at any byte are read the same", () => {
  const wire = concat(
    encodeFrame(FRAME.control, 0, utf8("{}")),
    encodeFrame(FRAME.data, 3, new Uint8Array(70_000).fill(5)),
    encodeFrame(FRAME.end, 3, new Uint8Array(0)),
  );
  for (const size of [1, 2, 3, 8, 9, 10, 4096, wire.length]) {
    const reader = new FrameReader();
    const frames = [];
    for (let at = 0; at < wire.length; at += size) {
      frames.push(...reader.push(wire.subarray(at, at + size)));
    }
    assert.deepEqual(frames.map((f) => [f.type, f.exchange, f.payload.length]), [[0, 0, 2], [
      4,
      3,
      70_000,
    ], [5, 3, 0]]);
    assert.equal(reader.pendingBytes, 0);
  }
});
