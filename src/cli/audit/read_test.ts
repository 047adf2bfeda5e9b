import assert from "node:assert/strict";
import { readUpTo, takeUpTo } from "../../read_up_to.ts";
import type { Manifest } from "../../models/manifest.ts";
import { ModelPolicy } from "../../models/policy.ts";
import { readCertificate } from "../../tls/files.ts";
import { ownCertificates } from "../models/pull.ts";
import { readFileUpTo } from "./read.ts";
import { isOn } from "../../../tests/support/systems.ts";

Deno.test({
  name: "cli: of what has no end a command reads as much as it takes, and says that it is too long",
  ignore: isOn("windows"),
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

Deno.test({
  name: "a certificate, a policy, a fleet's file or its authority may be named what has no end",
  ignore: isOn("windows"),
  fn: async () => {
    await assert.rejects(readCertificate("/dev/zero", "/dev/zero", new Date()), {
      code: "bad-config",
      message: "the file of --tls-cert is over 1 MiB",
    });
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/policy.json`;
      const check = async (policy: string) => {
        const candidate = { name: "demo:latest", manifest: {} as Manifest, manifestDigest: "" };
        await new ModelPolicy(policy).check(candidate, () => Promise.resolve(undefined));
      };
      await assert.rejects(check("/dev/zero"), { code: "bad-config", message: /is over 1 MiB/ });
      const rule = { names: ["demo"], signers: ["/dev/zero"] };
      await Deno.writeTextFile(path, JSON.stringify({ version: 1, allow: [rule] }));
      await assert.rejects(check(path), { code: "bad-config" });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
