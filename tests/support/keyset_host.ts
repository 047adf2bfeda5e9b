/** A host with a keyset in a key file and paired clients, made in this process, for `serve` to run on. */
import { join } from "node:path";
import { fromHex, toHex, utf8 } from "../../src/bytes.ts";
import type { Credentials } from "../../src/client/mod.ts";
import { serialiseClientList } from "../../src/keys/clients/client_list.ts";
import { ensureHostId } from "../../src/keys/host_id.ts";
import { KeyManager } from "../../src/keys/keyset/manager.ts";
import { ManifestFile } from "../../src/keys/keyset/manifest_file.ts";
import { FileStore } from "../../src/keys/stores/file.ts";
import {
  clientPskId,
  deriveClientPsk,
  deriveLocalPsk,
  deriveTransport,
  localPskId,
} from "../../src/sealed/psk.ts";
import { makeCheapKeyFile } from "./key_file.ts";

const PASSPHRASE = "a passphrase that nobody else has";
const idOf = (i: number) => i.toString(16).padStart(32, "0");

/** A data folder with `count` clients, named `laptop 0` and so on, all under the first key; `rotations` came after. */
export async function keysetHost(folder: string, count: number, rotations = 0) {
  const store = new FileStore({
    path: join(folder, "keys.json"),
    passphrase: () => Promise.resolve(utf8(PASSPHRASE)),
  });
  await Deno.writeTextFile(join(folder, "passphrase"), PASSPHRASE, { mode: 0o600 });
  await makeCheapKeyFile(join(folder, "keys.json"), PASSPHRASE);
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
  for (let i = 0; i < rotations; i++) await manager.rotate();
  const transport = deriveTransport(activeKey);
  return {
    manager,
    dataDir,
    /** The first key, which all clients are under, and what comes from it. */
    first: { kid, masterKey: activeKey, transport },
    /** What the client `i` has had since it was paired. */
    client: (i: number): Credentials => ({
      pskId: clientPskId(kid, idOf(i)),
      psk: deriveClientPsk(transport, fromHex(idOf(i))),
      hid,
    }),
    local: (): Credentials => ({ pskId: localPskId(kid), psk: deriveLocalPsk(transport), hid }),
    /** For `startServe`. */
    serve: {
      env: { SECLLAMA_DATA_DIR: dataDir },
      args: ["--no-proxy", `--key-file=${folder}/keys.json`, "--passphrase-fd=3"],
      under: ["/bin/sh", "-c", `exec "$@" 3<"${folder}/passphrase"`, "sh"],
    },
  };
}
