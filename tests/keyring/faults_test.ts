/** Full disks for real: small file systems in memory, mounted as root. Without root the injected faults in src/keys remain. */
import assert from "node:assert/strict";
import { KeyManager } from "../../src/keys/keyset/manager.ts";
import { ManifestFile } from "../../src/keys/keyset/manifest_file.ts";
import { SecretServiceStore } from "../../src/keys/stores/linux.ts";
import { MemoryStore } from "../../src/keys/stores/testing_memory.ts";
import { code, withFolder } from "../../src/keys/testing.ts";
import { keyringIgnored, startKeyring } from "./daemon.ts";

const canMount = Deno.build.os === "linux" && await mountWorks();
if (!canMount) console.error("SKIP: tests on a full disk need root and leave to mount a tmpfs");

async function run(path: string, ...args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(path, { args, stdout: "null", stderr: "null" })
    .output();
  return success;
}

async function mountWorks(): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  const ok = await run("/usr/bin/mount", "-t", "tmpfs", "-o", "size=64k", "none", folder);
  if (ok) await run("/usr/bin/umount", folder);
  await Deno.remove(folder);
  return ok;
}

/** A folder on a file system of 64 KiB, and a function that fills it to the last byte or empties it. */
async function withSmallDisk(
  folder: string,
  test: (full: (on: boolean) => Promise<void>) => Promise<void>,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  assert.ok(await run("/usr/bin/mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "none", folder));
  try {
    await test(async (on) => {
      if (!on) return await Deno.remove(`${folder}/fill`);
      using file = await Deno.open(`${folder}/fill`, { create: true, write: true });
      try {
        for (;;) await file.write(new Uint8Array(4096));
      } catch { /* full */ }
    });
  } finally {
    await run("/usr/bin/umount", folder);
  }
}

Deno.test({
  name: "full disk: the data folder's",
  ignore: !canMount,
  fn: () =>
    withFolder((folder) =>
      withSmallDisk(`${folder}/data`, async (full) => {
        const store = new MemoryStore();
        const manager = new KeyManager({ file: new ManifestFile(`${folder}/data`), store });
        await full(true);
        assert.equal(await code(manager.init()), "key-io");
        assert.deepEqual(await store.list(), []);
        await full(false);
        const { kid } = await manager.init();
        const other = (await manager.rotate()).kid;
        const before = await manager.list();
        await full(true);
        for (
          const attempt of [
            () => manager.rotate(),
            () => manager.rotateTo(kid),
            () => manager.delete(kid),
          ]
        ) {
          await assert.rejects(attempt(), {
            code: "key-io",
            message: /no space is left/,
            exitCode: 1,
          });
          assert.deepEqual(await manager.list(), before);
        }
        assert.equal((await store.list()).length, 3);
        await full(false);
        await manager.rotateTo(kid);
        await manager.delete(other);
        assert.equal((await manager.status()).exitCode, 0);
      })
    ),
});

Deno.test({
  name: "full disk: the keyring's",
  ignore: !canMount || keyringIgnored(),
  fn: async () => {
    await using keyring = await startKeyring({ daemon: false });
    await withSmallDisk(keyring.keyrings, async (full) => {
      await keyring.startDaemon("pw");
      const manager = new KeyManager({
        file: new ManifestFile(`${keyring.dataHome}/secllama`),
        store: new SecretServiceStore({ env: keyring.env, profile: "default", interactive: false }),
      });
      const { kid } = await manager.init();
      await full(true);
      assert.equal(await code(manager.rotate()), "key-store-unavailable");
      await full(false);
      await keyring.restartDaemon("pw");
      assert.deepEqual((await manager.list()).map((key) => key.kid), [kid]);
      const next = (await manager.rotate()).kid;
      await keyring.restartDaemon("pw");
      const status = await manager.status();
      assert.deepEqual([status.active, status.exitCode, status.orphans], [next, 0, []]);
      await keyring.killDaemon();
    });
  },
});
