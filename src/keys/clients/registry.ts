/**
 * Pairing and revoking clients, and the roles that they have: what each change of the list (client_list_file.ts) means.
 */
import { type Bytes, toHex } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import type { ManifestFile } from "../keyset/manifest_file.ts";
import {
  type ClientKind,
  type ClientList,
  hasExpired,
  isClientName,
  namedBy,
  type PairedClient,
  type Permission,
} from "./client_list.ts";
import { type ClientKeys, ClientListFile } from "./client_list_file.ts";
import { DEFAULT_ROLE, isRoleName, parseRole, type Role } from "./role.ts";

/** Of one person, at a time. */
const MAX_SESSIONS = 10;
/** The list of paired clients: signed under a master key, changed under the keyset's lock. */
export class ClientRegistry {
  readonly #list: ClientListFile;
  readonly #now: () => Date;

  /** Nothing is read yet. */
  constructor(file: ManifestFile, keys: ClientKeys, now: () => Date = () => new Date()) {
    this.#list = new ClientListFile(file, keys);
    this.#now = now;
  }

  /** See {@link ClientListFile.fingerprint}. */
  fingerprint(): string {
    return this.#list.fingerprint();
  }

  /** See {@link ClientListFile.read}. */
  read(options: { atLeast?: number } = {}): Promise<ClientList> {
    return this.#list.read(options);
  }

  /** See {@link ClientListFile.reset}. */
  reset(): Promise<number> {
    return this.#list.reset();
  }

  /** See {@link ClientListFile.resignLocked}. */
  resignLocked(): Promise<void> {
    return this.#list.resignLocked();
  }

  /** See {@link ClientListFile.hostId}. */
  hostId(): Promise<Bytes | undefined> {
    return this.#list.hostId();
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
    return await this.#list.change((list, kid) => {
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
    return await this.#list.change((list, kid) => {
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
      const other = called(list, name);
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
    return await this.#list.change((list) => ({
      clients: list.clients,
      roles: [...(list.roles ?? []).filter(({ name }) => name !== checked.name), checked]
        .sort((a, b) => a.name < b.name ? -1 : 1),
      result: list.roles?.find(({ name }) => name === checked.name),
    }));
  }

  /** Takes a role away. @throws {SecLlamaError} `not-found`, and `key-refused` while a client has it. */
  async removeRole(name: string): Promise<void> {
    await this.#list.change((list) => {
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
    await this.#list.change((list, active) => {
      const moved = (c: PairedClient) =>
        c.revoked === null && c.kid !== active && shown.get(c.id) === active;
      if (!list.clients.some(moved)) return undefined;
      const clients = list.clients.map((c) => moved(c) ? { ...c, kid: active } : c);
      return { clients, result: undefined };
    });
  }

  #edit(
    which: string,
    edit: (client: PairedClient, list: ClientList) => PairedClient,
  ): Promise<PairedClient> {
    return this.#list.change((list) => {
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
}

/** The unrevoked client of this name, or of this id; see {@link namedBy}. */
function find(list: ClientList, which: string): PairedClient | undefined {
  return namedBy(list.clients.filter((c) => c.revoked === null), which);
}

/** The unrevoked client that is called so. */
function called(list: ClientList, name: string): PairedClient | undefined {
  return list.clients.find((c) => c.revoked === null && c.name === name);
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
  const old = called(list, name);
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
