/**
 * What a machine of a fleet keeps in its data folder, `fleet.json`: as the issuer its signing key and the hosts, as a host its own
 * key and whose word counts. Secrets, and what decides whom to believe, are wrapped under the keyset's storage key: who can write
 * the folder can put an older file back, and can make none.
 */
import { join } from "node:path";
import { HOST_LABEL } from "../api/runner_name.ts";
import { type Bytes, concat, fromBase64Url, toBase64Url, toHex, u64, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { refuseNewer } from "../newer_file.ts";
import { ioError, type ManifestFile, type StorageKeys, writeFileAtomically } from "../keys/mod.ts";
import type { FleetPin } from "../sealed/member.ts";
import { sha256 } from "../sealed/primitives.ts";
import { secret } from "../secret.ts";

const FILE = "fleet.json";
const ISSUER = "fleet issuer";
const HOST = "fleet host";
const HEADS = "fleet heads";
/** Of the hosts' audit logs, on the issuer. */
const HEADS_FILE = "fleet-heads.json";
const SEED_BYTES = 32;
/** Held by the process that publishes. */
const LOCK_FILE = "fleet.lock";
const [LOCK_MS, LOCK_POLL_MS] = [10_000, 20];

/** A host as its issuer knows it. */
export interface FleetHost {
  readonly label: string;
  /** 32 hexadecimal digits. */
  readonly hid: string;
  /** base64url; its records are sealed to it. */
  readonly pk: string;
  /** base64url; heads of its audit log are signed by it, or by one that it vouches for. */
  readonly audit: string;
  /** The public key by which NATS knows it, `U…`. */
  readonly nats: string;
  /** ISO 8601. */
  readonly added: string;
  /** ISO 8601; null: it belongs to the fleet. */
  readonly removed: string | null;
  /** Models that it is asked to pull; absent: none. */
  readonly pulls?: readonly Wish[];
}

/** A model that a host is asked to pull. It does so only where its own settings say so. */
export interface Wish {
  /** `registry.example/me/model`, with a tag or a digest if wanted. */
  readonly model: string;
  /** Unix ms, the issuer's clock: a host does each wish once. */
  readonly at: number;
}

/** A signed head of a host's audit log, as the issuer keeps it. */
export interface KeptHead {
  /** The log's id, hexadecimal. */
  readonly log: string;
  /** The key that signed it. */
  readonly kid: string;
  /** Lines that it counts. */
  readonly size: number;
  /** Unix ms, the issuer's clock: when it came. */
  readonly at: number;
  /** The COSE_Sign1, base64url. */
  readonly cose: string;
  /** It was shown to go on from the one before it of its log and key, which it stands for. */
  readonly follows?: true;
}

/** By host, 32 hexadecimal digits. */
export type KeptHeads = { readonly [hid: string]: readonly KeptHead[] };

/** The issuer's. */
export interface IssuerState {
  readonly role: "issuer";
  /** Ed25519, 32 bytes. The caller wipes it. */
  readonly seed: Bytes;
  /** Grows with each time that records are written. */
  readonly rev: number;
  readonly hosts: readonly FleetHost[];
}

/** A host's. */
export interface HostState {
  readonly role: "host";
  /** Of its key pair for records, 32 bytes. The caller wipes it. */
  readonly seed: Bytes;
  readonly pin: FleetPin;
  /** Of the newest head that was seen; 0: none. */
  readonly rev: number;
  /** What it asked to be enrolled as, and nobody's word; undefined: an earlier version joined. */
  readonly label?: string;
}

/** The state in a data folder. */
export class FleetState {
  readonly #file: ManifestFile;
  readonly #storage: Pick<StorageKeys, "wrap" | "unwrap">;
  readonly path: string;
  readonly #lock: string;
  readonly #heads: string;

  constructor(file: ManifestFile, storage: Pick<StorageKeys, "wrap" | "unwrap">) {
    this.#file = file;
    this.#storage = storage;
    this.path = join(file.dataDir, FILE);
    this.#lock = join(file.dataDir, LOCK_FILE);
    this.#heads = join(file.dataDir, HEADS_FILE);
  }

  /** @throws {SecLlamaError} `key-corrupt` if it was changed, `decrypt-failed` under another keyset. */
  async read(): Promise<IssuerState | HostState | undefined> {
    let text: string;
    try {
      text = await Deno.readTextFile(this.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw ioError("read", this.path, error);
    }
    let fields: Record<string, unknown>;
    try {
      fields = Object(JSON.parse(text));
    } catch {
      throw corrupt(this.path);
    }
    refuseNewer(this.path, fields, 1);
    const { v, role, hosts, key, label } = fields;
    if (v !== 1 || typeof key !== "string" || role !== "issuer" && role !== "host") {
      throw corrupt(this.path);
    }
    const wrapped = decoded(key);
    if (wrapped === undefined) throw corrupt(this.path);
    using opened = secret(
      await this.#storage.unwrap(wrapped, role === "issuer" ? ISSUER : HOST).catch((error) => {
        throw foreign(this.path, error);
      }),
    );
    const seed = opened.slice(0, SEED_BYTES);
    const rest = opened.slice(SEED_BYTES);
    const rev = Number(new DataView(rest.buffer).getBigUint64(0));
    if (role === "host") {
      const pin = { fid: rest.slice(8, 24), issuer: rest.slice(24) };
      const isLabel = typeof label === "string" && HOST_LABEL.test(label);
      return { role, seed, rev, pin, ...(isLabel && { label }) };
    }
    if (toHex(rest.slice(8)) !== toHex(sha256(utf8(String(hosts))))) throw corrupt(this.path);
    return { role, seed, rev, hosts: JSON.parse(String(hosts)) };
  }

  /** Replaces it. The caller holds the lock, see {@link change}. */
  async write(state: IssuerState | HostState): Promise<void> {
    const { role } = state;
    const hosts = role === "issuer" ? JSON.stringify(state.hosts) : undefined;
    const bound = role === "issuer"
      ? [sha256(utf8(hosts!))]
      : [new Uint8Array(state.pin.fid), new Uint8Array(state.pin.issuer)];
    using plain = secret(concat(state.seed, u64(state.rev), ...bound));
    const wrapped = await this.#storage.wrap(plain, role === "issuer" ? ISSUER : HOST);
    const key = toBase64Url(wrapped);
    const label = role === "host" ? state.label : undefined;
    const text = JSON.stringify({
      ...{ v: 1, role, key },
      ...(hosts !== undefined && { hosts }),
      ...(label !== undefined && { label }),
    });
    await writeFileAtomically(this.path, utf8(text + "\n"));
  }

  /** The heads that an issuer keeps. @throws {SecLlamaError} `key-corrupt` if they were changed. */
  async readHeads(): Promise<KeptHeads> {
    let text: string;
    try {
      text = await Deno.readTextFile(this.#heads);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return {};
      throw ioError("read", this.#heads, error);
    }
    try {
      const value = JSON.parse(text);
      refuseNewer(this.#heads, value, 1);
      const { v, heads, key } = value;
      const sum = await this.#storage.unwrap(fromBase64Url(String(key)), HEADS);
      if (v === 1 && toHex(sum) === toHex(sha256(utf8(String(heads))))) return JSON.parse(heads);
    } catch (error) {
      // A key store that is locked or gone says so itself: nothing is wrong with the file.
      if (error instanceof SecLlamaError && error.code !== "decrypt-failed") throw error;
    }
    throw corrupt(this.#heads);
  }

  /** Replaces them. Their hash is wrapped: nobody without the key takes one away. The caller holds the lock. */
  async writeHeads(all: KeptHeads): Promise<void> {
    const heads = JSON.stringify(all);
    const key = toBase64Url(await this.#storage.wrap(sha256(utf8(heads)), HEADS));
    await writeFileAtomically(this.#heads, utf8(JSON.stringify({ v: 1, heads, key }) + "\n"));
  }

  /** Runs `work` while nobody else changes the folder. Nothing that waits for another machine: all commands wait for this. */
  locked<T>(work: () => Promise<T>): Promise<T> {
    return this.#file.withLock(work);
  }

  /**
   * Runs `work` while no other process of this machine publishes; keys and clients may change meanwhile.
   * @throws {SecLlamaError} `key-lock-busy` if another one does for 10 s, `key-io`.
   */
  async publishing<T>(work: () => Promise<T>): Promise<T> {
    using file = await Deno.open(this.#lock, { create: true, write: true, mode: 0o600 })
      .catch((error) => {
        throw ioError("open", this.#lock, error);
      });
    const deadline = performance.now() + LOCK_MS;
    while (!await file.tryLock(true)) {
      if (performance.now() >= deadline) {
        throw new SecLlamaError("key-lock-busy", "another secllama fleet publish is at it", {
          hint: "one with --watch is enough; end the other one, or wait for it",
        });
      }
      await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
    }
    return await work();
  }
}

function decoded(text: string): Bytes | undefined {
  try {
    return fromBase64Url(text);
  } catch {
    return undefined;
  }
}

const PUT_BACK = "put it back from a backup; or remove it, and set the fleet up anew";

function corrupt(path: string): SecLlamaError {
  return new SecLlamaError("key-corrupt", `${path} is damaged or was changed`, { hint: PUT_BACK });
}

/** What is said of a file that does not open; any other error as it is. */
function foreign(path: string, cause: unknown): unknown {
  if (!(cause instanceof SecLlamaError) || cause.code !== "decrypt-failed") return cause;
  return new SecLlamaError(cause.code, `${path} does not open under this machine's keys`, {
    hint: PUT_BACK,
    cause,
  });
}
