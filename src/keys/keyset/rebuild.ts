/**
 * `key init --recover`: a new manifest from the store's own items, for when keyset.json is missing, damaged or was put
 * back from earlier. It makes and removes no key: each kid verifies itself, and the head names the active one. What the
 * old manifest alone knew (tombstones, dates, the mark "compromised") is kept where it can still be read.
 */
import { SecLlamaError } from "../../errors.ts";
import { wipe } from "../../secret.ts";
import { HEAD, type Head, notInitialised, readHead, readKey, readManifest } from "./keyset.ts";
import { isKid } from "./kid.ts";
import { isNewerVersion, type Manifest, type ManifestKey, parseManifest } from "./manifest.ts";
import { commit, type Place } from "./transaction.ts";
import { writeFileAtomically } from "./manifest_file.ts";

export interface RebuildReport {
  readonly active: string;
  readonly kids: readonly string[];
  /** Items that are no valid key; left where they are. */
  readonly damaged: readonly string[];
  /** Where the old manifest was copied to, if there was one. */
  readonly oldManifest: string | null;
}

/**
 * @throws {SecLlamaError} `key-already-initialised` if nothing is wrong, `key-not-initialised` if the store has no keys,
 * `usage` if the active key cannot be told and `options.active` does not name it, `key-corrupt` if the manifest is of a
 * newer version, and what the store throws.
 */
export function rebuildKeyset(
  place: Place,
  options: { active?: string; now: Date },
): Promise<RebuildReport> {
  return place.file.withLock(async () => {
    const bytes = await place.file.read();
    if (bytes !== undefined) await refuseIfSound(place, bytes);
    const old = bytes === undefined ? undefined : readable(bytes);

    const accounts = await place.store.list();
    const kids: string[] = [];
    const damaged: string[] = [];
    for (const account of accounts) {
      if (!isKid(account)) continue;
      try {
        wipe(await readKey(place.store, account));
        kids.push(account);
      } catch (error) {
        if (!(error instanceof SecLlamaError) || error.code !== "key-corrupt") throw error;
        damaged.push(account);
      }
    }
    if (kids.length === 0) throw notInitialised();

    const head = accounts.includes(HEAD) ? await headOrNull(place) : null;
    const active = options.active ?? head?.active ?? (kids.length === 1 ? kids[0] : undefined);
    if (active === undefined) {
      throw new SecLlamaError("usage", `the key store has ${kids.length} keys and no head`, {
        hint: `say which one is active: secllama key init --recover --active KID (${
          kids.join(", ")
        })`,
      });
    }
    if (!kids.includes(active)) {
      throw new SecLlamaError("key-lost", `the active key ${active} is not in the key store`, {
        hint: `restore it: secllama key import FILE; or name another: --active KID (${
          kids.join(", ")
        })`,
      });
    }

    const time = options.now.toISOString();
    const keys: { [kid: string]: ManifestKey } = {};
    for (const kid of kids) {
      const known = old?.keys[kid];
      const created = known?.created ?? time;
      keys[kid] = kid === active
        ? { state: "active", created, retired: null, compromised: false }
        : {
          state: "decrypt-only",
          created,
          retired: known?.retired ?? time,
          compromised: known?.compromised ?? false,
        };
    }
    for (const [kid, entry] of Object.entries(old?.keys ?? {})) {
      if (entry.state === "destroyed" && !(kid in keys)) keys[kid] = entry;
    }

    let oldManifest: string | null = null;
    if (bytes !== undefined) {
      oldManifest = `${place.file.path}.bad-${time.replace(/[:.]/g, "")}`;
      await writeFileAtomically(oldManifest, bytes);
    }
    using key = await readKey(place.store, active);
    await commit(place, {
      // The head may be one behind what a running gateway has seen, which must notice this change. The old manifest's
      // own number is not authenticated here.
      gen: (head?.gen ?? 0) + 2,
      backend: place.store.backend,
      profile: place.profile,
      active,
      pending: null,
      keys,
    }, key);
    return { active, kids, damaged, oldManifest };
  });
}

async function refuseIfSound(place: Place, bytes: Uint8Array): Promise<void> {
  try {
    await readManifest(place.file, place.store, place.profile);
  } catch (error) {
    if (!(error instanceof SecLlamaError)) throw error;
    // Unreadable for another reason than its own state: nothing to rebuild.
    if (!["key-corrupt", "key-lost", "key-not-initialised"].includes(error.code)) throw error;
    if (isNewerVersion(bytes)) throw error;
    return;
  }
  throw new SecLlamaError("key-already-initialised", "the keyset is sound", {
    hint: "to see it, run: secllama key status",
  });
}

function readable(bytes: Uint8Array): Manifest | undefined {
  try {
    return parseManifest(bytes).manifest;
  } catch {
    return undefined;
  }
}

async function headOrNull(place: Place): Promise<Head | null> {
  try {
    return await readHead(place.store);
  } catch (error) {
    if (error instanceof SecLlamaError && error.code === "key-corrupt") return null;
    throw error;
  }
}
