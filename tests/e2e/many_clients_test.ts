/**
 * A host with as many clients as there were allowed to be once, and with ten times as many: it starts, serves the last of them
 * under its oldest key, and goes on while the key is rotated and clients are revoked beside it.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fromHex, toHex, utf8 } from "../../src/bytes.ts";
import { type Credentials, sealedFetch } from "../../src/client/mod.ts";
import { serialiseClientList } from "../../src/keys/clients/client_list.ts";
import { ensureHostId } from "../../src/keys/host_id.ts";
import { KeyManager } from "../../src/keys/keyset/manager.ts";
import { ManifestFile } from "../../src/keys/keyset/manifest_file.ts";
import { FileStore } from "../../src/keys/stores/file.ts";
import { clientPskId, deriveClientPsk, deriveTransport } from "../../src/sealed/psk.ts";
import { startServe } from "../support/serve.ts";

const PASSPHRASE = "a passphrase that nobody else has";
const idOf = (i: number) => i.toString(16).padStart(32, "0");

/** A data folder with `count` clients, all still under the first of three keys. */
async function hostOf(folder: string, count: number) {
  const store = new FileStore({
    path: join(folder, "keys.json"),
    passphrase: () => Promise.resolve(utf8(PASSPHRASE)),
  });
  await Deno.writeTextFile(join(folder, "passphrase"), PASSPHRASE, { mode: 0o600 });
  const dataDir = join(folder, "data");
  await Deno.mkdir(dataDir, { mode: 0o700 });
  const file = new ManifestFile(dataDir);
  const manager = new KeyManager({ file, store });
  const { kid } = await manager.init();
  const hid = await ensureHostId(file, () => Promise.resolve(undefined));
  const { activeKey } = await manager.read();
  const created = new Date().toISOString();
  const clients = Array.from(
    { length: count },
    (_, i) => ({ id: idOf(i), name: `laptop ${i}`, created, revoked: null, kid }),
  );
  const list = { rev: 1, hid: toHex(hid), clients };
  await Deno.writeFile(
    join(dataDir, "clients.json"),
    await serialiseClientList(list, kid, activeKey),
    { mode: 0o600 },
  );
  for (let i = 0; i < 2; i++) await manager.rotate();
  const transport = deriveTransport(activeKey);
  return {
    manager,
    dataDir,
    /** What the client `i` has had since it was paired. */
    credentials: (i: number): Credentials => ({
      pskId: clientPskId(kid, idOf(i)),
      psk: deriveClientPsk(transport, fromHex(idOf(i))),
      hid,
    }),
  };
}

for (const count of [1_000, 10_000]) {
  Deno.test(`clients: ${count} of them and two rotations; the key is rotated, and some are revoked, beside serve`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
    const host = await hostOf(folder, count);
    const served = await startServe({
      env: { SECLLAMA_DATA_DIR: host.dataDir },
      args: ["--no-proxy", `--key-file=${folder}/keys.json`, "--passphrase-fd=3"],
      under: ["/bin/sh", "-c", `exec "$@" 3<"${folder}/passphrase"`, "sh"],
    });
    try {
      /** A client that keeps what it is told to. */
      const clientOf = (i: number) => {
        let stored = host.credentials(i);
        const fetch = sealedFetch({
          gateway: served.gatewayUrl,
          credentials: () => Promise.resolve(stored),
          renewed: (credentials) => Promise.resolve(void (stored = credentials)),
          suite: 2,
        });
        return {
          kid: () => stored.pskId.split(".")[1],
          ask: async () => {
            const response = await fetch("/api/generate", {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: JSON.stringify({ model: "demo", prompt: "Hi", options: { num_predict: 1 } }),
            });
            await response.text();
            return response.status;
          },
        };
      };
      const active = async () => (await host.manager.list())[0]!.kid;
      const [last, other] = [clientOf(count - 1), clientOf(count - 2)];
      assert.equal(await last.ask(), 200, "under its first key");
      assert.equal(last.kid(), await active());
      assert.equal(await last.ask(), 200, "under its newest");
      await host.manager.rotate();
      for (const client of [last, other, last, other]) assert.equal(await client.ask(), 200);
      assert.deepEqual([last.kid(), other.kid()], [await active(), await active()]);
      await host.manager.clients().revoke(`laptop ${count - 1}`);
      await assert.rejects(last.ask(), { code: "auth" });
      assert.equal(await other.ask(), 200);
    } finally {
      await served.stop();
      await Deno.remove(folder, { recursive: true });
    }
  });
}
