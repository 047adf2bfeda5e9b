/** The keys of a host of a fleet: its own, and beside them the fleet's clients. */
import { type Bytes, fromBase64Url } from "../bytes.ts";
import { DEFAULT_ROLE, hasExpired, type KeyRing, type Role, ROLE_AMOUNTS } from "../keys/mod.ts";
import { attest } from "../sealed/key_document.ts";
import { deriveProofKey, deriveRunnerPsk } from "../sealed/psk.ts";
import type { BundleHead } from "./bundle.ts";
import type { ClientTable, TableKey } from "./client_table.ts";

/** What a key ring can do. */
export type Ring = Pick<KeyRing, keyof KeyRing>;

/** Before the names of the issuer's roles: a host has roles of its own. No role of a host can be called so. */
const ISSUERS = "fleet/";

/** What of the fleet's a ring shows. */
interface RingPart {
  /** Grows with each change. */
  readonly at: number;
  readonly head: BundleHead;
  readonly table: ClientTable;
}

/** Copies no client: a change of one costs what one costs. */
export class FleetRing implements Ring {
  readonly #own: KeyRing;
  readonly #fleet: RingPart | undefined;
  readonly #now: () => number;
  /** Undefined: one that lets nobody in. */
  readonly #roles: ReadonlyMap<string, Role | undefined>;
  readonly gen: number;

  constructor(own: KeyRing, fleet: RingPart | undefined, now: () => number) {
    this.#own = own;
    this.#fleet = fleet;
    this.#now = now;
    const { roles = [], closed = [] } = fleet?.head ?? {};
    this.#roles = new Map([
      ...roles.map((role) => [ISSUERS + role.name, role] as const),
      ...closed.map((name) => [ISSUERS + name, undefined] as const),
    ]);
    // What a runner was given is given again when it differs.
    this.gen = own.gen * 2 ** 24 + (fleet?.at ?? 0) % 2 ** 24;
  }

  get hid(): Bytes {
    return this.#own.hid;
  }
  get activeKid(): string {
    return this.#own.activeKid;
  }
  get holders(): number {
    return this.#own.holders + (this.#fleet?.table.size ?? 0);
  }
  has(pskId: string): boolean {
    return this.#key(pskId) !== undefined || this.#own.has(pskId);
  }
  hasClient(id: string): boolean {
    return this.#client(id) !== undefined || this.#own.hasClient(id);
  }
  clientName(id: string): string | undefined {
    return this.#client(id)?.name ?? this.#own.clientName(id);
  }
  /** Of the fleet's: as far as this host knows it. Its role is the issuer's. */
  client(id: string): ReturnType<KeyRing["client"]> {
    const found = this.#client(id);
    if (found === undefined) return this.#own.client(id);
    const { name, expires, role = DEFAULT_ROLE } = found;
    // Where the issuer says nothing of those without a role, this host may.
    const hasRole = found.role !== undefined || this.#roles.has(ISSUERS + role);
    return {
      ...{ id, name, created: "", revoked: null, kid: this.#own.activeKid },
      ...(hasRole && { role: ISSUERS + role }),
      ...(expires !== undefined && { expires }),
    };
  }
  role(name?: string): ReturnType<KeyRing["role"]> {
    return name?.startsWith(ISSUERS) ? this.#roles.get(name) : this.#own.role(name);
  }
  get hasAmounts(): boolean {
    const { roles = [] } = this.#fleet?.head ?? {};
    return this.#own.hasAmounts ||
      roles.some((role) => ROLE_AMOUNTS.some((amount) => role[amount] !== undefined));
  }
  get problem(): KeyRing["problem"] {
    return this.#own.problem;
  }
  may(pskId: string, what: Parameters<KeyRing["may"]>[1]): boolean {
    return this.#key(pskId)?.client.may.includes(what) ?? this.#own.may(pskId, what);
  }
  idsOf(client?: string): string[] {
    const found = client === undefined ? undefined : this.#client(client);
    return found?.keys.map(({ pskId }) => pskId).filter((pskId) => this.has(pskId)) ??
      this.#own.idsOf(client);
  }
  credentials(id?: string): ReturnType<KeyRing["credentials"]> {
    return this.#own.credentials(id);
  }
  hostPskFor(pskId: string, hid: Uint8Array): Bytes | undefined {
    return this.#own.hostPskFor(pskId, hid);
  }
  genOf(pskId: string): number {
    return this.#key(pskId) ? this.#fleet!.head.gen : this.#own.genOf(pskId);
  }
  proofKey(pskId: string): Bytes | undefined {
    const psk = this.#key(pskId)?.psk;
    return psk ? deriveProofKey(psk) : this.#own.proofKey(pskId);
  }
  runnerPsk(pskId: string, rn: Uint8Array): Bytes | undefined {
    const psk = this.#key(pskId)?.psk;
    return psk ? deriveRunnerPsk(psk, rn) : this.#own.runnerPsk(pskId, rn);
  }
  attest(pskId: string, what: Parameters<KeyRing["attest"]>[1]): Bytes | undefined {
    const psk = this.#key(pskId)?.psk;
    return psk ? attest(psk, { ...what, gen: this.genOf(pskId) }) : this.#own.attest(pskId, what);
  }
  newer(pskId: string): string | undefined {
    const key = this.#key(pskId);
    return key ? key.newer?.pskId : this.#own.newer(pskId);
  }
  renewal(pskId: string): Bytes | undefined {
    const key = this.#key(pskId);
    if (key === undefined) return this.#own.renewal(pskId);
    return key.newer && fromBase64Url(key.newer.renewal);
  }
  /** The issuer alone keeps who has shown which key. */
  isUnconfirmed(pskId: string): boolean {
    return this.#key(pskId) === undefined && this.#own.isUnconfirmed(pskId);
  }
  [Symbol.dispose](): void {
    this.#own[Symbol.dispose]();
  }

  #client(id: string) {
    return this.#fleet?.table.client(id);
  }

  /** Of the fleet's, unless its client has had its time. */
  #key(pskId: string): TableKey | undefined {
    const key = this.#fleet?.table.key(pskId);
    return key && hasExpired(key.client, this.#now()) ? undefined : key;
  }
}
