import assert from "node:assert/strict";
import { readFileUpTo } from "./audit/read.ts";
import { ownCertificates } from "./models/pull.ts";
import { readUpTo, takeUpTo } from "./read_up_to.ts";

Deno.test({
  name: "cli: of what has no end a command reads as much as it takes, and says that it is too long",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const { length } = await readUpTo("/dev/zero", 1000);
    assert.ok(length > 1000 && length < 1e6, String(length));
    await assert.rejects(ownCertificates("/dev/zero"), { code: "bad-config" });
    const folder = await Deno.makeTempDir();
    try {
      const fifo = `${folder}/fifo`;
      await new Deno.Command("mkfifo", { args: [fifo] }).output();
      const endless = new Deno.Command("sh", {
        args: ["-c", 'exec cat /dev/zero >"$0"', fifo],
        stderr: "null",
      });
      const writer = endless.spawn();
      await assert.rejects(readFileUpTo(fifo, 1 << 20), {
        code: "usage",
        message: /is over 1 MiB/,
      });
      assert.equal((await writer.status).success, false); // by SIGPIPE: nobody reads on
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("cli: what ends in time is read whole, and its stream is let go when it does not", async () => {
  let over = false;
  async function* stream(parts: number) {
    try {
      for (let i = 0; i < parts; i++) yield await Promise.resolve(new Uint8Array([i, i]));
    } finally {
      over = true;
    }
  }
  assert.deepEqual(await takeUpTo(stream(2), 4), new Uint8Array([0, 0, 1, 1]));
  over = false;
  assert.equal((await takeUpTo(stream(Infinity), 4)).length, 6);
  assert.ok(over);
});
