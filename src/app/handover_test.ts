import assert from "node:assert/strict";
import { SecLlamaError } from "../errors.ts";
import { openKeySource } from "../keys/mod.ts";
import { withFolder } from "../keys/testing.ts";
import { openVault } from "./history.ts";
import { encodeHandover, parseHandover, readHandover } from "./handover.ts";

const GATEWAY = "http://127.0.0.1:1";

Deno.test("handover: a key of this process only is handed over, and each reader gets a copy", () =>
  withFolder(async (dataDir) => {
    const keys = await openKeySource({ dataDir, env: {}, interactive: false, ephemeral: true });
    const line = await encodeHandover(GATEWAY, keys, openVault(dataDir, keys));
    using ring = await keys.ring();
    const active = ring.credentials()!;
    keys[Symbol.dispose]();
    let ended = 0;
    const input = new TransformStream<Uint8Array, Uint8Array>();
    const writer = input.writable.getWriter();
    const reading = readHandover(input.readable, () => ended++);
    // In pieces, as a pipe may give it.
    for (const byte of new TextEncoder().encode(line + "\n")) {
      await writer.write(Uint8Array.of(byte));
    }
    const handover = await reading;
    assert.equal(handover?.gateway, GATEWAY);
    const first = await handover!.credentials!();
    assert.equal(first.pskId, active.pskId);
    assert.deepEqual(first.psk, active.psk);
    assert.deepEqual(first.hid, keys.hid);
    first.psk.fill(0);
    assert.deepEqual((await handover!.credentials!()).psk, active.psk);
    assert.equal(ended, 0);
    await writer.close();
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(ended, 1);
  }));

Deno.test("handover: no input at all is the end, anything else is refused without its text", async () => {
  const of = (text: string) =>
    readHandover(new Blob([text]).stream() as ReadableStream<Uint8Array>, () => {});
  assert.equal(await of(""), null);
  const psk = "A".repeat(40);
  const hid = new Uint8Array(16).toBase64();
  for (
    const text of [
      "half a line",
      "x".repeat(100_000),
      `${psk}\n`,
      "null\n",
      "[]\n",
      `{"psk":"${psk}"}\n`,
      `{"gateway":1,"psk":"${psk}"}\n`,
      `{"gateway":"${GATEWAY}","psk":"${psk}"}\n`,
      `{"gateway":"${GATEWAY}","pskId":"local.x","psk":"${psk}"}\n`,
      `{"gateway":"${GATEWAY}","pskId":"local.x","psk":"!","hid":"${hid}"}\n`,
      `{"gateway":"${GATEWAY}","pskId":"local.x","psk":"${psk}AAA=","hid":"AA=="}\n`,
    ]
  ) {
    await assert.rejects(of(text), (error) => {
      assert.ok(error instanceof SecLlamaError && error.code === "usage");
      assert.ok(!error.message.includes(psk));
      return true;
    });
  }
  assert.deepEqual(parseHandover(`{"gateway":"${GATEWAY}","store":true}`), { gateway: GATEWAY });
});
