/**
 * The pre-shared keys of a host as they are at one time: who may come, under which psk_id, and what the host derives for whom.
 * Nothing is derived before it is asked for, and nothing here looks through the clients: a ring of ten thousand costs a request
 * what a ring of one does.
 */
import { type Bytes, fromHex } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { attest } from "../sealed/key_document.ts";
import {
  clientPskId,
  deriveClientPsk,
  deriveHostPsk,
  deriveLocalPsk,
  deriveProofKey,
  deriveRunnerPsk,
  localPskId,
  parsePskId,
} from "../sealed/psk.ts";
import { sealRenewal } from "../sealed/renewal_sealer.ts";
import { hasExpired, type PairedClient, type Permission } from "./clients/client_list.ts";
import { DEFAULT_ROLE, type Role, ROLE_AMOUNTS } from "./clients/role.ts";
import { type Secret, secret, wipe } from "../secret.ts";

/** A key of the keyset that is not destroyed and was not retired as compromised. */
export interface RingKey {
  /** The key's id. */
  readonly kid: string;
  /** Its transport key, 32 bytes. */
  readonly transport: Bytes;
  /** Whether new exchanges are under it. */
  readonly active: boolean;
  /** When the master key was made, unix ms. */
  readonly createdMs: number;
  /** When it stopped being active, unix ms; undefined for the active key. */
  readonly retiredMs?: number;
}

/** A host's keys and clients at one time. */
export interface KeyRingOptions {
  /** The host's id. */
  readonly hid: Bytes;
  /** How many times the host has changed its keys. */
  readonly gen: number;
  /** The active key first. Copied. */
  readonly keys: readonly RingKey[];
  /** By id, those that are not revoked. */
  readonly clients: ReadonlyMap<string, PairedClient>;
  /** By name; undefined: nobody knows. */
  readonly roles: ReadonlyMap<string, Role> | undefined;
  /** Why the list of clients and roles did not verify just now; undefined: it did. */
  readonly problem?: SecLlamaError | undefined;
  /** How long a client is accepted under a key that was rotated away. */
  readonly graceMs: number;
  /** Says when a grace has ended. */
  readonly now: () => Date;
}

/** What a client of this host is given to use it. */
export interface HostCredentials {
  /** The name that the host knows the key by. */
  readonly pskId: string;
  /** 32 bytes. The caller zeroes it. */
  readonly psk: Bytes;
  /** The host's id, 16 bytes. */
  readonly hid: Bytes;
}

/** What the host's keys allow at one time. It holds copies of them until it is disposed of. */
export class KeyRing implements Disposable {
  /** The host's id, 16 bytes. */
  readonly hid: Bytes;
  /** How many times the host has changed its keys. */
  readonly gen: number;
  readonly #options: KeyRingOptions;
  readonly #keys: ReadonlyMap<string, RingKey>;
  readonly #active: RingKey;

