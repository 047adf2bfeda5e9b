/**
 * Where a running gateway or proxy gets its PSKs from. A source hands out PSKs and generations, never a master key; it
 * rereads the keyset when the manifest's generation moves, so a rotation by another process needs no restart.
 */
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { localPskId } from "../sealed/suite.ts";
import { type BackendOptions, chooseBackend } from "./stores/backend.ts";
import { ClientPsks, DEFAULT_CLIENT_GRACE_MS, type LocalPsk } from "./clients/client_psks.ts";
import { ClientRegistry } from "./clients/registry.ts";
import { deriveAudit, deriveTransport } from "./derive.ts";
import { liveKids, readKey } from "./keyset/keyset.ts";
import { kidOf } from "./keyset/kid.ts";
import { KeyManager } from "./keyset/manager.ts";
import { corruptManifest } from "./keyset/manifest.ts";
import { ManifestFile } from "./keyset/manifest_file.ts";
import { rotationReminder } from "./keyset/reminder.ts";
import { type Backend, BACKEND_NAMES, type StoreStatus } from "./stores/store.ts";
import { recordUse } from "./keyset/usage.ts";
import { StorageKeys } from "./keyset/wrap.ts";

export interface PskEntry {
  /** `local.<kid>`, or `client.<kid>.<id>` of a paired client. */
  readonly pskId: string;
  /** The transport key of the master key `kid` names, or what derives from it for a client: 32 bytes. The caller zeroes it. */
  readonly psk: Bytes;
  readonly kid: string;
  readonly state: "active" | "decrypt-only";
  /** When it stopped being active, for the grace of paired clients; undefined for the active key. */
  readonly retired?: Date;
  /** The paired client's id; undefined for local clients. */
  readonly client?: string;
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
  /** Differs whenever `psks` would: a rotation, a client that came or went, the end of a grace. Cheap: two files' dates. */
  changes(): Promise<string>;
  /**
   * The active key's PSK, then those of decrypt-only keys, then those of paired clients that are not revoked, under the active
   * key and, for the grace, under the older ones. Keys retired as compromised have none. While the list of clients cannot be
   * verified no client has one; `clients().read()` says why.
   */
  psks(): Promise<PskEntry[]>;
  /** The paired clients. @throws {SecLlamaError} `key-refused` for a key that dies with this process. */
  clients(): ClientRegistry;
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
  /** How long a paired client is accepted under a key that was rotated away; default 30 days. */
  readonly clientGraceMs?: number;
}

/**
 * Opens the key source that the options name; see backend.ts for the order.
 * @throws {SecLlamaError} `key-not-initialised` without `autoInit`, `key-locked`, `key-store-unavailable`, `key-lost`,
 * `key-corrupt`, `key-refused`. A store that fails is never answered with a new key.
 */
