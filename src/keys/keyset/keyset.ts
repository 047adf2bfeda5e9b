/**
 * Reading a keyset: the manifest from the data folder, the keys from the store, and the checks that tie them together.
 * Nothing here writes; a reader may run while another process rotates, so whatever looks wrong is looked at again when
 * the manifest has changed meanwhile.
 */
import { type Bytes, equalConstantTime, utf8, utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { type Secret, secret, wipe } from "../../secret.ts";
import { decodeKeyOf, isKid } from "./kid.ts";
import {
  type CommittedManifest,
  corruptManifest,
  isCommitted,
  type Manifest,
  parseManifest,
  verifyManifest,
} from "./manifest.ts";
import type { ManifestFile } from "./manifest_file.ts";
import { BACKEND_NAMES, type KeyStore, locked, unavailable } from "../stores/store.ts";

/** The store's item that says how far the keyset has moved on. The only item that is written in place. */
export const HEAD = "head";

export interface Head {
  readonly gen: number;
  readonly active: string;
}

export interface Keyset {
  readonly manifest: CommittedManifest;
  /** The key that `manifest.active` names, for the caller's `using`. */
  readonly activeKey: Secret;
  /** The head as stored; null if there is none. Behind the manifest after a crash between the two writes. */
  readonly head: Head | null;
}

/** The stored form of the head: `sl1h:<gen>:<kid>`. */
export function encodeHead(head: Head): Bytes {
  return utf8(`sl1h:${head.gen}:${head.active}`);
}

function decodeHead(value: Uint8Array): Head {
  let match: RegExpExecArray | null = null;
  try {
    match = /^sl1h:([1-9]\d{0,14}):([0-9a-f]{16})\r?\n?$/.exec(utf8Decode(value));
  } catch { /* not UTF-8 */ }
  if (!match) {
    throw new SecLlamaError("key-corrupt", "the key store's item head is damaged", {
      hint: "to rebuild the keyset from the key store, run: secllama key init --recover",
    });
  }
  return { gen: Number(match[1]), active: match[2]! };
}

/**
 * The store's head, or null if there is none, or an empty one: `secret-tool` stores what it read before its input ended, and
 * that is nothing if the process that started it was killed just then. Who could empty it could remove it as well.
 * @throws {SecLlamaError} `key-corrupt`, and what the store throws.
 */
export async function readHead(store: KeyStore): Promise<Head | null> {
  const value = await store.get(HEAD);
  return value === undefined || value.length === 0 ? null : decodeHead(value);
}

/**
 * The key that `kid` names, from the store, for the caller's `using`.
 * @throws {SecLlamaError} `key-lost` if the store does not have it, `key-locked` if that cannot be known, `key-corrupt`
 * if it is another value.
 */
export async function readKey(store: KeyStore, kid: string): Promise<Secret> {
  using value = secret(await store.get(kid));
  if (value === undefined) {
    const status = await store.probe();
    if (!status.reachable) throw unavailable(status);
    if (status.locked) throw locked(status);
    const file = await store.missingFile?.();
    if (file !== undefined) {
      throw new SecLlamaError("key-lost", `there is no key file ${file}`, {
        hint:
          "correct the path of --key-file, or put the file back; if it is lost, restore the keys " +
          "from an export: secllama key import FILE; to begin anew: secllama key delete --all; " +
          "no new key was made; more: secllama help upgrade",
      });
    }
    throw new SecLlamaError(
      "key-lost",
      `the key ${kid} is in the manifest but not in ${BACKEND_NAMES[store.backend]}`,
      {
        hint: "restore it from an export: secllama key import FILE; to begin anew: " +
          "secllama key delete --all; no new key was made; more: secllama help upgrade",
      },
    );
  }
  return await decodeKeyOf(kid, value);
}

/** The error for a keyset that was never made: the seed's message. */
export function notInitialised(): SecLlamaError {
  return new SecLlamaError("key-not-initialised", "encryption key not found", {
    hint: HINTS.keyInit,
  });
}

/** Times the manifest is read again because it changed under the reader. */
const ATTEMPTS = 8;

/**
 * The keyset, verified: parsed manifest, active key by its kid, HMAC, generation against the head.
 * @throws {SecLlamaError} `key-not-initialised` if there is none, `key-refused` if it lives in another store,
 * `key-corrupt`, `key-lost`, and what the store throws.
 */
export async function readKeyset(
  file: ManifestFile,
  store: KeyStore,
  profile: string,
): Promise<Keyset> {
  let bytes = await file.read();
  for (let attempt = 1;; attempt++) {
    if (bytes === undefined) throw await explainMissing(store);
    try {
      return await verifyAgainst(bytes, store, profile);
    } catch (error) {
      const again = await file.read();
      const same = again !== undefined && equalConstantTime(bytes, again);
      if (same || attempt === ATTEMPTS) throw error;
      bytes = again;
    }
  }
}

/** The verified manifest alone. @throws {SecLlamaError} As {@link readKeyset}. */
export async function readManifest(
  file: ManifestFile,
  store: KeyStore,
  profile: string,
): Promise<CommittedManifest> {
  const { manifest, activeKey } = await readKeyset(file, store, profile);
  wipe(activeKey);
  return manifest;
}

async function verifyAgainst(bytes: Uint8Array, store: KeyStore, profile: string): Promise<Keyset> {
  const signed = parseManifest(bytes);
  const { manifest } = signed;
  checkPlace(manifest, store, profile);
  if (!isCommitted(manifest)) throw notInitialised(); // an init that did not commit
  const activeKey = await readKey(store, manifest.active);
  try {
    await verifyManifest(signed, activeKey);
    const head = await readHead(store);
    await checkHead(manifest, head, store);
    return { manifest, activeKey, head };
  } catch (error) {
    wipe(activeKey);
    throw error;
  }
}

/** @throws {SecLlamaError} `key-refused` if the manifest names another store or profile than the one in use. */
function checkPlace(manifest: Manifest, store: KeyStore, profile: string): void {
  if (manifest.backend !== store.backend) {
    throw new SecLlamaError(
      "key-refused",
      `this keyset lives in ${BACKEND_NAMES[manifest.backend]}, not in ${
        BACKEND_NAMES[store.backend]
      }`,
      {
        hint: "run with the key source that it was made with, " +
          "or move it: secllama key export there, secllama key import here in another data folder",
      },
    );
  }
  if (manifest.profile !== profile) {
    throw new SecLlamaError(
      "key-refused",
      `this keyset is of profile ${manifest.profile}, not ${profile}`,
      { hint: `run the command with --profile ${manifest.profile}` },
    );
  }
}

async function checkHead(manifest: Manifest, head: Head | null, store: KeyStore): Promise<void> {
  const gen = head?.gen ?? 0;
  if (gen > manifest.gen) {
    throw corruptManifest(
      `is of generation ${manifest.gen}, the key store's head of ${gen}: it was put back from earlier`,
    );
  }
  if (gen === manifest.gen && head!.active !== manifest.active) {
    throw corruptManifest("and the key store's head name different active keys");
  }
  if (gen < manifest.gen - 1) {
    // More than a crash explains: the store was put back from earlier. Harmless only if it has every key.
    for (const kid of liveKids(manifest)) {
      if (kid !== manifest.active) wipe(await readKey(store, kid));
    }
  }
}

/** Kids whose keys should be in the store, the active one first. */
export function liveKids(manifest: Manifest): string[] {
  const kids = Object.keys(manifest.keys).filter((kid) =>
    manifest.keys[kid]!.state !== "destroyed"
  );
  return kids.sort((a, b) =>
    Number(b === manifest.active) - Number(a === manifest.active) ||
    manifest.keys[b]!.created.localeCompare(manifest.keys[a]!.created)
  );
}

/** No manifest: never initialised, or initialised and the manifest lost. */
async function explainMissing(store: KeyStore): Promise<SecLlamaError> {
  const status = await store.probe();
  if (!status.reachable) return unavailable(status);
  if (status.locked) return locked(status);
  return await storeHoldsKeys(store) ? manifestLost(store) : notInitialised();
}

/** Whether the store holds items of a keyset: a head, or a key. */
export async function storeHoldsKeys(store: KeyStore): Promise<boolean> {
  return (await store.list()).some((account) => account === HEAD || isKid(account));
}

/** The error for a store with keys and no manifest. */
export function manifestLost(store: KeyStore): SecLlamaError {
  return new SecLlamaError(
    "key-lost",
    `${BACKEND_NAMES[store.backend]} holds a keyset, but its keyset.json is missing`,
    {
      hint: "put keyset.json back, or rebuild it: secllama key init --recover; to begin anew: " +
        "secllama key delete --all; for a second keyset: --profile NAME; more: secllama help upgrade",
    },
  );
}
