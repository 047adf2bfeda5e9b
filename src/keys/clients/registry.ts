/**
 * Pairing and revoking clients: `clients.json` in the data folder, changed under the keyset's lock and replaced as a whole.
 * The key store's item `clients` holds the revision; it is written after the file, so it may be one behind after a crash,
 * and never ahead: a list that is older than it was put back from earlier.
 */
import { join } from "node:path";
import { type Bytes, fromHex, toHex, utf8, utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { type Secret, wipe } from "../../secret.ts";
import {
  CLIENT_LIST_CAP_BYTES,
  type ClientKind,
  type ClientList,
  corruptList,
  EMPTY_LIST,
  hasExpired,
  isClientName,
  type PairedClient,
  parseClientList,
  type Permission,
  serialiseClientList,
  verifyClientList,
} from "./client_list.ts";
import { DEFAULT_ROLE, isRoleName, parseRole, type Role } from "./role.ts";
import type { HighWaterMark } from "../high_water.ts";
import { makeHostId, readHostId } from "../host_id.ts";
import {
  fileFingerprint,
  ioError,
  type ManifestFile,
  writeFileAtomically,
} from "../keyset/manifest_file.ts";
import type { KeyStore } from "../stores/store.ts";

/** The store's item that says how far the list has moved on. */
export const REVISION = "clients";
/** Of one person, at a time. */
const MAX_SESSIONS = 10;
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

/** The list of paired clients: signed under a master key, changed under the keyset's lock. */
export class ClientRegistry {
  readonly #file: ManifestFile;
  readonly #path: string;
  readonly #keys: ClientKeys;
  readonly #now: () => Date;

  /** Nothing is read yet. */
  constructor(file: ManifestFile, keys: ClientKeys, now: () => Date = () => new Date()) {
    this.#file = file;
    this.#path = join(file.dataDir, "clients.json");
    this.#keys = keys;
    this.#now = now;
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

  /**
   * Whether {@link add} would add a client now.
   * @throws {SecLlamaError} As `add`.
   */
  async checkNew(name: string, options: { replace?: boolean } = {}): Promise<void> {
    checkClientName(name);
    replaced(await this.read(), name, options.replace);
  }

  /**
   * Adds a client under the active key.
   * @param options `replace` ends the client of that name; `may` is what it may do besides asking; the rest as {@link PairedClient}.
   * @throws {SecLlamaError} `usage` for a bad name, `key-refused` if the name is taken.
   */
  async add(
    name: string,
    options: {
      replace?: boolean;
      may?: readonly Permission[];
      kind?: ClientKind;
      role?: string;
      expires?: string;
    } = {},
  ): Promise<PairedClient> {
    checkClientName(name);
    return await this.#change((list, kid) => {
      const old = replaced(list, name, options.replace);
      const time = this.#now().toISOString();
      const client: PairedClient = {
        id: toHex(crypto.getRandomValues(new Uint8Array(16))),
        name,
        created: time,
        revoked: null,
        kid,
        ...(options.may?.length ? { may: options.may } : {}),
        ...(options.kind === "person" ? { kind: options.kind } : {}),
        ...(options.role === undefined ? {} : { role: options.role }),
        ...(options.expires === undefined ? {} : { expires: options.expires }),
      };
      const others = list.clients.map((c) => c === old ? { ...c, revoked: time } : c);
      return { clients: [...others, client], result: client };
    });
  }

  /**
   * Adds a person's session: their name, or the next that is free. Sessions of theirs whose time is over are ended.
   * @throws {SecLlamaError} `not-found` for a role that is not there, `key-refused` if they have ten already.
   */
  async signIn(
    { name, subject, role, expires }: {
      name: string;
      subject: string;
      role: string;
      expires: string;
    },
  ): Promise<PairedClient> {
    checkClientName(name);
    return await this.#change((list, kid) => {
      needRole(list, role);
      const now = this.#now();
      const time = now.toISOString();
      const over = (c: PairedClient) =>
        c.revoked === null && c.subject === subject && hasExpired(c, now.getTime());
      const others = list.clients.map((c) => over(c) ? { ...c, revoked: time } : c);
      const alive = others.filter(({ revoked }) => revoked === null);
      if (alive.filter((c) => c.subject === subject).length >= MAX_SESSIONS) {
        throw new SecLlamaError(
          "key-refused",
          `${name} is signed in ${MAX_SESSIONS} times already`,
          {
            hint: "end one: secllama clients revoke NAME, on the host",
          },
        );
      }
      const taken = new Set(alive.map((c) => c.name));
      let free = name;
      for (let n = 2; taken.has(free); n++) free = `${name} ${n}`;
      const client: PairedClient = {
        id: toHex(crypto.getRandomValues(new Uint8Array(16))),
        name: free,
        created: time,
        revoked: null,
        kid,
        kind: "person",
        role,
        expires,
        subject,
      };
      return { clients: [...others, client], result: client };
    });
  }

  /** Ends a client for good. @throws {SecLlamaError} `not-found`. */
  revoke(which: string): Promise<PairedClient> {
    return this.#edit(which, (client) => ({ ...client, revoked: this.#now().toISOString() }));
  }

  /**
   * Gives a client, by name or id, another name.
   * @throws {SecLlamaError} `not-found`, `usage` for a bad name, `key-refused` if the new name is taken.
   */
  async rename(which: string, name: string): Promise<PairedClient> {
    checkClientName(name);
    return await this.#edit(which, (client, list) => {
      const other = find(list, name);
      if (other !== undefined && other.id !== client.id) {
        throw new SecLlamaError("key-refused", `there is a client named ${name} already`);
      }
      return { ...client, name };
    });
  }

  /**
   * Gives a client a role, or an end; null takes it away.
   * @throws {SecLlamaError} `not-found` if there is no such client, or role.
   */
  assign(
    which: string,
    { role, expires }: { role?: string | null; expires?: string | null },
  ): Promise<PairedClient> {
    return this.#edit(which, (client, list) => {
      if (typeof role === "string") needRole(list, role);
      const { role: oldRole, expires: oldEnd, ...rest } = client;
      const [newRole, newEnd] = [
        role === undefined ? oldRole : role,
        expires === undefined ? oldEnd : expires,
      ];
      return {
        ...rest,
        ...(typeof newRole === "string" ? { role: newRole } : {}),
        ...(typeof newEnd === "string" ? { expires: newEnd } : {}),
      };
    });
  }

  /**
   * Adds a role, or replaces the one of its name, which it returns.
   * @throws {SecLlamaError} `usage` for what is none.
   */
  async setRole(role: Role): Promise<Role | undefined> {
    const checked = parseRole(role);
    if (checked === undefined) {
      throw new SecLlamaError(
        "usage",
        "a role has a name of letters, digits and ._-, patterns of " +
          "model names, and whole numbers from 1 as limits",
      );
    }
    return await this.#change((list) => ({
      clients: list.clients,
      roles: [...(list.roles ?? []).filter(({ name }) => name !== checked.name), checked]
        .sort((a, b) => a.name < b.name ? -1 : 1),
      result: list.roles?.find(({ name }) => name === checked.name),
    }));
  }

  /** Takes a role away. @throws {SecLlamaError} `not-found`, and `key-refused` while a client has it. */
  async removeRole(name: string): Promise<void> {
    await this.#change((list) => {
      needRole(list, name);
      const user = list.clients.find((c) => c.revoked === null && c.role === name);
      if (user !== undefined && name !== DEFAULT_ROLE) {
        throw new SecLlamaError("key-refused", `the client ${user.name} has the role ${name}`, {
          hint: `to give it another: secllama clients set "${user.name}" --role NAME`,
        });
      }
      const roles = list.roles!.filter((role) => role.name !== name);
      return { clients: list.clients, roles, result: undefined };
    });
  }

  /**
   * Notes that clients have shown their keys: client's id → kid, which counts if it is the active key's. One write for all of
   * them. Does nothing for revoked ones.
   */
  async confirm(shown: ReadonlyMap<string, string>): Promise<void> {
    await this.#change((list, active) => {
      const moved = (c: PairedClient) =>
        c.revoked === null && c.kid !== active && shown.get(c.id) === active;
      if (!list.clients.some(moved)) return undefined;
      const clients = list.clients.map((c) => moved(c) ? { ...c, kid: active } : c);
      return { clients, result: undefined };
    });
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

  #edit(
    which: string,
    edit: (client: PairedClient, list: ClientList) => PairedClient,
  ): Promise<PairedClient> {
    return this.#change((list) => {
      const client = find(list, which);
      if (client === undefined) {
        throw new SecLlamaError("not-found", `there is no client named ${which.slice(0, 64)}`, {
          hint: "to see the clients, run: secllama clients list",
        });
      }
      const result = edit(client, list);
      return { clients: list.clients.map((c) => c === client ? result : c), result };
    });
  }

  /** Runs `change` under the lock; undefined changes nothing. */
  #change<T>(
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

