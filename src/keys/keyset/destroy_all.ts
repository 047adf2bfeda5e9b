/** The end of a keyset: every item of its profile leaves the key store, and then the file that names them goes. */
import { forgetHostId } from "../host_id.ts";
import type { KeyStore } from "../stores/store.ts";
import { ManifestFile } from "./manifest_file.ts";

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