export async function openKeySource(options: KeySourceOptions): Promise<KeySource> {
  const chosen = await chooseBackend(options);
  if (chosen.kind === "fixed") {
    return await FixedSource.make(chosen.backend, options.dataDir, chosen.key);
  }
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
      return await FixedSource.make("memory", options.dataDir, undefined, reason);
    }
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
  return await StoreSource.make(manager, { ...options, initialised });
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
  readonly #clients: ClientPsks | undefined;

  private constructor(
    readonly backend: Backend,
    dataDir: string,
    key: Bytes,
    readonly kid: string,
    fallbackReason?: string,
  ) {
    this.#key = key;
    // A list in the data folder belongs to a key that outlives its process.
    this.#clients = backend === "memory" ? undefined : new ClientPsks(
      new ClientRegistry(new ManifestFile(dataDir), {
        active: () => Promise.resolve({ kid, key: this.#open().slice() }),
        masterKey: (other) => this.#masterKey(other),
      }),
      0,
    );
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
    dataDir: string,
    key: Bytes = crypto.getRandomValues(new Uint8Array(32)),
    reason?: string,
  ): Promise<FixedSource> {
    return new FixedSource(backend, dataDir, key, await kidOf(key), reason);
  }

  generation(): Promise<number> {
    return Promise.resolve(1);
  }

  async changes(): Promise<string> {
    return `1 ${this.#clients?.changes(await this.#locals()) ?? ""}`;
  }

  async psks(): Promise<PskEntry[]> {
    const locals = await this.#locals();
    return [...locals, ...await this.#clients?.entries(locals) ?? []];
  }

  clients(): ClientRegistry {
    if (this.#clients) return this.#clients.registry;
    throw new SecLlamaError(
      "key-refused",
      "clients cannot be paired under a key that is in memory only",
      { hint: "use the key store, or name another source: see docs/keys.md" },
    );
  }

  auditKey(): Promise<Bytes> {
    return deriveAudit(this.#open());
  }

  storage(): StorageKeys {
    return new StorageKeys({
      current: () => Promise.resolve({ gen: 1, active: this.kid }),
      masterKey: (kid) => this.#masterKey(kid),
    });
  }

  close(): void {
    this.#key.fill(0);
  }

  async #locals(): Promise<LocalPsk[]> {
    const psk = await deriveTransport(this.#open());
    return [{
      pskId: localPskId(this.kid),
      psk,
      kid: this.kid,
      state: "active",
      createdMs: 0,
    }];
  }

  #masterKey(kid: string): Promise<Bytes> {
    if (kid === this.kid) return Promise.resolve(this.#open().slice());
    return Promise.reject(new SecLlamaError("key-lost", `there is no key ${kid}`));
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
  readonly #clients: ClientPsks;
  #cached: { gen: number; locals: LocalPsk[] } | undefined;

  private constructor(
    manager: KeyManager,
    clientGraceMs: number,
    readonly initialised: boolean,
    readonly describe: string,
    readonly warnings: readonly string[],
  ) {
    this.#manager = manager;
    this.#clients = new ClientPsks(manager.clients(), clientGraceMs, manager.now);
    this.backend = manager.store.backend;
  }

  static async make(
    manager: KeyManager,
    { initialised, maxAgeDays, clientGraceMs }: {
      initialised: boolean;
      maxAgeDays?: number;
      clientGraceMs?: number;
    },
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
      clientGraceMs ?? DEFAULT_CLIENT_GRACE_MS,
      initialised,
      `key ${kid} in ${where}${initialised ? ", made just now" : ""}`,
      warnings,
    );
  }

  generation(): Promise<number> {
    return this.#manager.generation();
  }

  async changes(): Promise<string> {
    return `${await this.generation()} ${this.#clients.changes(this.#cached?.locals ?? [])}`;
  }

  async psks(): Promise<PskEntry[]> {
    const locals = await this.#locals();
    return [
      ...locals.map((entry) => ({ ...entry, psk: entry.psk.slice() })),
      ...await this.#clients.entries(locals),
    ];
  }

  clients(): ClientRegistry {
    return this.#clients.registry;
  }

  async #locals(): Promise<LocalPsk[]> {
    const gen = await this.#manager.generation();
    if (this.#cached !== undefined && gen < this.#cached.gen) {
      throw corruptManifest(
        `is of generation ${gen}, this process has seen ${this.#cached.gen}: it was put back from earlier`,
      );
    }
    if (this.#cached?.gen !== gen) this.#cached = await this.#load();
    return this.#cached.locals;
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
    for (const entry of this.#cached?.locals ?? []) entry.psk.fill(0);
    this.#cached = undefined;
  }

  async #load(): Promise<{ gen: number; locals: LocalPsk[] }> {
    const { manifest, activeKey } = await this.#manager.read();
    activeKey.fill(0);
    const locals: LocalPsk[] = [];
    for (const kid of liveKids(manifest)) {
      const { state, created, retired, compromised } = manifest.keys[kid]!;
      if (compromised) continue;
      const key = await readKey(this.#manager.store, kid);
      locals.push({
        pskId: localPskId(kid),
        psk: await deriveTransport(key),
        kid,
        state: state === "active" ? "active" : "decrypt-only",
        createdMs: Date.parse(created),
        ...(retired === null ? {} : { retired: new Date(retired) }),
      });
      key.fill(0);
    }
    this.close();
    return { gen: manifest.gen, locals };
  }
}
