/**
 * The list of paired clients as a file: `clients.json` in the data folder, signed under a master key, changed under the keyset's lock
 * and replaced as a whole. The key store's item `clients` holds the revision; it is written after the file, so it may be one behind
 * after a crash, and never ahead: a list that is older than it was put back from earlier.
 */
import { join } from "node:path";
import { type Bytes, fromHex, toHex, utf8, utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { type Secret, wipe } from "../../secret.ts";
import type { HighWaterMark } from "../high_water.ts";
import { makeHostId, readHostId } from "../host_id.ts";
import {
  fileFingerprint,
  ioError,
  type ManifestFile,
  writeFileAtomically,
} from "../keyset/manifest_file.ts";
import type { KeyStore } from "../stores/store.ts";
import {
  CLIENT_LIST_CAP_BYTES,
  type ClientList,
  corruptList,
  EMPTY_LIST,
  type PairedClient,
  parseClientList,
  serialiseClientList,
  verifyClientList,
} from "./client_list.ts";
import type { Role } from "./role.ts";

/** The store's item that says how far the list has moved on. */
export const REVISION = "clients";
/** Revoked clients that the list still shows, the latest. Without a limit it would one day be too long to be read. */
const MAX_REVOKED = 1_000;

/** The master keys behind a list, and the store that keeps its revision; a fixed key has no store. */
export interface ClientKeys {
  /** The active key and its id. The key is for the caller's `using`. */
  active(): Promise<{ kid: string; key: Secret }>;
  /** A key that is not destroyed. For the caller's `using`. @throws {SecLlamaError} If there is none such. */
  masterKey(kid: string): Promise<Secret>;
  /** Keeps the revision. */
  readonly store?: KeyStore;
  /** What this machine has seen of the list, where no store of the system's says it. */
  readonly mark?: HighWaterMark;
}

/** The list, as far as it is a file. What a change means is the registry's (registry.ts). */
export class ClientListFile {
  readonly #file: ManifestFile;
  readonly #path: string;
  readonly #keys: ClientKeys;

  /** Nothing is read yet. */
  constructor(file: ManifestFile, keys: ClientKeys) {
    this.#file = file;
    this.#path = join(file.dataDir, "clients.json");
    this.#keys = keys;
  }

  /** What changes whenever the list is replaced; empty if there is none. Cheap: one look at one file, and synchronous. */
  fingerprint(): string {
    return fileFingerprint(this.#path);
  }

  /**
   * The verified list.
   * @param options `atLeast` is a revision that the caller has seen; without it the store's is asked for.
   * @throws {SecLlamaError} `key-corrupt` if it was edited, put back or removed, or is another host's; `key-io`; what the
   * store throws.
   */
  async read(options: { atLeast?: number } = {}): Promise<ClientList> {
    const seen = this.#keys.mark?.height.rev ?? 0;
    const least = Math.max(options.atLeast ?? await this.#storedRevision(), seen);
    const bytes = await this.#bytes();
    if (bytes === undefined) {
      if (least > 0) throw corruptList("is missing");
      return EMPTY_LIST;
    }
    const signed = parseClientList(bytes);
    if (signed.list.rev < least) throw corruptList("was put back from earlier");
    const hid = await readHostId(this.#file.dataDir);
    if (hid !== undefined && toHex(hid) !== signed.list.hid) {
      throw corruptList("is of a host with another id than host.json has");
    }
    using key = await this.#keys.masterKey(signed.signer).catch((cause) => {
      if (cause instanceof SecLlamaError && ["not-found", "key-lost"].includes(cause.code)) {
        throw corruptList(`is signed by the key ${signed.signer}, which is not there`, cause);
      }
      throw cause;
    });
    await verifyClientList(signed, key);
    await this.#keys.mark?.raise({ rev: signed.list.rev });
    return signed.list;
  }

  /** Begins an empty list, whatever was there: no client is accepted any more. Returns its revision. */
  async reset(): Promise<number> {
    return await this.#file.withLock(async () => {
      let rev = Math.max(await this.#storedRevision(), this.#keys.mark?.height.rev ?? 0);
      try {
        const bytes = await this.#bytes();
        if (bytes !== undefined) rev = Math.max(rev, parseClientList(bytes).list.rev);
      } catch (error) {
        if (!(error instanceof SecLlamaError) || error.code !== "key-corrupt") throw error;
      }
      await this.#write({ rev: rev + 1, clients: [] });
      return rev + 1;
    });
  }

  /** Signs the list anew under the active key, so that the older one can be destroyed. The caller holds the lock. */
  async resignLocked(): Promise<void> {
    const bytes = await this.#bytes();
    if (bytes === undefined) return;
    const { signer } = parseClientList(bytes);
    const { kid, key } = await this.#keys.active();
    wipe(key);
    if (signer === kid) return;
    const list = await this.read();
    await this.#write({ ...list, rev: list.rev + 1 });
  }

  /** Runs `change` under the lock; undefined changes nothing. */
  change<T>(
    change: (list: ClientList, active: string) =>
      | { clients: readonly PairedClient[]; roles?: readonly Role[]; result: T }
      | undefined,
  ): Promise<T> {
    return this.#file.withLock(async () => {
      const list = await this.read();
      const { kid, key } = await this.#keys.active();
      wipe(key);
      const changed = change(list, kid);
      if (changed === undefined) return undefined as T;
      const roles = changed.roles ?? list.roles;
      await this.#write({
        rev: list.rev + 1,
        clients: changed.clients,
        ...(roles === undefined ? {} : { roles }),
      });
      return changed.result;
    });
  }

  /** The caller holds the lock. */
  async #write({ rev, clients, roles }: Omit<ClientList, "hid">): Promise<void> {
    const gone = clients.filter((c) => c.revoked !== null)
      .sort((a, b) => a.revoked! < b.revoked! ? -1 : 1).slice(0, -MAX_REVOKED);
    const past = new Set(gone);
    const hid = toHex(await readHostId(this.#file.dataDir) ?? await this.#lostHostId());
    const list = {
      rev,
      hid,
      clients: clients.filter((c) => !past.has(c)),
      ...(roles?.length ? { roles } : {}),
    };
    const { kid, key } = await this.#keys.active();
    using _wiped = key;
    await writeFileAtomically(this.#path, await serialiseClientList(list, kid, key));
    await this.#keys.mark?.raise({ rev: list.rev });
    try {
      await this.#keys.store?.put(REVISION, utf8(`sl1c:${list.rev}`));
    } catch {
      // Written all the same. The revision is one behind, which every reader accepts and the next change completes.
    }
  }

  /** The host's id where host.json is not there: what the list says, else a new one. The caller holds the lock. */
  async #lostHostId(): Promise<Bytes> {
    return await makeHostId(this.#file.dataDir, await this.hostId());
  }

  /** The id that the clients know this host by; undefined if there is no list that verifies. */
  async hostId(): Promise<Bytes | undefined> {
    try {
      const { hid } = await this.read();
      return hid === "" ? undefined : fromHex(hid);
    } catch (error) {
      if (error instanceof SecLlamaError && error.code === "key-corrupt") return undefined;
      throw error;
    }
  }

  async #storedRevision(): Promise<number> {
    const value = await this.#keys.store?.get(REVISION);
    if (value === undefined || value.length === 0) return 0; // empty: cut off by a kill, see readHead
    const match = /^sl1c:([1-9]\d{0,14})\s*$/.exec(utf8Decode(value));
    if (!match) throw corruptList("has a damaged revision in the key store");
    return Number(match[1]);
  }

  async #bytes(): Promise<Uint8Array | undefined> {
    try {
      const { size } = await Deno.stat(this.#path);
      if (size > CLIENT_LIST_CAP_BYTES) throw corruptList("is over 64 MiB");
      return await Deno.readFile(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw ioError("read", this.#path, error);
    }
  }
}