/** The unrevoked client of this name, or of this id. */
function find(list: ClientList, which: string): PairedClient | undefined {
  const live = list.clients.filter((c) => c.revoked === null);
  return live.find((c) => c.name === which) ?? live.find((c) => c.id === which);
}

/** @throws {SecLlamaError} `not-found`. */
function needRole({ roles }: ClientList, name: string): void {
  if (isRoleName(name) && roles?.some((role) => role.name === name)) return;
  throw new SecLlamaError("not-found", `there is no role named ${name.slice(0, 64)}`, {
    hint: HINTS.roles,
  });
}

/** The client that a new one of this name would end. @throws {SecLlamaError} `key-refused` if it shall not be. */
function replaced(list: ClientList, name: string, replace = false): PairedClient | undefined {
  const old = find(list, name);
  if (old === undefined || replace) return old;
  throw new SecLlamaError("key-refused", `there is a client named ${name} already`, {
    hint: `to end it and pair it anew, run: secllama pair ${name} --replace --url …`,
  });
}

/** Refuses what cannot be a client's name. @throws {SecLlamaError} `usage`. */
export function checkClientName(name: string): void {
  if (isClientName(name)) return;
  throw new SecLlamaError(
    "usage",
    "a client's name is 1 to 64 letters, digits, spaces and . _ -, beginning with a letter or digit",
  );
}
