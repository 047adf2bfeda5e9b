/**
 * The key manager: what `secllama key` and the gateway do with a keyset that lives in a store. It never makes a key over
 * a failed read, never removes a key that is not a tombstone, and reports nothing it did not verify.
 */
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { type Secret, wipe } from "../../secret.ts";
import { ClientRegistry } from "../clients/registry.ts";
import { HighWaterMark } from "../high_water.ts";
import { readHostId } from "../host_id.ts";
import { auditKeysFrom } from "../audit_keys.ts";
import type { AuditKeys, AuditSource } from "../key_source.ts";
import { type Keyset, liveKids, readKey, readKeyset, readManifest } from "./keyset.ts";
import { initKeyset } from "./init.ts";
import { kidOf, newKey } from "./kid.ts";
import {
  type ActiveKey,
  type CommittedManifest,
  type Manifest,
  type ManifestKey,
  parseManifest,
} from "./manifest.ts";
import type { ManifestFile } from "./manifest_file.ts";
import { rebuildKeyset, type RebuildReport } from "./rebuild.ts";
import type { KeyStore } from "../stores/store.ts";
import { keyStatus, type StatusReport } from "./status.ts";
import { changeKeyset, commit, type Place, storeKeys, writeIntent } from "./transaction.ts";
import { exportKeys, importKeys, type ImportReport } from "./transfer.ts";
import { recordUse } from "./usage.ts";
import { StorageKeys } from "./wrap.ts";

/** Where a keyset is. */
interface KeyManagerOptions {
  readonly file: ManifestFile;
  readonly store: KeyStore;
  /** Default `default`. */
  readonly profile?: string;
  /** Whether somebody is there to answer the store's prompt. */
  readonly interactive?: boolean;
  readonly now?: () => Date;
  /** Where this machine's marks are; see high_water.ts. Without it they follow at the next start. */
  readonly stateDir?: string | undefined;
}

/** One key as `key list` shows it. */
type KeyListing = ManifestKey & { readonly kid: string };

/** What a rotation did. */
interface RotateResult {
  readonly kid: string;
  readonly previous: string;
  readonly gen: number;
}

/** What a deletion did. */
interface DeleteResult {
  readonly kid: string;
  /** False for an item that no manifest knows. */
  readonly known: boolean;
  /** True if it was already a tombstone and its item gone. */
  readonly already: boolean;
}

/** One keyset: every change that the commands can make of it, and what they show. */
export class KeyManager implements Place, AuditSource {
  /** The manifest, and the lock of its folder. */
  readonly file: ManifestFile;
  /** Where the keys are. */
  readonly store: KeyStore;
  /** Tells keysets of one store apart. */
  readonly profile: string;
  /** Whether somebody is there to answer the store's prompt. */
  readonly interactive: boolean;
  /** The clock of dates in the manifest. */
  readonly now: () => Date;
  /** What this machine has seen of these keys, where no store of the system's says it; set by the key source. */
  mark: HighWaterMark | undefined;
  readonly #stateDir: string | undefined;
  #last: { fingerprint: string | undefined; manifest: Manifest | undefined } | undefined;

  /** Nothing is read yet. */
  constructor(options: KeyManagerOptions) {
    this.file = options.file;
    this.store = options.store;
    this.profile = options.profile ?? "default";
    this.interactive = options.interactive ?? false;
    this.now = options.now ?? (() => new Date());
    this.#stateDir = options.stateDir;
  }

