/** The end of a keyset: every item of its profile leaves the key store, and then the file that names them goes. */
import { SecLlamaError } from "../../errors.ts";
import { pairingsBackend } from "../clients/pairings.ts";
import { forgetHostId } from "../host_id.ts";
import type { KeyStore } from "../stores/store.ts";
import { parseManifest } from "./manifest.ts";
import { ManifestFile } from "./manifest_file.ts";

/**
 * Whether keys or pairings of the data folder may be in `store`: the files there say so, or one is damaged and the store can be
 * asked. Keys of a file or of memory are in none.
 * @throws {SecLlamaError} `key-io`.
 */
export async function mayUseStore(store: KeyStore, dataDir: string): Promise<boolean> {
  let damaged = false;
  const keyset = async () => {
    const bytes = await new ManifestFile(dataDir).read();
    return bytes && parseManifest(bytes).manifest.backend;
  };
  for (const backend of [keyset, () => pairingsBackend(dataDir)]) {
    try {
      if (await backend() === store.backend) return true;
    } catch (error) {
      if (!(error instanceof SecLlamaError) || error.code !== "key-corrupt") throw error;
      damaged = true;
    }
  }
  return damaged && (await store.probe()).reachable;
}

/**
 * Destroys all keys of a profile, pairings of this machine with gateways among them. Whoever calls has asked the user: nothing
 * sealed under these keys opens again. A run that was cut short is repeated; it finds less.
 * @returns How many items there were.
 * @throws {SecLlamaError} What the store throws, `key-lock-busy`. Nothing has been removed when the store is locked.
 */
export async function destroyAll(store: KeyStore, dataDir: string): Promise<number> {
  const file = new ManifestFile(dataDir);
  return await file.withLock(async () => {
    const accounts = await store.list();
    for (const account of accounts) await store.remove(account);
    await file.remove();
    // Keys that are made here later are another host's: what this machine noted of the old ones is not held against them.
    await forgetHostId(dataDir);
    return accounts.length;
  });
}
