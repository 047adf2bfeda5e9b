/**
 * The first key. A keyset is made only where there was none: no manifest, nothing that was encrypted under an older one, and
 * a store that is reachable, unlocked and empty of this profile's keys. Whatever cannot be read stops it.
 */
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { HEAD, manifestLost, readHead, storeHoldsKeys } from "./keyset.ts";
import { kidOf, newKey } from "./kid.ts";
import { type ManifestKey, parseManifest } from "./manifest.ts";
import { BACKEND_NAMES, locked, plaintextKeyring, unavailable } from "../stores/store.ts";
import { commit, type Place, storeKeys, writeIntent } from "./transaction.ts";

/** A place to make a keyset in, and who is there. */
export interface InitPlace extends Place {
  /** Whether somebody is there to answer the store's prompt. */
  readonly interactive: boolean;
  readonly now: () => Date;
}

/**
 * Makes a keyset with one new key. The caller holds the lock.
 * @throws {SecLlamaError} `key-already-initialised`, `key-locked`, `key-store-unavailable`, `key-lost`, `key-refused`.
 */
export async function initKeyset(place: InitPlace): Promise<{ kid: string }> {
  await undoUnfinishedInit(place);
  await refuseUnlessEmpty(place);
  await refuseOverEncryptedData(place);
  using key = newKey();
  const kid = await kidOf(key);
  await createKeyset(place, new Map([[kid, key]]), kid);
  return { kid };
}

/**
 * The first commit, with `keys`, of which `active` is the active one. The caller holds the lock and has checked that the
 * place is empty.
 */
export async function createKeyset(
  place: InitPlace,
  keys: ReadonlyMap<string, Bytes>,
  active: string,
): Promise<void> {
  // Whoever goes away at its question has begun nothing.
  await place.store.prepare?.();
  const about = { backend: place.store.backend, profile: place.profile };
  const time = place.now().toISOString();
  const entries: { [kid: string]: ManifestKey } = {};
  for (const kid of keys.keys()) {
    entries[kid] = kid === active
      ? { state: "active", created: time, retired: null, compromised: false }
      : { state: "decrypt-only", created: time, retired: time, compromised: false };
  }
  try {
    const pending = { op: "add", kids: [...keys.keys()] } as const;
    await writeIntent(place, { ...about, gen: 0, active: null, pending, keys: {} }, null);
    await storeKeys(place.store, keys);
    await commit(
      place,
      { ...about, gen: 1, active, pending: null, keys: entries },
      keys.get(active)!,
    );
  } catch (error) {
    try {
      await undoUnfinishedInit(place);
    } catch { /* committed after all, or the store is gone: the next init cleans up */ }
    throw error;
  }
}

/**
 * Undoes an `init` that was killed before its commit: its manifest of generation 0 and its items.
 * @throws {SecLlamaError} `key-already-initialised` if there is a keyset, `key-corrupt` if there is a damaged one.
 */
export async function undoUnfinishedInit(place: Place): Promise<void> {
  const bytes = await place.file.read();
  if (bytes === undefined) return;
  const { manifest } = parseManifest(bytes);
  if (manifest.gen > 0) {
    throw new SecLlamaError(
      "key-already-initialised",
      `there is a keyset already, in ${BACKEND_NAMES[manifest.backend]}`,
      { hint: "to make a new active key, run: secllama key rotate" },
    );
  }
  // Generation 0 carries no HMAC. With a head in the store it is no leftover but a manifest put in another's place.
  if (manifest.backend !== place.store.backend || await readHead(place.store) !== null) {
    throw manifestLost(place.store);
  }
  for (const kid of manifest.pending!.kids) await place.store.remove(kid);
  await place.file.remove();
}

/** @throws {SecLlamaError} If the store cannot be used, would keep keys in plaintext, or holds a keyset. */
export async function refuseUnlessEmpty(place: InitPlace): Promise<void> {
  const status = await place.store.probe();
  if (!status.reachable) throw unavailable(status);
  if (status.locked) {
    if (!place.interactive) throw locked(status);
    await place.store.get(HEAD); // raises the prompt; throws if it is not answered
  } else if (status.encryptedAtRest === "no") throw plaintextKeyring();
  else if (!status.writable && !place.interactive) throw unavailable(status);
  if (await storeHoldsKeys(place.store)) throw manifestLost(place.store);
}

async function refuseOverEncryptedData(place: Place): Promise<void> {
  const history = `${place.file.dataDir}/history`;
  try {
    for await (const _ of Deno.readDir(history)) {
      throw new SecLlamaError(
        "key-lost",
        `${history} holds encrypted data, but there is no keyset`,
        { hint: "restore the keys: secllama key import FILE; or move that folder away" },
      );
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