  /** A backup from before a change is noticed from then on, whether or not anything was started since. */
  async noteGeneration(gen: number): Promise<void> {
    // The system's own stores repeat the generation themselves.
    if (this.mark === undefined && this.#stateDir !== undefined && this.store.backend === "file") {
      const hid = await readHostId(this.file.dataDir).catch(() => undefined);
      if (hid !== undefined) this.mark = await HighWaterMark.open(this.#stateDir, hid);
    }
    await this.mark?.raise({ gen });
  }

  /**
   * Makes the first key. Only if there is no manifest, nothing that was encrypted under an older keyset, and a store that
   * is reachable, unlocked and empty of this profile's keys.
   * @throws {SecLlamaError} `key-already-initialised`, `key-locked`, `key-store-unavailable`, `key-lost`, `key-refused`.
   */
  init(): Promise<{ kid: string }> {
    return this.file.withLock(() => initKeyset(this));
  }

  /** Rebuilds a missing or damaged manifest from the store's own items; see rebuild.ts. */
  rebuild(options: { active?: string } = {}): Promise<RebuildReport> {
    return rebuildKeyset(this, { ...options, now: this.now() });
  }

  /**
   * Makes a new active key; the old one still opens what it sealed. With `compromised` it and every older one open stored data
   * only, and no exchange is accepted under them: who read one key of a store could read all.
   * @throws {SecLlamaError} What {@link changeKeyset} throws, and `key-io`.
   */
  rotate(options: { compromised?: boolean } = {}): Promise<RotateResult> {
    return changeKeyset(this, async (keyset) => {
      using key = newKey();
      const kid = await kidOf(key);
      const pending = { op: "add", kids: [kid] } as const;
      await writeIntent(this, { ...keyset.manifest, pending }, keyset.activeKey);
      await storeKeys(this.store, new Map([[kid, key]]));
      const next = this.#activate(
        keyset,
        kid,
        { state: "active", created: this.#time(), retired: null, compromised: false },
        options.compromised ?? false,
      );
      await commit(this, next, key);
      await this.#resignClients();
      return { kid, previous: keyset.manifest.active, gen: next.gen };
    });
  }

  /**
   * Makes a decrypt-only key the active one again.
   * @throws {SecLlamaError} `not-found` for a kid the keyset does not have, `key-refused` for one that was destroyed or
   * marked as compromised, `key-lost` or `key-corrupt` if its item is.
   */
  rotateTo(kid: string): Promise<RotateResult> {
    return changeKeyset(this, async (keyset) => {
      const previous = keyset.manifest.active;
      const entry = keyset.manifest.keys[kid];
      if (entry === undefined) throw unknownKid(kid);
      if (kid === previous) return { kid, previous, gen: keyset.manifest.gen };
      if (entry.state === "destroyed") {
        throw new SecLlamaError("key-refused", `the key ${kid} was destroyed`, {
          hint: HINTS.keyList,
        });
      }
      if (entry.compromised) {
        throw new SecLlamaError("key-refused", `the key ${kid} was retired as compromised`, {
          hint: "to make a new key, run: secllama key rotate",
        });
      }
      using key = await readKey(this.store, kid);
      const next = this.#activate(keyset, kid, {
        state: "active",
        created: entry.created,
        retired: null,
        compromised: false,
      });
      await commit(this, next, key);
      await this.#resignClients();
      return { kid, previous, gen: next.gen };
    });
  }

  /**
   * Destroys a key: a tombstone in the manifest first, then its item, then the proof that it is gone. An item that the
   * manifest does not know is removed as well.
   * @throws {SecLlamaError} `key-refused` for the active key, `not-found` for a kid that is nowhere, `key-locked` and
   * `key-store-unavailable` before anything was changed.
   */
  delete(kid: string): Promise<DeleteResult> {
    return changeKeyset(this, async (keyset) => {
      const { manifest, activeKey } = keyset;
      if (kid === manifest.active) {
        throw new SecLlamaError("key-refused", `the key ${kid} is the active one`, {
          hint: "make another one active first: secllama key rotate",
        });
      }
      const value = await this.store.get(kid); // also the proof that the store is unlocked
      wipe(value);
      const entry = manifest.keys[kid];
      if (entry === undefined || entry.state === "destroyed") {
        if (value === undefined && entry === undefined) throw unknownKid(kid);
        if (value !== undefined) await this.store.remove(kid);
        return { kid, known: entry !== undefined, already: value === undefined };
      }
      // Signed by a key that is gone, the list of clients could not be verified any more.
      await this.clients().resignLocked();
      const next: CommittedManifest = {
        ...manifest,
        gen: manifest.gen + 1,
        pending: { op: "delete", kids: [kid] },
        keys: {
          ...manifest.keys,
          [kid]: { ...entry, state: "destroyed", retired: entry.retired ?? this.#time() },
        },
      };
      await commit(this, next, activeKey);
      await this.store.remove(kid);
      if (await this.store.get(kid) !== undefined) {
        throw new SecLlamaError("key-store-unavailable", `the key ${kid} is still in the store`, {
          hint: `run the command again: secllama key delete ${kid}`,
        });
      }
      await writeIntent(this, { ...next, pending: null }, activeKey);
      return { kid, known: true, already: false };
    });
  }

  /** What there is and what is wrong with it; see status.ts. */
  status(options: { maxAgeDays?: number } = {}): Promise<StatusReport> {
    return keyStatus(this, options);
  }

  /** Every key that is not destroyed, wrapped under a passphrase, and `more`; see transfer.ts. */
  exportTo(
    passphrase: Bytes,
    more?: ReadonlyMap<string, Bytes>,
  ): Promise<{ file: Bytes; kids: string[] }> {
    return exportKeys(this, passphrase, undefined, more);
  }

  /** Adds the keys of an export; see transfer.ts. */
  importFrom(
    file: Uint8Array,
    passphrase: Bytes,
    options: { revive?: boolean } = {},
  ): Promise<ImportReport> {
    return importKeys(this, file, passphrase, options);
  }

  /** The keys, the active one first, then from new to old. Needs the store, to verify the manifest. */
  async list(): Promise<KeyListing[]> {
    const manifest = await this.verifiedManifest();
    const live = liveKids(manifest);
    const dead = Object.keys(manifest.keys).filter((kid) => !live.includes(kid));
    return [...live, ...dead].map((kid) => ({ kid, ...manifest.keys[kid]! }));
  }

  /** The verified keyset. Its active key is for the caller's `using`. */
  read(): Promise<Keyset> {
    return readKeyset(this.file, this.store, this.profile);
  }

  /** The manifest as the active key and the store's head confirm it. @throws {SecLlamaError} As {@link read}. */
  verifiedManifest(): Promise<CommittedManifest> {
    return readManifest(this.file, this.store, this.profile);
  }

  /** The manifest as it is on the disk, unverified; undefined if there is none. @throws {SecLlamaError} `key-corrupt`. */
  async manifest(): Promise<Manifest | undefined> {
    const fingerprint = await this.file.fingerprint();
    if (fingerprint === undefined || fingerprint !== this.#last?.fingerprint) {
      const bytes = await this.file.read();
      this.#last = {
        fingerprint,
        manifest: bytes === undefined ? undefined : parseManifest(bytes).manifest,
      };
    }
    return this.#last.manifest;
  }

  /** The generation on the disk, unverified, 0 if there is no keyset: for noticing a change cheaply. */
  async generation(): Promise<number> {
    return (await this.manifest())?.gen ?? 0;
  }

  /** The paired clients of this host. */
  clients(): ClientRegistry {
    return new ClientRegistry(this.file, {
      store: this.store,
      ...(this.mark && { mark: this.mark }),
      active: async () => {
        const { manifest, activeKey } = await this.read();
        return { kid: manifest.active, key: activeKey };
      },
      masterKey: (kid) => this.#masterKey(kid),
    }, this.now);
  }

  /** Wraps and unwraps under this keyset's storage keys; follows a rotation by another process. */
  storage(): StorageKeys {
    let seen: { gen: number; manifest: CommittedManifest } | undefined;
    const current = async () => {
      const gen = await this.generation();
      if (seen?.gen !== gen) {
        const manifest = await this.verifiedManifest();
        seen = { gen: manifest.gen, manifest };
      }
      return seen.manifest;
    };
    return new StorageKeys({
      current: async () => {
        const manifest = await current();
        return { gen: manifest.gen, active: manifest.active };
      },
      masterKey: async (kid) => {
        const entry = (await current()).keys[kid];
        if (entry === undefined) throw unknownKid(kid);
        if (entry.state === "destroyed") {
          throw new SecLlamaError("key-lost", `the key ${kid} was destroyed`);
        }
        return await readKey(this.store, kid);
      },
      countWraps: (kid, count) => recordUse(this.file, kid, { wraps: count }),
    });
  }

  /** See {@link AuditSource.auditKeys}. */
  async auditKeys(kid?: string): Promise<AuditKeys> {
    if (kid !== undefined) {
      using key = await this.#masterKey(kid);
      return await auditKeysFrom(kid, key);
    }
    const { manifest, activeKey } = await this.read();
    using _wiped = activeKey;
    return await auditKeysFrom(manifest.active, activeKey);
  }

  async #masterKey(kid: string): Promise<Secret> {
    const entry = (await this.manifest())?.keys[kid];
    if (entry === undefined || entry.state === "destroyed") throw unknownKid(kid);
    return await readKey(this.store, kid);
  }

  /** After a rotation. A failure costs nothing yet: the older key still verifies the list, and `delete` tries again. */
  async #resignClients(): Promise<void> {
    await this.clients().resignLocked().catch(() => {});
  }

  #activate(keyset: Keyset, kid: string, entry: ActiveKey, compromised = false): CommittedManifest {
    const { manifest } = keyset;
    const previous = manifest.active;
    const older = Object.entries(manifest.keys).map(([old, key]) =>
      [old, compromised && key.state === "decrypt-only" ? { ...key, compromised } : key] as const
    );
    return {
      ...manifest,
      gen: manifest.gen + 1,
      active: kid,
      pending: null,
      keys: {
        ...Object.fromEntries(older),
        [previous]: {
          ...manifest.keys[previous]!,
          state: "decrypt-only",
          retired: this.#time(),
          compromised,
        },
        [kid]: entry,
      },
    };
  }

  #time(): string {
    return this.now().toISOString();
  }
}

/** The error for a kid that the keyset does not have. */
function unknownKid(kid: string): SecLlamaError {
  return new SecLlamaError("not-found", `the keyset has no key ${kid}`, {
    hint: HINTS.keyList,
  });
}
