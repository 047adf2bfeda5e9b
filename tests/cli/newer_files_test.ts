/** A downgrade: files of the data folder that a newer version wrote. Each is named, with its version, and nothing is advised that loses it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Tokens } from "../../src/firm/tokens.ts";
import { FleetState } from "../../src/fleet/state.ts";
import { parseClientList } from "../../src/keys/clients/client_list.ts";
import { PairingStore } from "../../src/keys/clients/pairings.ts";
import { readHostId } from "../../src/keys/host_id.ts";
import { parseManifest } from "../../src/keys/keyset/manifest.ts";
import { ManifestFile, openKeySource } from "../../src/keys/mod.ts";
import { FileStore } from "../../src/keys/stores/file.ts";
import { MemoryStore } from "../../src/keys/stores/memory.ts";
import { GatewayAuthority } from "../../src/tls/authority.ts";

Deno.test("a file of a newer version is called so, whatever else is in it, and is not to be removed", async () => {
  const folder = await Deno.makeTempDir();
  const store = new MemoryStore();
  using keys = await openKeySource({
    ...{ dataDir: folder, env: {}, interactive: false, autoInit: true, store },
  });
  const file = new ManifestFile(folder);
  const bytes = (name: string) => Deno.readFile(join(folder, name));
  const passphrase = () => Promise.resolve(new Uint8Array(20).fill(0x61));
  const readers: Record<string, () => Promise<unknown>> = {
    "tokens.json": () => new Tokens(folder).list(),
    "host.json": () => readHostId(folder),
    "clients.json": async () => parseClientList(await bytes("clients.json")),
    "keyset.json": async () => parseManifest(await bytes("keyset.json")),
    "pairings.json": () => new PairingStore(folder, store).read("lab"),
    "tls.json": () => new GatewayAuthority(file, keys.storage()).issue(["gateway.lan"]),
    "fleet.json": () => new FleetState(file, keys.storage()).read(),
    "fleet-heads.json": () => new FleetState(file, keys.storage()).readHeads(),
    "keys.json": () => new FileStore({ path: join(folder, "keys.json"), passphrase }).get("x"),
  };
  try {
    for (const [name, read] of Object.entries(readers)) {
      for (const more of [{}, { new_field: [1] }, { tokens: 5, gateways: null, role: "host" }]) {
        const path = join(folder, name);
        const text = JSON.stringify({ v: 9, type: "secllama-keys", ...more });
        await Deno.writeTextFile(path, text, { mode: 0o600 });
        const error = await read().then(() => assert.fail(`${name} was read`), (error) => error);
        assert.match(error.message, new RegExp(`${name} is (of )?version 9`), name);
        assert.match(error.hint, /a newer secllama wrote it: use that one/, name);
        assert.doesNotMatch(error.hint, /remove|reset|anew|move it/, name);
        assert.equal(await Deno.readTextFile(path), text);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
