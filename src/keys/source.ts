/**
 * Opens the key source of a running gateway or proxy: over the keyset in a store, or one key from elsewhere. It rereads the
 * keyset when the manifest's generation moves, so a rotation by another process needs no restart. It never hands out a master key.
 */
import { SecLlamaError } from "../errors.ts";
import { FixedSource } from "./fixed_source.ts";
import { refuseHalfRestored } from "./half_restored.ts";
import type { KeySource } from "./key_source.ts";
import { newKey } from "./keyset/kid.ts";
import { KeyManager } from "./keyset/manager.ts";
import { ManifestFile } from "./keyset/manifest_file.ts";
import { StoreSource } from "./store_source.ts";
import { type BackendOptions, chooseBackend } from "./stores/backend.ts";
import { lasting } from "./stores/packages.ts";
import type { StoreStatus } from "./stores/store.ts";

/** Where the keys come from, and what to do where there are none. */
export interface KeySourceOptions extends BackendOptions {
  /** The data folder: manifest, list of clients, host's id. */
  readonly dataDir: string;
  /** Where to note how far keys and clients have come, apart from both; see high_water.ts. Without it nothing is noted. */
  readonly stateDir?: string | undefined;
  /** Make the first key if there is none: `serve`'s first run. */
  readonly autoInit?: boolean;
  /** --ephemeral-fallback: a key in memory if the store cannot be reached, never if it is locked. */
  readonly ephemeralFallback?: boolean;
  /** Age past which a warning asks for a rotation; default 90. */
  readonly maxAgeDays?: number;
  /** How long a paired client is accepted under a key that was rotated away; default 30 days. */
  readonly clientGraceMs?: number;
}

/**
 * Opens the key source that the options name; see backend.ts for the order.
 *
 * @example
 * ```ts
 * using keys = await openKeySource({ dataDir: "data", env: {}, interactive: false, autoInit: true });
 * using ring = await keys.ring();
 * console.log(keys.describe, ring.holders);
 * ```
 * @throws {SecLlamaError} `key-not-initialised` without `autoInit`, `key-locked`, `key-store-unavailable`, `key-lost`,
 * `key-corrupt`, `key-refused`. A store that fails is never answered with a new key.
 */
export async function openKeySource(options: KeySourceOptions): Promise<KeySource> {
  const chosen = await chooseBackend(options);
  await refuseHalfRestored(options.dataDir);
  if (chosen.kind === "fixed") return await FixedSource.make(chosen, options);
  const { store, profile } = chosen;
  const manager = new KeyManager({
    file: new ManifestFile(options.dataDir),
    store,
    profile,
    interactive: options.interactive,
  });
  if (options.ephemeralFallback) {
    const reason = await reasonToFallBack(manager, await store.probe());
    if (reason !== undefined) {
      return await FixedSource.make({ backend: "memory", key: newKey(), reason }, options);
    }
  }
  let initialised = false;
  try {
    await manager.verifiedManifest();
  } catch (error) {
    if (!(error instanceof SecLlamaError) || error.code !== "key-not-initialised") throw error;
    if (!options.autoInit) throw error;
    try {
      await manager.init();
      initialised = true;
    } catch (failure) {
      // Another process may have made it just now.
      if (!(failure instanceof SecLlamaError) || failure.code !== "key-already-initialised") {
        throw failure;
      }
    }
  }
  return await StoreSource.make(manager, { ...options, initialised });
}

/** As {@link openKeySource}, for what a key in memory is of no use to: no hint names one. */
export async function openLastingKeySource(options: KeySourceOptions): Promise<KeySource> {
  try {
    return await openKeySource(options);
  } catch (cause) {
    if (!(cause instanceof SecLlamaError) || cause.hint === undefined) throw cause;
    const { code, message, field, hint } = cause;
    throw new SecLlamaError(code, message, {
      ...{ hint: lasting(hint), cause },
      ...(field !== undefined && { field }),
    });
  }
}

/** Why the quick start may use a key in memory instead; undefined if it must use the store, or fail. */
async function reasonToFallBack(
  manager: KeyManager,
  status: StoreStatus,
): Promise<string | undefined> {
  if (status.locked) return undefined;
  // A keyset that exists is used or its failure is shown: a new key beside it would look like a loss.
  if (await manager.generation() > 0) return undefined;
  if (!status.reachable || !status.writable) return status.reason ?? "the keyring is in plaintext";
  return undefined;
}
