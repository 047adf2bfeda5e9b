/**
 * The list of paired clients: ids, names and dates, no secret. A client's pre-shared key is derived from the master key and
 * the id, so the list says who may come and holds nothing that lets anybody in. An HMAC under a subkey of the key that
 * `signer` names covers every field; the revision, repeated in the key store, shows a list that was put back from earlier and
 * would make a revoked client welcome again.
 *
 * Pure: bytes in, bytes out. client_list_file.ts reads and writes it.
 */
import { createHmac } from "node:crypto";
import { type Bytes, equalConstantTime, fromHex, toHex, utf8, utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { refuseNewer } from "../../newer_file.ts";
import { secret } from "../../secret.ts";
import { deriveClientList } from "../derive.ts";
import { isKid } from "../keyset/kid.ts";
import { isRoleName, parseRole, type Role } from "./role.ts";

const CLIENT_LIST_VERSION = 1;
/** Of a list in which somebody has a permission: an older secllama would drop it, and is told that the list is newer. */
const WITH_PERMISSIONS = 2;
/** Of a list with roles, persons or dates on which somebody ends; the same. */
const WITH_ROLES = 3;
/** Some 200,000 clients: a list that is longer was not written by us. */
export const CLIENT_LIST_CAP_BYTES = 67_108_864;

/** What a client may do besides asking models and listing them. */
export type Permission = "stop";
const PERMISSIONS: readonly Permission[] = ["stop"];

/** What a client is: a machine that was paired, or a person who signed in. */
export type ClientKind = "machine" | "person";

/** One machine that was paired with this host, or a person who signed in. */
export interface PairedClient {
  /** 16 random bytes, hex; never reused. */
  readonly id: string;
  /** A label for people; unique among clients that are not revoked. */
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** When it was ended, ISO 8601; null: it may come. */
  readonly revoked: string | null;
  /** The key under which it last showed that it has its pre-shared key: the one it was paired under, or a later one. */
  readonly kid: string;
  /** Absent: nothing more than to ask. */
  readonly may?: readonly Permission[];
  /** Absent: a machine. */
  readonly kind?: ClientKind;
  /** The role whose limits are its own; absent: {@link DEFAULT_ROLE}'s, if there is one. */
  readonly role?: string;
  /** From when on it may not come any more, ISO 8601; absent: it has no end. */
  readonly expires?: string;
  /** Of a person: who it is at the identity provider, 32 hexadecimal digits. */
  readonly subject?: string;
}

/** The machines that were paired with this host, as one revision of the list has them. */
export interface ClientList {
  /** Counts changes from 1; 0 is the empty list that was never written. */
  readonly rev: number;
  /** The id that the clients know this host by, 32 hexadecimal digits; empty for the list that was never written. */
  readonly hid: string;
  /** Revoked ones included, as far as they are still shown. */
  readonly clients: readonly PairedClient[];
  /** By name, each once; absent: there is none. */
  readonly roles?: readonly Role[];
}

interface SignedClientList {
  readonly list: ClientList;
  /** The key whose subkey made the HMAC. */
  readonly signer: string;
  readonly mac: Bytes;
}

export const EMPTY_LIST: ClientList = { rev: 0, hid: "", clients: [] };

function versionOf({ clients, roles }: ClientList): number {
  if (roles?.length || clients.some(({ kind, role, expires }) => kind ?? role ?? expires)) {
    return WITH_ROLES;
  }
  return clients.some(({ may }) => may?.length) ? WITH_PERMISSIONS : CLIENT_LIST_VERSION;
}

function canonical(list: ClientList, signer: string): string {
  const clients = list.clients.map((client) => {
    const { id, name, created, revoked, kid, may, kind, role, expires, subject } = client;
    return {
      id,
      name,
      created,
      revoked,
      kid,
      ...(may?.length ? { may } : {}),
      ...(kind === undefined ? {} : { kind }),
      ...(role === undefined ? {} : { role }),
      ...(expires === undefined ? {} : { expires }),
      ...(subject === undefined ? {} : { subject }),
    };
  });
  const { rev, hid, roles } = list;
  return JSON.stringify({
    v: versionOf(list),
    rev,
    hid,
    signer,
    clients,
    ...(roles?.length ? { roles } : {}),
  });
}

async function macOf(list: ClientList, signer: string, masterKey: Bytes): Promise<Bytes> {
  using key = secret(await deriveClientList(masterKey));
  return new Uint8Array(createHmac("sha256", key).update(canonical(list, signer)).digest());
}

/** The file's content, signed by the master key that `signer` names. */
export async function serialiseClientList(
  list: ClientList,
  signer: string,
  masterKey: Bytes,
): Promise<Bytes> {
  const mac = toHex(await macOf(list, signer, masterKey));
  return utf8(JSON.stringify({ ...JSON.parse(canonical(list, signer)), mac }, null, 2) + "\n");
}

/** @throws {SecLlamaError} `key-corrupt` if the HMAC is not the one that `masterKey` makes. */
export async function verifyClientList(signed: SignedClientList, masterKey: Bytes): Promise<void> {
  if (!equalConstantTime(await macOf(signed.list, signed.signer, masterKey), signed.mac)) {
    throw corruptList("does not match its HMAC: it was edited, or is another host's");
  }
}

/**
 * Parses the file's content; every field is checked, an unknown one refused, the HMAC not looked at.
 * @throws {SecLlamaError} `key-corrupt` naming the first thing that is wrong.
 */
export function parseClientList(bytes: Uint8Array): SignedClientList {
  let value: unknown;
  try {
    value = JSON.parse(utf8Decode(bytes));
  } catch (cause) {
    throw corruptList("is not complete JSON", cause);
  }
  refuseNewer("clients.json", value, WITH_ROLES);
  const o = record(value, ["v", "rev", "hid", "signer", "clients", "roles", "mac"]);
  const { rev, hid, signer, clients, mac } = o;
  if (![CLIENT_LIST_VERSION, WITH_PERMISSIONS, WITH_ROLES].includes(o["v"] as number)) {
    throw corruptList("has no version");
  }
  if (!Number.isSafeInteger(rev) || (rev as number) < 1) throw corruptList("has a bad rev");
  if (typeof hid !== "string" || !/^[0-9a-f]{32}$/.test(hid)) throw corruptList("has a bad hid");
  if (typeof signer !== "string" || !isKid(signer)) throw corruptList("has a bad signer");
  if (typeof mac !== "string" || !/^[0-9a-f]{64}$/.test(mac)) throw corruptList("has a bad mac");
  if (!Array.isArray(clients)) throw corruptList("has no clients");
  const list: ClientList = {
    rev: rev as number,
    hid,
    clients: clients.map(parseClient),
    ...(o["roles"] === undefined ? {} : { roles: parseRoles(o["roles"]) }),
  };
  if (o["v"] !== versionOf(list)) throw corruptList("has a version that is not its own");
  if (new Set(list.clients.map((c) => c.id)).size !== list.clients.length) {
    throw corruptList("has an id twice");
  }
  return { list, signer, mac: fromHex(mac) };
}

function parseClient(value: unknown): PairedClient {
  const o = record(value, [...CLIENT_FIELDS]);
  const { id, name, created, revoked, kid, may, kind, role, expires, subject } = o;
  if (typeof id !== "string" || !/^[0-9a-f]{32}$/.test(id)) throw corruptList("has a bad id");
  if (typeof name !== "string" || !isClientName(name)) throw corruptList("has a bad name");
  if (!isDate(created) || !(revoked === null || isDate(revoked))) {
    throw corruptList("has a bad date");
  }
  if (typeof kid !== "string" || !isKid(kid)) throw corruptList("has a bad kid");
  if (may !== undefined && !isPermissions(may)) throw corruptList("has a bad permission");
  if (kind !== undefined && kind !== "person") throw corruptList("has a bad kind");
  if (role !== undefined && !(typeof role === "string" && isRoleName(role))) {
    throw corruptList("has a bad role");
  }
  if (expires !== undefined && !isDate(expires)) throw corruptList("has a bad date");
  const isSubject = kind === "person" && typeof subject === "string" &&
    /^[0-9a-f]{32}$/.test(subject);
  if (subject !== undefined && !isSubject) throw corruptList("has a bad subject");
  return {
    id,
    name,
    created,
    revoked,
    kid,
    ...(may === undefined ? {} : { may }),
    ...(kind === undefined ? {} : { kind }),
    ...(role === undefined ? {} : { role }),
    ...(expires === undefined ? {} : { expires }),
    ...(subject === undefined ? {} : { subject: subject as string }),
  };
}

const CLIENT_FIELDS = [
  "id",
  "name",
  "created",
  "revoked",
  "kid",
  "may",
  "kind",
  "role",
  "expires",
  "subject",
] as const;

/** Whether this version knows it. */
export function isPermission(value: unknown): value is Permission {
  return (PERMISSIONS as readonly unknown[]).includes(value);
}

function isPermissions(may: unknown): may is Permission[] {
  return Array.isArray(may) && may.length > 0 && may.every(isPermission);
}

function parseRoles(value: unknown): Role[] {
  const roles = Array.isArray(value) ? value.map(parseRole) : [];
  if (roles.length === 0 || roles.some((role) => role === undefined)) {
    throw corruptList("has a bad role");
  }
  if (new Set(roles.map((role) => role!.name)).size !== roles.length) {
    throw corruptList("has a role twice");
  }
  return roles as Role[];
}

/** Whether the client has had its time. @param nowMs Unix ms. */
export function hasExpired({ expires }: Pick<PairedClient, "expires">, nowMs: number): boolean {
  return expires !== undefined && nowMs >= Date.parse(expires);
}

/** Digits of an id that lists and the audit log show. */
const SHOWN_DIGITS = 8;

/** What an administrator means by a name, an id, or as much of an id as is shown; undefined: none of these, or more than one. */
export function namedBy<One extends { readonly name: string; readonly id: string }>(
  all: readonly One[],
  which: string,
): One | undefined {
  const exact = all.find(({ name }) => name === which) ?? all.find(({ id }) => id === which);
  if (exact !== undefined || which.length < SHOWN_DIGITS) return exact;
  const [found, ...more] = all.filter(({ id }) => id.startsWith(which));
  return more.length === 0 ? found : undefined;
}

/** Whether `text` may name a client: 1 to 64 letters, digits, spaces and `._-`, beginning and ending with no space. */
export function isClientName(text: string): boolean {
  return /^[\p{L}\p{N}](?:[\p{L}\p{N} ._-]{0,62}[\p{L}\p{N}._-])?$/u.test(text);
}

/** `key-corrupt` about the list. */
export function corruptList(what: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("key-corrupt", `clients.json ${what}`, {
    hint: "put the right clients.json back; or drop every client and pair anew: " +
      "secllama clients reset",
    ...(cause === undefined ? {} : { cause }),
  });
}

function record(value: unknown, names: readonly string[]): { [name: string]: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw corruptList("holds no object where one should be");
  }
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) throw corruptList("has a field that is not its own");
  }
  return value as { [name: string]: unknown };
}

function isDate(value: unknown): value is string {
  return typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
}
