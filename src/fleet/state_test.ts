/** A fleet's file that was damaged: an error with a code, and healed when it is put back. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { code, managerAt, withFolder } from "../keys/testing.ts";
import { SecLlamaError } from "../errors.ts";
import { ManifestFile } from "../keys/mod.ts";
import { FleetState } from "./state.ts";

Deno.test(`fleet state: cut, changed, unreadable, as a folder: a code each time, and whole once put back (seed: ${SEED})`, () =>
  withFolder(async (dataDir) => {
    const manager = managerAt(dataDir);
    await manager.init();
    const state = new FleetState(new ManifestFile(dataDir), manager.storage());
    const random = seeded(SEED);
    const upTo = (n: number) => Math.floor(random() * n);
    await state.write({
      role: "host",
      seed: new Uint8Array(32).fill(1),
      rev: 7,
      pin: { fid: new Uint8Array(16).fill(2), issuer: new Uint8Array(32).fill(3) },
      label: "one",
    });
    await state.writeHeads({});
    const files = [
      ["fleet.json", () => state.read()],
      ["fleet-heads.json", () => state.readHeads()],
    ] as const;
    for (const [name, read] of files) {
      const path = join(dataDir, name);
      const whole = Deno.readFileSync(path);
      const before = JSON.stringify(await read());
      const text = () => JSON.parse(new TextDecoder().decode(whole));
      const damages: (() => void)[] = [
        () => Deno.mkdirSync(path),
        () => Deno.symlinkSync(path, path),
        ...["é", "a", "====", ""].map((key) => () =>
          Deno.writeTextFileSync(path, JSON.stringify({ ...text(), key }))
        ),
        ...Array.from(
          { length: 40 },
          () => () => Deno.writeFileSync(path, whole.subarray(0, upTo(whole.length - 1))),
        ),
        ...Array.from({ length: 40 }, () => () => {
          const bytes = whole.slice();
          bytes[upTo(bytes.length)]! ^= 1 + upTo(255);
          Deno.writeFileSync(path, bytes);
        }),
      ];
      for (const damage of damages) {
        Deno.removeSync(path);
        damage();
        const said = await code(read());
        assert.match(said, /^(key-io|key-corrupt|decrypt-failed|ok)$/, Deno.inspect(damage));
        if (said !== "ok") {
          await assert.rejects(read(), ({ message }: Error) => message.includes(path));
        }
        // A label is nobody's word, and spaces are nothing.
        if (said === "ok") assert.equal((await read() as { rev?: number }).rev ?? 7, 7);
        Deno.removeSync(path, { recursive: true });
        Deno.writeFileSync(path, whole);
        assert.equal(JSON.stringify(await read()), before);
      }
    }
    // A key store that cannot be had says nothing of what its keys wrap.
    const locked = new FleetState(new ManifestFile(dataDir), {
      wrap: (secret, context) => manager.storage().wrap(secret, context),
      unwrap: () => Promise.reject(new SecLlamaError("key-locked", "locked")),
    });
    assert.equal(await code(locked.read()), "key-locked");
    assert.equal(await code(locked.readHeads()), "key-locked");
    // What is locked by who publishes.
    const publish = () => state.publishing(() => Promise.resolve("done"));
    assert.equal(await publish(), "done");
    const lock = join(dataDir, "fleet.lock");
    for (const put of [Deno.mkdirSync, (path: string) => Deno.symlinkSync(path, path)]) {
      Deno.removeSync(lock);
      put(lock);
      assert.equal(await code(publish()), "key-io");
      Deno.removeSync(lock);
      assert.equal(await publish(), "done");
    }
  }));
