/**
 * Opens the key source of a running gateway or proxy: over the keyset in a store, or one key from elsewhere. It rereads the
 * keyset when the manifest's generation moves, so a rotation by another process needs no restart. It never hands out a master key.
 */
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { type Secret, secret, wipe } from "../secret.ts";
import { deriveTransport } from "../sealed/psk.ts";
import { checkAccess } from "./stores/access.ts";
import { type BackendOptions, chooseBackend } from "./stores/backend.ts";
import { LiveClients } from "./clients/live_clients.ts";
import { ClientRegistry } from "./clients/registry.ts";
import { auditKeysFrom } from "./audit_keys.ts";
import { HighWaterMark } from "./high_water.ts";
import { ensureHostId } from "./host_id.ts";
import { KeyRing, type RingKey } from "./key_ring.ts";
import type { AuditKeys, KeySource } from "./key_source.ts";
import { liveKids, readKey } from "./keyset/keyset.ts";
import { kidOf, newKey } from "./keyset/kid.ts";
import { KeyManager } from "./keyset/manager.ts";
import { corruptManifest } from "./keyset/manifest.ts";
import { ManifestFile } from "./keyset/manifest_file.ts";
import { rotationReminder } from "./keyset/reminder.ts";
import { type Backend, BACKEND_NAMES, type StoreStatus } from "./stores/store.ts";
import { recordUse } from "./keyset/usage.ts";
import { StorageKeys } from "./keyset/wrap.ts";

