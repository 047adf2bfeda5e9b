/**
 * Export and import of keys, passphrase-wrapped only (envelope.ts). An import adds keys: it never replaces one, and never
 * changes which key is active where there is a keyset already. It also puts back keys that the store lost.
 */
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { secret, SecretMap, wipe } from "../../secret.ts";
import { isPairingAccount } from "../clients/pairings.ts";
import {
  deriveBoxKey,
  type KdfParameters,
  newKdf,
  openBox,
  parseBox,
  sealBox,
} from "../stores/envelope.ts";
import { checkNewPassphrase } from "../stores/new_passphrase.ts";
import { createKeyset, type InitPlace, refuseUnlessEmpty, undoUnfinishedInit } from "./init.ts";
import { encodeHead, HEAD, liveKids, readKey, readManifest } from "./keyset.ts";
import { decodeKeyOf, encodeKey, isKid } from "./kid.ts";
import {
  type CommittedManifest,
  type Manifest,
  type ManifestKey,
  parseManifest,
} from "./manifest.ts";
import { changeKeysetLocked, commit, type Place, storeKeys, writeIntent } from "./transaction.ts";

export interface ImportReport {
  /** Kids that were added as decrypt-only, or all of them for a new keyset. */
  readonly added: readonly string[];
  /** Kids that the manifest knows and the store had lost. */
  readonly restored: readonly string[];
  /** Kids that were there already. */
  readonly present: readonly string[];
  /** Kids that were destroyed here and not brought back. */
  readonly destroyed: readonly string[];
  readonly active: string;
}

/**
 * The content of an export file: every key that is not destroyed, and which is active.
 * @param more Items that are no keys, for a backup: see {@link isPairingAccount}.
 * @throws {SecLlamaError} `usage` for a passphrase that is too short or too common, and what reading the keyset throws.
 */
export async function exportKeys(
  place: Place,
  passphrase: Bytes,
  kdf: KdfParameters = newKdf(),
  more: ReadonlyMap<string, Bytes> = new Map(),
): Promise<{ file: Bytes; kids: string[] }> {
  checkNewPassphrase(passphrase);
  const manifest = await readManifest(place.file, place.store, place.profile);
  using items = new SecretMap();
  for (const kid of liveKids(manifest)) {
    using key = await readKey(place.store, kid);
    items.set(kid, encodeKey(key));
  }
  const kids = [...items.keys()];
  for (const [account, value] of more) items.set(account, value.slice());
  items.set(HEAD, encodeHead({ gen: manifest.gen, active: manifest.active }));
  return { file: await sealBox(items, await deriveBoxKey(passphrase, kdf), kdf), kids };
}

/**
 * Adds the keys of an export file. Without a keyset here it makes one with the export's active key; otherwise new keys
 * come in as decrypt-only. With `revive` a key that was destroyed here comes back.
 * @throws {SecLlamaError} `key-locked` for a wrong passphrase, `key-corrupt`, `key-refused`, and what the store throws.
 */
export async function importKeys(
  place: InitPlace,
  file: Uint8Array,
  passphrase: Bytes,
  options: { revive?: boolean } = {},
): Promise<ImportReport> {
  using keys = new SecretMap();
  const active = await readExport(file, passphrase, keys);
  return await place.file.withLock(async () => {
    const bytes = await place.file.read();
    if (bytes === undefined || parseManifest(bytes).manifest.gen === 0) {
      await undoUnfinishedInit(place);
      await refuseUnlessEmpty(place);
      await createKeyset(place, keys, active);
      return { added: [...keys.keys()], restored: [], present: [], destroyed: [], active };
    }
    const restored = await putBack(place, parseManifest(bytes).manifest, keys);
    return await changeKeysetLocked(place, async ({ manifest, activeKey }) => {
      const state = (kid: string) => manifest.keys[kid]?.state;
      const destroyed = [...keys.keys()].filter((kid) =>
        state(kid) === "destroyed" && !options.revive
      );
      const added = [...keys.keys()].filter((kid) =>
        (state(kid) ?? "destroyed") === "destroyed" && !destroyed.includes(kid)
      );
      const present = [...keys.keys()].filter((kid) =>
        !added.includes(kid) && !destroyed.includes(kid) && !restored.includes(kid)
      );
      if (added.length > 0) {
        const news = new Map(added.map((kid) => [kid, keys.get(kid)!]));
        await addKeys(place, manifest, activeKey, news);
      }
      return { added, restored, present, destroyed, active: manifest.active };
    });
  });
}

async function addKeys(
  place: InitPlace,
  manifest: CommittedManifest,
  activeKey: Bytes,
  keys: ReadonlyMap<string, Bytes>,
): Promise<void> {
  const time = place.now().toISOString();
  const entries: { [kid: string]: ManifestKey } = {};
  for (const kid of keys.keys()) {
    entries[kid] = { state: "decrypt-only", created: time, retired: time, compromised: false };
  }
  await writeIntent(
    place,
    { ...manifest, pending: { op: "add", kids: [...keys.keys()] } },
    activeKey,
  );
  await storeKeys(place.store, keys);
  await commit(place, {
    ...manifest,
    gen: manifest.gen + 1,
    pending: null,
    keys: { ...manifest.keys, ...entries },
  }, activeKey);
}

/** Stores again what the manifest calls alive and the store lost. Safe before verification: a kid proves its key. */
async function putBack(
  place: Place,
  manifest: Manifest,
  keys: ReadonlyMap<string, Bytes>,
): Promise<string[]> {
  const lost = new Map<string, Bytes>();
  for (const kid of liveKids(manifest)) {
    const key = keys.get(kid);
    if (key === undefined) continue;
    using value = secret(await place.store.get(kid));
    if (value === undefined || !await isIntact(kid, value)) lost.set(kid, key);
  }
  await storeKeys(place.store, lost);
  return [...lost.keys()];
}

async function isIntact(kid: string, value: Bytes): Promise<boolean> {
  try {
    wipe(await decodeKeyOf(kid, value));
    return true;
  } catch {
    return false;
  }
}

/** Puts the keys of an export into `keys`, and a backup's pairings into `pairings`; returns which key is active. */
export async function readExport(
  file: Uint8Array,
  passphrase: Bytes,
  keys: SecretMap,
  pairings?: SecretMap,
): Promise<string> {
  const what = "the export";
  const box = parseBox(file, what);
  using items = await openBox(box, await deriveBoxKey(passphrase, box.kdf), what);
  let active: string | undefined;
  for (const [account, value] of items) {
    if (isKid(account)) keys.set(account, await decodeKeyOf(account, value));
    else if (isPairingAccount(account)) pairings?.set(account, value.slice());
    else if (account === HEAD) {
      active = /^sl1h:\d+:([0-9a-f]{16})$/.exec(new TextDecoder().decode(value))?.[1];
    }
  }
  if (active === undefined || !keys.has(active)) {
    throw new SecLlamaError("key-corrupt", "the export does not hold its active key");
  }
  return active;
}