  /** Copies the keys. */
  constructor(options: KeyRingOptions) {
    this.hid = options.hid;
    this.gen = options.gen;
    this.#options = options;
    this.#keys = new Map(
      options.keys.map((key) => [key.kid, { ...key, transport: key.transport.slice() }]),
    );
    this.#active = this.#keys.get(options.keys[0]!.kid)!;
  }

  /** The active key's id. */
  get activeKid(): string {
    return this.#active.kid;
  }

  /** How many may come: this machine's own clients and the paired ones. */
  get holders(): number {
    return 1 + this.#options.clients.size;
  }

  /** Whether somebody may come under this psk_id now. */
  has(pskId: string): boolean {
    return this.#find(pskId) !== undefined;
  }

  /** Whether a client of this id is paired and not revoked. */
  hasClient(id: string): boolean {
    return this.#options.clients.has(id);
  }

  /** The name of a paired client; undefined: there is none of this id. */
  clientName(id: string): string | undefined {
    return this.#options.clients.get(id)?.name;
  }

  /** The paired client of this id. */
  client(id: string): PairedClient | undefined {
    return this.#options.clients.get(id);
  }

  /**
   * The role of this name, or the one for those without; undefined: there is none.
   * @throws {SecLlamaError} `limits-failed` while no list has verified: the role may forbid what is asked.
   */
  role(name: string = DEFAULT_ROLE): Role | undefined {
    const { roles, problem } = this.#options;
    if (roles !== undefined) return roles.get(name);
    throw new SecLlamaError("limits-failed", "which roles there are is not known", {
      hint: HINTS.whyClients,
      cause: problem,
    });
  }

  /** Whether a role sets an amount: what was used of it is then counted. */
  get hasAmounts(): boolean {
    const roles = [...this.#options.roles?.values() ?? []];
    return roles.some((role) => ROLE_AMOUNTS.some((amount) => role[amount] !== undefined));
  }

  /** Why the list of clients and roles did not verify; undefined: it did. */
  get problem(): SecLlamaError | undefined {
    return this.#options.problem;
  }

  /** Whether the holder of this psk_id may do more than ask: this machine's own clients may, paired ones by their terms. */
  may(pskId: string, what: Permission): boolean {
    const named = parsePskId(pskId);
    if (named === undefined) return false;
    if (named.client === undefined) return true;
    return this.#options.clients.get(named.client)?.may?.includes(what) ?? false;
  }

  /** The psk_ids that this client may come under, or this machine's own clients; the active key's first. */
  idsOf(client?: string): string[] {
    return [...this.#keys.keys()]
      .map((kid) => client === undefined ? localPskId(kid) : clientPskId(kid, client))
      .filter((pskId) => this.has(pskId));
  }

  /** What this machine's own clients use, or the paired client `id`; undefined if there is none such. */
  credentials(id?: string): HostCredentials | undefined {
    const { kid } = this.#active;
    const pskId = id === undefined ? localPskId(kid) : clientPskId(kid, id);
    const psk = this.#psk(pskId);
    return psk && { pskId, psk, hid: this.hid.slice() };
  }

  /** The key of the metadata proofs of `pskId`. The caller zeroes it. */
  proofKey(pskId: string): Bytes | undefined {
    using psk = this.#hostPsk(pskId);
    return psk && deriveProofKey(psk);
  }

  /** What another host `hid` of this host's fleet makes of the key of `pskId`. The caller zeroes it. */
  hostPskFor(pskId: string, hid: Uint8Array): Bytes | undefined {
    using psk = this.#psk(pskId);
    return psk && deriveHostPsk(psk, hid);
  }

  /** How many times the keys behind `pskId` were changed. */
  genOf(_pskId: string): number {
    return this.gen;
  }

  /** What `pskId` shares with the start `rn` of a runner of this host. The caller zeroes it. */
  runnerPsk(pskId: string, rn: Uint8Array): Bytes | undefined {
    using psk = this.#hostPsk(pskId);
    return psk && deriveRunnerPsk(psk, rn);
  }

  /** The host's word to `pskId` that the runner of `model` is the start `rn`; see key_document.ts. */
  attest(
    pskId: string,
    what: { rn: Uint8Array; model: string; challenge: Uint8Array },
  ): Bytes | undefined {
    using psk = this.#hostPsk(pskId);
    return psk && attest(psk, { ...what, gen: this.gen });
  }

  /** The psk_id that a client under `pskId` should come with; undefined if it is this one, or there is none. */
  newer(pskId: string): string | undefined {
    const client = parsePskId(pskId)?.client;
    if (client === undefined || !this.has(pskId)) return undefined;
    const newest = clientPskId(this.#active.kid, client);
    return newest === pskId ? undefined : newest;
  }

  /** The newer key of the client under `pskId`, sealed to it under the one it has; undefined if it has the newest. */
  renewal(pskId: string): Bytes | undefined {
    const newer = this.newer(pskId);
    using psk = newer === undefined ? undefined : this.#psk(newer);
    using old = this.#psk(pskId);
    if (newer === undefined || psk === undefined || old === undefined) return undefined;
    return sealRenewal({ pskId: newer, psk, gen: this.gen }, old, this.hid);
  }

  /** Whether `pskId` is a client's newest key, and the list does not know yet that it has it. */
  isUnconfirmed(pskId: string): boolean {
    const named = parsePskId(pskId);
    const client = named?.client && this.#options.clients.get(named.client);
    return !!client && named.kid === this.#active.kid && client.kid !== named.kid;
  }

  /** Zeroes its keys. */
  [Symbol.dispose](): void {
    for (const { transport } of this.#keys.values()) wipe(transport);
  }

  #find(pskId: string): { key: RingKey; client: string | undefined } | undefined {
    const named = parsePskId(pskId);
    const key = named && this.#keys.get(named.kid);
    if (key === undefined) return undefined;
    if (named!.client === undefined) return { key, client: undefined };
    const client = this.#options.clients.get(named!.client);
    if (client === undefined || !this.#inGrace(key)) return undefined;
    if (hasExpired(client, this.#options.now().getTime())) return undefined;
    // What came before the key that it has shown is of no use to it any more, only to a thief.
    const shown = this.#keys.get(client.kid);
    const superseded = shown === undefined || key.createdMs < shown.createdMs;
    return superseded && !key.active ? undefined : { key, client: client.id };
  }

  #inGrace({ active, retiredMs }: RingKey): boolean {
    if (active) return true;
    const { graceMs, now } = this.#options;
    return retiredMs !== undefined && now().getTime() < retiredMs + graceMs;
  }

  #psk(pskId: string): Secret | undefined {
    const found = this.#find(pskId);
    if (found === undefined) return undefined;
    const { key: { transport }, client } = found;
    return secret(
      client === undefined
        ? deriveLocalPsk(transport)
        : deriveClientPsk(transport, fromHex(client)),
    );
  }

  #hostPsk(pskId: string): Secret | undefined {
    using psk = this.#psk(pskId);
    return psk && secret(deriveHostPsk(psk, this.hid));
  }
}