/** How long a paired client is accepted under a key that was rotated away, unless told otherwise. */
export const DEFAULT_CLIENT_GRACE_MS = 30 * 86_400_000;

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
  readonly active: KeySource["active"];
  readonly #key: Bytes;
  readonly #registry: ClientRegistry | undefined;
  readonly #clients: LiveClients | undefined;

  private constructor(
    readonly backend: Backend,
    readonly hid: Bytes,
    registry: ClientRegistry | undefined,
    key: Bytes,
    readonly kid: string,
    { reason, warnings }: { reason?: string | undefined; warnings: readonly string[] },
  ) {
    this.#key = key;
    this.#registry = registry;
    this.#clients = registry && new LiveClients(registry);
    this.ephemeral = backend === "memory";
    this.active = { kid, createdMs: this.ephemeral ? Date.now() : null };
    this.describe = `key ${kid} in ${BACKEND_NAMES[backend]}` +
      (this.ephemeral
        ? `; it dies with this process${reason ? ` (no key store: ${reason})` : ""}`
        : "");
    this.warnings = [
      ...(backend === "environment"
        ? ["SECLLAMA_KEY stays readable in /proc/<pid>/environ to every process of this user"]
        : []),
      ...warnings,
    ];
  }

  static async make(
    { backend, key, reason }: { backend: Backend; key: Bytes; reason?: string | undefined },
    { dataDir, stateDir }: Pick<KeySourceOptions, "dataDir" | "stateDir">,
  ): Promise<FixedSource> {
    const kid = await kidOf(key);
    if (backend === "memory") {
      const hid = crypto.getRandomValues(new Uint8Array(16));
      return new FixedSource(backend, hid, undefined, key, kid, { reason, warnings: [] });
    }
    // A list in the data folder, and the host's id, belong to a key that outlives its process.
    const warnings = await checkAccess(dataDir, "the data folder");
    const file = new ManifestFile(dataDir);
    const keys = {
      active: () => onlyKey(kid, key, kid).then((copy) => ({ kid, key: copy })),
      masterKey: (other: string) => onlyKey(kid, key, other),
    };
    const hid = await ensureHostId(file, () => new ClientRegistry(file, keys).hostId());
    const mark = stateDir === undefined ? undefined : await HighWaterMark.open(stateDir, hid);
    const registry = new ClientRegistry(file, { ...keys, ...(mark && { mark }) });
    warnings.push(...await whatIsWrong(registry, mark));
    return new FixedSource(backend, hid, registry, key, kid, { reason, warnings });
  }

  changes(): Promise<string> {
    return Promise.resolve(`1 ${this.#clients?.fingerprint() ?? ""}`);
  }

  async ring(): Promise<KeyRing> {
    const clients = await this.#clients?.read() ?? new Map();
    using transport = secret(deriveTransport(notClosed(this.#key)));
    return new KeyRing({
      hid: this.hid,
      gen: 1,
      keys: [{ kid: this.kid, transport, active: true, createdMs: 0 }],
      clients,
      graceMs: 0,
      now: () => new Date(),
    });
  }

  clients(): ClientRegistry {
    if (this.#registry) return this.#registry;
    throw new SecLlamaError(
      "key-refused",
      "clients cannot be paired under a key that is in memory only",
      { hint: "use the key store, or name another source: see secllama help keys" },
    );
  }

  async auditKeys(kid = this.kid): Promise<AuditKeys> {
    using key = await onlyKey(this.kid, this.#key, kid);
    return await auditKeysFrom(kid, key);
  }

  storage(): StorageKeys {
    return new StorageKeys({
      current: () => Promise.resolve({ gen: 1, active: this.kid }),
      masterKey: (kid) => onlyKey(this.kid, this.#key, kid),
    });
  }

  [Symbol.dispose](): void {
    wipe(this.#key);
  }
}

/** @throws {SecLlamaError} `key-corrupt` if this machine has seen a later generation. */
function refuseOlder(gen: number, mark: HighWaterMark): void {
  if (gen >= mark.height.gen) return;
  throw new SecLlamaError(
    "key-corrupt",
    `the keys are of generation ${gen}, this machine has used generation ${mark.height.gen}: ` +
      "they were put back from earlier",
    {
      hint: "put the newer ones back; or, to go on with these on purpose, remove " +
        `${mark.path}: what was rotated away or revoked since then is accepted again`,
    },
  );
}

/** What the user should know about the list of clients, and about the mark. */
async function whatIsWrong(
  registry: ClientRegistry,
  mark: HighWaterMark | undefined,
): Promise<string[]> {
  const warnings: string[] = [];
  try {
    // Where there never was one, no store is asked for it.
    if (registry.fingerprint() !== "" || (mark?.height.rev ?? 0) > 0) await registry.read();
  } catch (error) {
    if (!(error instanceof SecLlamaError) || error.code !== "key-corrupt") throw error;
    warnings.push(`no paired client is let in: ${error.message}; ${error.hint ?? ""}`);
  }
  if (mark?.failure !== undefined) warnings.push(mark.failure);
  return warnings;
}

function onlyKey(kid: string, key: Bytes, wanted: string): Promise<Secret> {
  if (wanted === kid) return Promise.resolve(secret(notClosed(key).slice()));
  return Promise.reject(new SecLlamaError("key-lost", `there is no key ${wanted}`));
}

function notClosed(key: Bytes): Bytes {
  if (key.every((byte) => byte === 0)) throw new Error("the key source is closed");
  return key;
}

/** The keyset in a store, its PSKs kept for one generation so that a keyring that locks later stops nothing. */
class StoreSource implements KeySource {
  readonly ephemeral = false;
  readonly backend: Backend;
  readonly #manager: KeyManager;
  readonly #clients: LiveClients;
  readonly #graceMs: number;
  readonly #atStart: KeySource["active"];
  #cached: { gen: number; keys: RingKey[] } | undefined;

  private constructor(
    manager: KeyManager,
    atStart: KeySource["active"],
    readonly hid: Bytes,
    clientGraceMs: number,
    readonly initialised: boolean,
    readonly describe: string,
    readonly warnings: readonly string[],
  ) {
    this.#manager = manager;
    this.#atStart = atStart;
    this.#graceMs = clientGraceMs;
    this.#clients = new LiveClients(manager.clients());
    this.backend = manager.store.backend;
  }

  static async make(
    manager: KeyManager,
    { dataDir, stateDir, initialised, maxAgeDays, clientGraceMs }:
      & Pick<KeySourceOptions, "dataDir" | "stateDir" | "maxAgeDays" | "clientGraceMs">
      & { initialised: boolean },
  ): Promise<StoreSource> {
    const warnings = await checkAccess(dataDir, "the data folder");
    const manifest = await manager.verifiedManifest();
    const kid = manifest.active;
    const hid = await ensureHostId(manager.file, () => manager.clients().hostId());
    // The system's own stores repeat generation and revision themselves.
    if (manager.store.backend === "file" && stateDir !== undefined) {
      manager.mark = await HighWaterMark.open(stateDir, hid);
      refuseOlder(manifest.gen, manager.mark);
      await manager.mark.raise({ gen: manifest.gen });
    }
    warnings.push(
      ...manager.store.warnings ?? [],
      ...await whatIsWrong(manager.clients(), manager.mark),
    );
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
      { kid, createdMs: Date.parse(manifest.keys[kid]!.created) },
      hid,
      clientGraceMs ?? DEFAULT_CLIENT_GRACE_MS,
      initialised,
      `key ${kid} in ${where}`,
      warnings,
    );
  }

  get active(): KeySource["active"] {
    const { kid, createdMs } = this.#cached?.keys.find((key) => key.active) ?? this.#atStart;
    return { kid, createdMs };
  }

  async changes(): Promise<string> {
    const now = this.#manager.now().getTime();
    const inGrace = (this.#cached?.keys ?? []).filter(({ retiredMs }) =>
      retiredMs !== undefined && now < retiredMs + this.#graceMs
    );
    return `${await this.#manager.generation()} ${this.#clients.fingerprint()} ${inGrace.length}`;
  }

  async ring(): Promise<KeyRing> {
    const clients = await this.#clients.read();
    await this.#refresh();
    // From here on nothing is awaited: a load by another call zeroes these keys, which the ring copies.
    const { gen, keys } = this.#cached!;
    return new KeyRing({
      hid: this.hid,
      gen,
      keys,
      clients,
      graceMs: this.#graceMs,
      now: this.#manager.now,
    });
  }

  clients(): ClientRegistry {
    return this.#manager.clients();
  }

  async #refresh(): Promise<void> {
    const gen = await this.#manager.generation();
    if (this.#cached !== undefined && gen < this.#cached.gen) {
      throw corruptManifest(
        `is of generation ${gen}, this process has seen ${this.#cached.gen}: it was put back from earlier`,
      );
    }
    if (this.#cached?.gen === gen) return;
    const loaded = await this.#load();
    this[Symbol.dispose]();
    this.#cached = loaded;
    await this.#manager.mark?.raise({ gen: loaded.gen });
  }

  auditKeys(kid?: string): Promise<AuditKeys> {
    return this.#manager.auditKeys(kid);
  }

  storage(): StorageKeys {
    return this.#manager.storage();
  }

  [Symbol.dispose](): void {
    for (const { transport } of this.#cached?.keys ?? []) wipe(transport);
    this.#cached = undefined;
  }

  async #load(): Promise<{ gen: number; keys: RingKey[] }> {
    const manifest = await this.#manager.verifiedManifest();
    const keys: RingKey[] = [];
    try {
      for (const kid of liveKids(manifest)) {
        const { state, created, retired, compromised } = manifest.keys[kid]!;
        if (compromised) continue;
        using key = await readKey(this.#manager.store, kid);
        keys.push({
          kid,
          transport: deriveTransport(key),
          active: state === "active",
          createdMs: Date.parse(created),
          ...(retired === null ? {} : { retiredMs: Date.parse(retired) }),
        });
      }
    } catch (error) {
      for (const { transport } of keys) wipe(transport);
      throw error;
    }
    return { gen: manifest.gen, keys };
  }
}
