/**
 * Where a running gateway or proxy gets its PSKs from. A source hands out PSKs and generations, never a master key; it
 * rereads the keyset when the manifest's generation moves, so a rotation by another process needs no restart.
 */
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { localPskId } from "../sealed/suite.ts";
import { type BackendOptions, chooseBackend } from "./backend.ts";
import { deriveAudit, deriveTransport } from "./derive.ts";
import { liveKids, readKey } from "./keyset.ts";
import { kidOf } from "./kid.ts";
import { KeyManager } from "./manager.ts";
import { corruptManifest } from "./manifest.ts";
import { ManifestFile } from "./manifest_file.ts";
import { rotationReminder } from "./reminder.ts";
import { type Backend, BACKEND_NAMES, type StoreStatus } from "./store.ts";
import { recordUse } from "./usage.ts";
import { StorageKeys } from "./wrap.ts";

export interface PskEntry {
  /** `local.<kid>`. */
  readonly pskId: string;
  /** The transport key of the master key `kid` names, 32 bytes. A copy: the caller zeroes it. */
  readonly psk: Bytes;
  readonly kid: string;
  readonly state: "active" | "decrypt-only";
  /** When it stopped being active, for the grace of paired clients; undefined for the active key. */
  readonly retired?: Date;
}

export interface KeySource {
  readonly backend: Backend;
  /** One line for the banner: "key: 0011223344556677 in the Secret Service key store". */
  readonly describe: string;
  /** What the user should know before relying on it, one line each. */
  readonly warnings: readonly string[];
  readonly ephemeral: boolean;
  /** Whether this call of {@link openKeySource} made the first key. */
  readonly initialised: boolean;
  /** Counts committed changes of the keyset; constant for a key that cannot rotate. Cheap: one small file. */
  generation(): Promise<number>;
  /** The active key's PSK, then those of decrypt-only keys. Keys retired as compromised have none. */
  psks(): Promise<PskEntry[]>;
  /** The audit log's key under the active master key, 32 bytes. The caller zeroes it. */
  auditKey(): Promise<Bytes>;
  /** Wraps and unwraps conversation keys. */
  storage(): StorageKeys;
  /** Zeroes what is cached. */
  close(): void;
}

export interface KeySourceOptions extends BackendOptions {
  readonly dataDir: string;
  /** Make the first key if there is none: `serve`'s first run. */
  readonly autoInit?: boolean;
  /** --ephemeral-fallback: a key in memory if the store cannot be reached, never if it is locked. */
  readonly ephemeralFallback?: boolean;
  /** Age past which a warning asks for a rotation; default 90. */
  readonly maxAgeDays?: number;
}

/**
 * Opens the key source that the options name; see backend.ts for the order.
 * @throws {SecLlamaError} `key-not-initialised` without `autoInit`, `key-locked`, `key-store-unavailable`, `key-lost`,
 * `key-corrupt`, `key-refused`. A store that fails is never answered with a new key.
 */
