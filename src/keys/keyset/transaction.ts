/**
 * How a keyset changes. Every change runs under the exclusive lock and in this order, so that a kill between any two
 * steps leaves a keyset that the next change puts right:
 *
 *   1. recover: undo a stale `add`, complete a stale `delete`, complete the head
 *   2. intent: the manifest, same generation, with `pending`
 *   3. the store: put each item, read it back, check its kid
 *   4. commit: the manifest with generation + 1 and no `pending`
 *   5. head: the store's item with the same generation
 *
 * A reader sees the old keyset up to step 4 and the new one from it; it never needs the lock.
 */
import { type Bytes, equalConstantTime } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { wipe } from "../../secret.ts";
import { encodeHead, HEAD, type Keyset, readKey, readKeyset } from "./keyset.ts";
import { encodeKey } from "./kid.ts";
import { type CommittedManifest, type Manifest, serialiseManifest } from "./manifest.ts";
import type { ManifestFile } from "./manifest_file.ts";
import type { KeyStore } from "../stores/store.ts";

export interface Place {
  readonly file: ManifestFile;
  readonly store: KeyStore;
  readonly profile: string;
  /** Told of each generation once it is there. Fails no change. */
  noteGeneration?(gen: number): Promise<void>;
}

/**
 * Runs `change` on the verified and recovered keyset under the lock. If it throws, whatever it left is recovered from
 * the files before the error goes on, as far as the store answers.
 * @throws {SecLlamaError} `key-lock-busy`, what {@link readKeyset} throws, what `change` throws.
 */
export function changeKeyset<T>(
  place: Place,
  change: (keyset: Keyset) => Promise<T>,
): Promise<T> {
  return place.file.withLock(() => changeKeysetLocked(place, change));
}

/** {@link changeKeyset} for a caller that holds the lock. */
export async function changeKeysetLocked<T>(
  place: Place,
  change: (keyset: Keyset) => Promise<T>,
): Promise<T> {
  const keyset = await recover(place, await readKeyset(place.file, place.store, place.profile));
  using _wiped = keyset.activeKey;
  try {
    return await change(keyset);
  } catch (error) {
    // What is on the disk decides, not what this process meant to do: a rename may have happened before its failure.
    try {
      const left = await readKeyset(place.file, place.store, place.profile);
      wipe((await recover(place, left)).activeKey);
    } catch { /* the store is gone; the next change recovers */ }
    throw error;
  }
}

/** Step 1. The keyset with no `pending` and a head of its generation. */
async function recover(place: Place, keyset: Keyset): Promise<Keyset> {
  try {
    let { manifest } = keyset;
    const { pending } = manifest;
    if (pending !== null) {
      for (const kid of pending.kids) {
        const state = manifest.keys[kid]?.state;
        // A kid that the manifest or the head knows as alive is never removed, whatever `pending` says.
        const remove = pending.op === "add"
          ? state === undefined && kid !== keyset.head?.active
          : state === "destroyed";
        if (remove) await place.store.remove(kid);
      }
      manifest = { ...manifest, pending: null };
      await place.file.write(await serialiseManifest(manifest, keyset.activeKey));
    }
    const head = { gen: manifest.gen, active: manifest.active };
    if ((keyset.head?.gen ?? 0) < manifest.gen) await place.store.put(HEAD, encodeHead(head));
    return { ...keyset, manifest, head };
  } catch (error) {
    wipe(keyset.activeKey);
    throw error;
  }
}

/** Step 2. Writes what is about to happen to the store: `pending` of the manifest. */
export async function writeIntent(
  place: Place,
  manifest: Manifest,
  activeKey: Bytes | null,
): Promise<void> {
  await place.file.write(await serialiseManifest(manifest, activeKey));
}

/**
 * Step 3. Stores each key and reads it back.
 * @throws {SecLlamaError} `key-corrupt` or `key-lost` if the store returns something else than it was given.
 */
export async function storeKeys(
  store: KeyStore,
  keys: ReadonlyMap<string, Bytes>,
): Promise<void> {
  for (const [kid, key] of keys) {
    using value = encodeKey(key);
    await store.put(kid, value);
    using back = await readKey(store, kid);
    if (!equalConstantTime(back, key)) {
      throw new SecLlamaError("key-corrupt", `the key store did not keep the key ${kid} as given`);
    }
  }
}

/** Steps 4 and 5. From the manifest's rename on the change has happened. */
export async function commit(
  place: Place,
  manifest: CommittedManifest,
  activeKey: Bytes,
): Promise<void> {
  await place.file.write(await serialiseManifest(manifest, activeKey));
  try {
    await place.store.put(HEAD, encodeHead({ gen: manifest.gen, active: manifest.active }));
  } catch {
    // Committed all the same. The head is one behind, which every reader accepts and the next change completes.
  }
  await place.noteGeneration?.(manifest.gen);
}
