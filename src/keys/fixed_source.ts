/** A key source of one key: from outside the store, or made in memory. */
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { type Secret, secret, wipe } from "../secret.ts";
import { deriveTransport } from "../sealed/psk.ts";
import { auditKeysFrom } from "./audit_keys.ts";
import { LiveClients } from "./clients/live_clients.ts";
import { ClientRegistry } from "./clients/registry.ts";
import { clientListWarnings } from "./client_list_warnings.ts";
import { HighWaterMark } from "./high_water.ts";
import { ensureHostId } from "./host_id.ts";
import { KeyRing } from "./key_ring.ts";
import type { AuditKeys, KeySource } from "./key_source.ts";
import { kidOf } from "./keyset/kid.ts";
import { ManifestFile } from "./keyset/manifest_file.ts";
import { StorageKeys } from "./keyset/wrap.ts";
import { checkAccess } from "./stores/access.ts";
import { type Backend, BACKEND_NAMES } from "./stores/store.ts";

/** One key from outside the store, or made in memory. */
export class FixedSource implements KeySource {
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
    { dataDir, stateDir }: { dataDir: string; stateDir?: string | undefined },
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
    warnings.push(...await clientListWarnings(registry, mark));
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
      roles: this.#clients === undefined ? new Map() : this.#clients.roles,
      problem: this.#clients?.problem,
      graceMs: 0,
      now: () => new Date(),
    });
  }

  clients(): ClientRegistry {
    if (this.#registry) return this.#registry;
    throw new SecLlamaError(
      "key-refused",
      "clients cannot be paired under a key that is in memory only",
      { hint: HINTS.otherKeySource },
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

function onlyKey(kid: string, key: Bytes, wanted: string): Promise<Secret> {
  if (wanted === kid) return Promise.resolve(secret(notClosed(key).slice()));
  return Promise.reject(new SecLlamaError("key-lost", `there is no key ${wanted}`));
}

function notClosed(key: Bytes): Bytes {
  if (key.every((byte) => byte === 0)) throw new Error("the key source is closed");
  return key;
}
