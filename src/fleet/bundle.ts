/**
 * What the issuer has for each host, as records by name: a base of all clients in parts, changes since then, and a head that says
 * which of them count and until when. A change of one client costs each host a record of that client, however many there are.
 */
import { HOST_LABEL } from "../api/runner_name.ts";
import { isPermission, isRoleName, parseRole, type Permission, type Role } from "../keys/mod.ts";
import type { Wish } from "./state.ts";

/** A key that a client may come under. Its host PSK is a secret of the record. */
export interface BundleKey {
  readonly pskId: string;
  /** The newer psk_id that the client should come with, and that key, sealed to the client (base64url). */
  readonly newer?: { readonly pskId: string; readonly renewal: string };
}

/** A client of the fleet. */
export interface BundleClient {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly may: readonly Permission[];
  /** Its role of the issuer's; absent: that of those without. */
  readonly role?: string;
  /** ISO 8601: from then on it may not come, however long the head is good. */
  readonly expires?: string;
  readonly keys: readonly BundleKey[];
}

/** In a base's part or a change: clients as they are now, and ids of those that are gone. The secrets: their keys, in order. */
export interface BundleClients {
  readonly clients: readonly BundleClient[];
  readonly gone?: readonly string[];
}

/** In a head. Its secret: the key of the hosts' reports. */
export interface BundleHead {
  /** How many times the issuer has changed its keys. */
  readonly gen: number;
  /** The host's membership, base64url. */
  readonly member: string;
  /** Unix ms, the issuer's clock: from then on the host serves no client of the fleet. */
  readonly exp: number;
  readonly roles: readonly Role[];
  /** Names of roles that this version does not understand, and which let nobody in: what they say may be what forbids. */
  readonly closed: readonly string[];
  /** How many hosts the fleet has. */
  readonly hosts: number;
  /** What the issuer enrolled this host as; undefined: the issuer's version does not say. */
  readonly label?: string;
  /** Models that this host is asked to pull. */
  readonly pulls: readonly Wish[];
}

/** A head as its issuer said it; undefined: it is none. */
export function parseHead(json: unknown): BundleHead | undefined {
  const { gen, member, exp, roles, hosts, pulls, label } = Object(json) as Record<string, unknown>;
  if (!isCount(gen) || !isCount(exp) || !isCount(hosts) || hosts < 1) return undefined;
  if (typeof member !== "string" || !Array.isArray(roles) || !Array.isArray(pulls)) {
    return undefined;
  }
  const wishes = pulls.map(parseWish).filter((wish) => wish !== undefined);
  if (wishes.length !== pulls.length) return undefined;
  const read: Role[] = [];
  const closed: string[] = [];
  for (const one of roles) {
    const role = parseRole(one);
    const name: unknown = Object(one).name;
    if (role !== undefined) read.push(role);
    else if (typeof name === "string" && isRoleName(name)) closed.push(name);
    else return undefined;
  }
  const isLabel = typeof label === "string" && HOST_LABEL.test(label);
  return {
    ...{ gen, member, exp, roles: read, closed, hosts, pulls: wishes },
    ...(isLabel && { label }),
  };
}

/**
 * Clients as their issuer said them; undefined: they are none, or of a version with other fields' types. What this version does not
 * know, it does not grant: of `may` that goes.
 */
export function parseClients(json: unknown): BundleClients | undefined {
  const { clients, gone = [] } = Object(json) as Record<string, unknown>;
  if (!Array.isArray(clients) || !isTexts(gone)) return undefined;
  const read = clients.map(parseClient).filter((client) => client !== undefined);
  const ids = read.flatMap(({ keys }) => keys.map(({ pskId }) => pskId));
  const isOnce = new Set(ids).size === ids.length;
  return read.length === clients.length && isOnce ? { clients: read, gone } : undefined;
}

function parseClient(json: unknown): BundleClient | undefined {
  const { id, name, may, role, expires, keys } = Object(json) as Record<string, unknown>;
  if (typeof id !== "string" || typeof name !== "string" || !isTexts(may)) return undefined;
  if (role !== undefined && !(typeof role === "string" && isRoleName(role))) return undefined;
  // A date that is none would be compared as if it never came.
  if (expires !== undefined && !isTime(expires)) return undefined;
  const read = Array.isArray(keys) ? keys.map(parseKey).filter((key) => key !== undefined) : [];
  if (!Array.isArray(keys) || read.length !== keys.length) return undefined;
  return {
    ...{ id, name, may: may.filter(isPermission), keys: read },
    ...(role === undefined ? {} : { role }),
    ...(expires === undefined ? {} : { expires }),
  };
}

function parseKey(json: unknown): BundleKey | undefined {
  const { pskId, newer } = Object(json) as Record<string, unknown>;
  if (typeof pskId !== "string") return undefined;
  if (newer === undefined) return { pskId };
  const { pskId: next, renewal } = Object(newer) as Record<string, unknown>;
  if (typeof next !== "string" || typeof renewal !== "string") return undefined;
  return { pskId, newer: { pskId: next, renewal } };
}

function isTime(value: unknown): value is string {
  return typeof value === "string" && !Number.isNaN(Date.parse(value));
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function parseWish(json: unknown): Wish | undefined {
  const { model, at } = Object(json) as Record<string, unknown>;
  return typeof model === "string" && isCount(at) ? { model, at } : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Of what the fleet's clients used at a host. A client is always in the same one. */
export const USAGE_PARTS = 64;

/** Names of records in a store. */
export const RECORDS = {
  head: (hid: string) => `bundle.${hid}.head`,
  base: (hid: string, base: number, part: number) => `bundle.${hid}.base.${base}.${part}`,
  change: (hid: string, base: number, at: number) => `bundle.${hid}.change.${base}.${at}`,
  /** All hosts'. */
  bundles: "bundle.",
  isHead: (name: string) => /^bundle\.[0-9a-f]{32}\.head$/.test(name),
  /** All of one host's. */
  of: (hid: string) => `bundle.${hid}.`,
  /** What a host says of itself; it alone may write it. */
  report: (hid: string) => `report.${hid}`,
  reports: "report.",
  /** What the fleet's clients used at a host, in {@link USAGE_PARTS} parts; it alone may write them. */
  usage: (hid: string, part: number) => `usage.${hid}.${part}`,
  usageOf: (hid: string) => `usage.${hid}.`,
  usages: "usage.",
} as const;