export async function openKeySource(options: KeySourceOptions): Promise<KeySource> {
  const chosen = await chooseBackend(options);
  if (chosen.kind === "fixed") return await FixedSource.make(chosen.backend, chosen.key);
  const { store, profile } = chosen;
  const manager = new KeyManager({
    file: new ManifestFile(options.dataDir),
    store,
    profile,
    interactive: options.interactive,
  });
  if (options.ephemeralFallback) {
    const reason = await reasonToFallBack(manager, await store.probe());
    if (reason !== undefined) return await FixedSource.make("memory", undefined, reason);
  }
  let initialised = false;
  try {
    (await manager.read()).activeKey.fill(0);
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
  return await StoreSource.make(manager, initialised, options.maxAgeDays);
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

/** One key from outside the store, or made in memory. */
class FixedSource implements KeySource {
  readonly initialised = false;
  readonly warnings: readonly string[];
  readonly describe: string;
  readonly ephemeral: boolean;
  readonly #key: Bytes;

  private constructor(
    readonly backend: Backend,
    key: Bytes,
    readonly kid: string,
    fallbackReason?: string,
  ) {
    this.#key = key;
    this.ephemeral = backend === "memory";
    this.describe = `key ${kid} in ${BACKEND_NAMES[backend]}` +
      (this.ephemeral
        ? `; it dies with this process${fallbackReason ? ` (no key store: ${fallbackReason})` : ""}`
        : "");
    this.warnings = backend === "environment"
      ? ["SECLLAMA_KEY stays readable in /proc/<pid>/environ to every process of this user"]
      : [];
  }

  static async make(
    backend: Backend,
    key: Bytes = crypto.getRandomValues(new Uint8Array(32)),
    reason?: string,
  ): Promise<FixedSource> {
    return new FixedSource(backend, key, await kidOf(key), reason);
  }

  generation(): Promise<number> {
    return Promise.resolve(1);
  }

  async psks(): Promise<PskEntry[]> {
    const psk = await deriveTransport(this.#open());
    return [{ pskId: localPskId(this.kid), psk, kid: this.kid, state: "active" }];
  }

  auditKey(): Promise<Bytes> {
    return deriveAudit(this.#open());
  }

  storage(): StorageKeys {
    return new StorageKeys({
      current: () => Promise.resolve({ gen: 1, active: this.kid }),
      masterKey: (kid) => {
        if (kid === this.kid) return Promise.resolve(this.#open().slice());
        return Promise.reject(new SecLlamaError("key-lost", `there is no key ${kid}`));
      },
    });
  }

  close(): void {
    this.#key.fill(0);
  }

  #open(): Bytes {
    if (this.#key.every((byte) => byte === 0)) throw new Error("the key source is closed");
    return this.#key;
  }
}

/** The keyset in a store, its PSKs kept for one generation so that a keyring that locks later stops nothing. */
class StoreSource implements KeySource {
  readonly ephemeral = false;
  readonly backend: Backend;
  readonly #manager: KeyManager;
  #cached: { gen: number; entries: PskEntry[] } | undefined;

  private constructor(
    manager: KeyManager,
    readonly initialised: boolean,
    readonly describe: string,
    readonly warnings: readonly string[],
  ) {
    this.#manager = manager;
    this.backend = manager.store.backend;
  }

  static async make(
    manager: KeyManager,
    initialised: boolean,
    maxAgeDays: number | undefined,
  ): Promise<StoreSource> {
    const { manifest, activeKey } = await manager.read();
    activeKey.fill(0);
    const kid = manifest.active!;
    const warnings: string[] = [];
    if ((await manager.store.probe()).encryptedAtRest === "no") {
      warnings.push("the keyring has a blank password: it keeps the keys in plaintext on the disk");
    }
    const reminder = rotationReminder({
      created: manifest.keys[kid]!.created,
      wraps: await recordUse(manager.file, kid, { loads: 1 }),
      now: manager.now(),
      ...(maxAgeDays === undefined ? {} : { maxAgeDays }),
    });
    if (reminder) warnings.push(reminder);
    const where = BACKEND_NAMES[manager.store.backend];
    return new StoreSource(
      manager,
      initialised,
      `key ${kid} in ${where}${initialised ? ", made just now" : ""}`,
      warnings,
    );
  }

  generation(): Promise<number> {
    return this.#manager.generation();
  }

  async psks(): Promise<PskEntry[]> {
    const gen = await this.#manager.generation();
    if (this.#cached !== undefined && gen < this.#cached.gen) {
      throw corruptManifest(
        `is of generation ${gen}, this process has seen ${this.#cached.gen}: it was put back from earlier`,
      );
    }
    if (this.#cached?.gen !== gen) this.#cached = await this.#load();
    return this.#cached.entries.map((entry) => ({ ...entry, psk: entry.psk.slice() }));
  }

  async auditKey(): Promise<Bytes> {
    const { activeKey } = await this.#manager.read();
    try {
      return await deriveAudit(activeKey);
    } finally {
      activeKey.fill(0);
    }
  }

  storage(): StorageKeys {
    return this.#manager.storage();
  }

  close(): void {
    for (const entry of this.#cached?.entries ?? []) entry.psk.fill(0);
    this.#cached = undefined;
  }

  async #load(): Promise<{ gen: number; entries: PskEntry[] }> {
    const { manifest, activeKey } = await this.#manager.read();
    activeKey.fill(0);
    const entries: PskEntry[] = [];
    for (const kid of liveKids(manifest)) {
      const { state, retired, compromised } = manifest.keys[kid]!;
      if (compromised) continue;
      const key = await readKey(this.#manager.store, kid);
      entries.push({
        pskId: localPskId(kid),
        psk: await deriveTransport(key),
        kid,
        state: state === "active" ? "active" : "decrypt-only",
        ...(retired === null ? {} : { retired: new Date(retired) }),
      });
      key.fill(0);
    }
    this.close();
    return { gen: manifest.gen, entries };
  }
}
