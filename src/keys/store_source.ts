/** A key source over the keyset in a store. */
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { wipe } from "../secret.ts";
import { deriveTransport } from "../sealed/psk.ts";
import { clientListWarnings } from "./client_list_warnings.ts";
import { LiveClients } from "./clients/live_clients.ts";
import type { ClientRegistry } from "./clients/registry.ts";
import { HighWaterMark } from "./high_water.ts";
import { ensureHostId } from "./host_id.ts";
import { KeyRing, type RingKey } from "./key_ring.ts";
import type { AuditKeys, KeySource } from "./key_source.ts";
import { liveKids, readKey } from "./keyset/keyset.ts";
import type { KeyManager } from "./keyset/manager.ts";
import { corruptManifest } from "./keyset/manifest.ts";
import { rotationReminder } from "./keyset/reminder.ts";
import { recordUse, usageOfNewer } from "./keyset/usage.ts";
import type { StorageKeys } from "./keyset/wrap.ts";
import { checkAccess } from "./stores/access.ts";
import { type Backend, BACKEND_NAMES } from "./stores/store.ts";

/** How long a paired client is accepted under a key that was rotated away, unless told otherwise. */
const DEFAULT_CLIENT_GRACE_MS = 30 * 86_400_000;

interface StoreSourceOptions {
  readonly dataDir: string;
  readonly stateDir?: string | undefined;
  readonly maxAgeDays?: number;
  readonly clientGraceMs?: number;
  /** Whether its first key was made just now. */
  readonly initialised: boolean;
}

/** The keyset in a store, its PSKs kept for one generation so that a keyring that locks later stops nothing. */
export class StoreSource implements KeySource {
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
    { dataDir, stateDir, initialised, maxAgeDays, clientGraceMs }: StoreSourceOptions,
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
      ...await clientListWarnings(manager.clients(), manager.mark),
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
    const newer = await usageOfNewer(dataDir);
    if (newer !== undefined) warnings.push(`${newer}: the use of keys is not counted`);
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
    return `${await this.#generation()} ${this.#clients.fingerprint()} ${inGrace.length}`;
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
      roles: this.#clients.roles,
      problem: this.#clients.problem,
      graceMs: this.#graceMs,
      now: this.#manager.now,
    });
  }

  clients(): ClientRegistry {
    return this.#manager.clients();
  }

  /** That of the keyset on the disk. @throws {SecLlamaError} `key-corrupt` for none, or an earlier one than was seen. */
  async #generation(): Promise<number> {
    const gen = await this.#manager.generation();
    const seen = this.#cached?.gen ?? 0;
    if (gen >= seen) return gen;
    throw corruptManifest(
      gen === 0
        ? "is not there any more"
        : `is of generation ${gen}, this process has seen ${seen}: it was put back from earlier`,
    );
  }

  async #refresh(): Promise<void> {
    const gen = await this.#generation();
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
