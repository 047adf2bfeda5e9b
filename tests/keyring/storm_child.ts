/**
 * The victim of storm_test.ts: rotates and wraps in a loop until it is killed. Each record goes to a file as one line
 * `<index> <wrapped secret in hex>`; its secret is the SHA-256 of the index, so anybody can check it.
 *
 *     deno run … storm_child.ts DATA_DIR RECORDS_FILE START_INDEX
 */
import { createHash } from "node:crypto";
import { KeyManager } from "../../src/keys/keyset/manager.ts";
import { ManifestFile } from "../../src/keys/keyset/manifest_file.ts";
import { SecretServiceStore } from "../../src/keys/stores/linux.ts";

const [dataDir, records, start] = Deno.args as [string, string, string];
const manager = new KeyManager({
  file: new ManifestFile(dataDir),
  store: new SecretServiceStore({
    env: Deno.env.toObject(),
    profile: "default",
    interactive: false,
  }),
});
using out = await Deno.open(records, { append: true, create: true });
const storage = manager.storage();
const line = (text: string) => out.write(new TextEncoder().encode(text));
// A line that a killed predecessor left unfinished ends here.
await line("\n");
console.log("ready");
for (let index = Number(start);;) {
  for (let i = 0; i < 8; i++, index++) {
    const secret = new Uint8Array(createHash("sha256").update(`record ${index}`).digest());
    await line(`${index} ${(await storage.wrap(secret, `record ${index}`)).toHex()}\n`);
  }
  await manager.rotate();
}
