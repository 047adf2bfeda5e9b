/**
 * A host of a fleet: the keys of this machine, and beside them those of the fleet's clients, as the newest file of the issuer has
 * them. When that file's time is over they are gone: a host that hears nothing serves its own machine only.
 */
import { type Bytes, fromBase64Url } from "../bytes.ts";
import { type ErrorCode, SecLlamaError, toSecLlamaError } from "../errors.ts";
import {
  type ClientSource,
  hasExpired,
  type KeyFacts,
  type KeyRing,
  type RingSource,
} from "../keys/mod.ts";
import { attest } from "../sealed/key_document.ts";
import type { FleetPin } from "../sealed/member.ts";
import { deriveProofKey, deriveRunnerPsk } from "../sealed/psk.ts";
import { type Secret, secret, wipe } from "../secret.ts";
import {
  type Bundle,
  type BundleClient,
  type BundleKey,
  bundleKeys,
  encodeEnrolment,
  openBundle,
} from "./bundle.ts";
import type { FleetState, HostState } from "./state.ts";

type Ring = Pick<KeyRing, keyof KeyRing>;
type HostKeys = RingSource & ClientSource & Pick<KeyFacts, "hid">;

/** What says nothing of the file: this machine's keys could not be had just then. */
const PASSING: readonly ErrorCode[] = [
  "key-cancelled",
  "key-io",
  "key-lock-busy",
  "key-locked",
  "key-store-unavailable",
];

/** Makes a host of this machine, and the line that the issuer enrols it by. @throws {SecLlamaError} `key-refused`. */
export async function joinFleet(
  state: FleetState,
  { pin, label, hid }: { pin: FleetPin; label: string; hid: Bytes },
): Promise<string> {
  return await state.locked(async () => {
    const there = await state.read();
    if (there?.role === "issuer") {
      wipe(there.seed);
      throw new SecLlamaError("key-refused", "this machine is the issuer of a fleet", {
        hint: "run this on the host that is to join",
      });
    }
    using seed = secret(there?.seed ?? crypto.getRandomValues(new Uint8Array(32)));
    await state.write({ role: "host", seed, pin, rev: there?.rev ?? 0 });
    return encodeEnrolment({ label, hid, pk: (await bundleKeys(seed)).pk });
  });
}

/** The fleet's part of a host's keys. */
export class FleetMember {
  readonly #state: FleetState;
  readonly #path: string;
  readonly #keys: HostKeys;
  readonly #now: () => number;
  readonly #onRefused: (error: SecLlamaError) => void;
  #seen = "";
  /** Grows when the file could not be looked at; what it says is then unknown, and it is looked at again. */
  #missed = 0;
  /** The file that was last told of as refused: once is enough. */
  #told: string | undefined;
  #current: { readonly rev: number; readonly bundle: Bundle } | undefined;

  /** @param options.path The file that `secllama fleet publish` writes for this host. `now` is in unix ms. */
  constructor(
    state: FleetState,
    keys: HostKeys,
    { path, now = Date.now, onRefused = () => {} }: {
      path: string;
      now?: () => number;
      /** Told of a file that is not taken up. */
      onRefused?: (error: SecLlamaError) => void;
    },
  ) {
    this.#state = state;
    this.#path = path;
    this.#keys = keys;
    this.#now = now;
    this.#onRefused = onRefused;
  }

  /** This host's id. */
  get hid(): Bytes {
    return this.#keys.hid;
  }

  /** Its word of the issuer for clients, base64url; undefined: its time is over. */
  get member(): string | undefined {
    return this.isFresh ? this.#current!.bundle.member : undefined;
  }

  /** Whether the newest file is of this time. */
  get isFresh(): boolean {
    return this.#current !== undefined && this.#now() < this.#current.bundle.exp;
  }

  /** See {@link RingSource.changes}. */
  async changes(): Promise<string> {
    const [own, file] = [await this.#keys.changes(), await this.#fingerprint()];
    return `${own} ${file} ${this.isFresh} ${this.#missed}`;
  }

  /** Its own keys and the fleet's. A file that is refused changes nothing: the last good one counts until its end. */
  async ring(): Promise<Ring> {
    const found = await this.#fingerprint();
    if (found !== this.#seen) {
      this.#seen = found;
      await this.read().catch((thrown) => {
        const error = toSecLlamaError(thrown);
        if (this.#told !== found) this.#onRefused(error);
        this.#told = found;
        if (!PASSING.includes(error.code)) return;
        this.#seen = "";
        this.#missed++;
      });
    }
    const own = await this.#keys.ring();
    return new FleetRing(own, this.isFresh ? this.#current : undefined, this.#now);
  }

  /** See {@link ClientSource}. */
  clients(): ReturnType<ClientSource["clients"]> {
    return this.#keys.clients();
  }

  /**
   * Takes the file up.
   * @throws {SecLlamaError} `key-refused` if it is not this host's, not the issuer's, or older than what was seen.
   */
  async read(): Promise<void> {
    await this.#state.locked(async () => {
      const state = await this.#asHost();
      using seed = secret(state.seed);
      const { pair } = await bundleKeys(seed);
      const text = await this.#text();
      const { pin } = state;
      const { rev, bundle } = await openBundle(text, { pin, hid: this.hid, pair });
      if (rev < state.rev) {
        throw new SecLlamaError("key-refused", "the fleet's file is older than what was seen", {
          hint: "bring the newest one from the issuer: secllama fleet publish",
        });
      }
      // At the start it is written as it is: wrapped under the key that is active now.
      if (rev > state.rev || this.#current === undefined) {
        await this.#state.write({ ...state, rev });
      }
      this.#current = { rev, bundle };
    });
  }

  async #asHost(): Promise<HostState> {
    const state = await this.#state.read();
    if (state?.role === "host") return state;
    throw new SecLlamaError("key-refused", "this machine is no host of a fleet", {
      hint: "run: secllama fleet join --label NAME, with the issuer's line on standard input",
    });
  }

  async #text(): Promise<string> {
    try {
      return await Deno.readTextFile(this.#path);
    } catch (cause) {
      throw new SecLlamaError("key-refused", `the fleet's file ${this.#path} cannot be read`, {
        hint: "bring it from the issuer: secllama fleet publish FOLDER",
        cause,
      });
    }
  }

  async #fingerprint(): Promise<string> {
    const info = await Deno.stat(this.#path).catch(() => undefined);
    return info ? `${info.ino} ${info.size} ${info.mtime?.getTime()}` : "";
  }
}

/** A ring with the fleet's clients beside this machine's own. */
class FleetRing implements Ring {
  readonly #own: KeyRing;
  readonly #bundle: Bundle | undefined;
  readonly #now: () => number;
  readonly #keys = new Map<string, BundleKey & { readonly client: BundleClient }>();
  readonly #clients = new Map<string, BundleClient>();
  readonly gen: number;

  constructor(
    own: KeyRing,
    current: { rev: number; bundle: Bundle } | undefined,
    now: () => number,
  ) {
    this.#own = own;
    this.#now = now;
    this.#bundle = current?.bundle;
    // Runners are given keys anew when it differs.
    this.gen = own.gen * 2 ** 24 + (current?.rev ?? 0) % 2 ** 24;
    for (const client of current?.bundle.clients ?? []) {
      this.#clients.set(client.id, client);
      for (const key of client.keys) this.#keys.set(key.pskId, { ...key, client });
    }
  }

  get hid(): Bytes {
    return this.#own.hid;
  }
  get activeKid(): string {
    return this.#own.activeKid;
  }
  get holders(): number {
    return this.#own.holders + this.#clients.size;
  }
  has(pskId: string): boolean {
    return this.#key(pskId) !== undefined || this.#own.has(pskId);
  }
  hasClient(id: string): boolean {
    return this.#clients.has(id) || this.#own.hasClient(id);
  }
  clientName(id: string): string | undefined {
    return this.#clients.get(id)?.name ?? this.#own.clientName(id);
  }
  /** Of the fleet's: as far as this host knows it. Its role is the one of those without. */
  client(id: string): ReturnType<KeyRing["client"]> {
    const found = this.#clients.get(id);
    if (found === undefined) return this.#own.client(id);
    const { name, expires } = found;
    const kid = this.#own.activeKid;
    return { id, name, created: "", revoked: null, kid, ...(expires !== undefined && { expires }) };
  }
  role(name?: string): ReturnType<KeyRing["role"]> {
    return this.#own.role(name);
  }
  may(pskId: string, what: Parameters<KeyRing["may"]>[1]): boolean {
    return this.#key(pskId)?.client.may.includes(what) ?? this.#own.may(pskId, what);
  }
  idsOf(client?: string): string[] {
    const found = client === undefined ? undefined : this.#clients.get(client);
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
    return this.#key(pskId) ? this.#bundle!.gen : this.#own.genOf(pskId);
  }
  proofKey(pskId: string): Bytes | undefined {
    using psk = this.#hostPsk(pskId);
    return psk ? deriveProofKey(psk) : this.#own.proofKey(pskId);
  }
  runnerPsk(pskId: string, rn: Uint8Array): Bytes | undefined {
    using psk = this.#hostPsk(pskId);
    return psk ? deriveRunnerPsk(psk, rn) : this.#own.runnerPsk(pskId, rn);
  }
  attest(pskId: string, what: Parameters<KeyRing["attest"]>[1]): Bytes | undefined {
    using psk = this.#hostPsk(pskId);
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

  /** Of the fleet's, unless its client has had its time. */
  #key(pskId: string): BundleKey & { readonly client: BundleClient } | undefined {
    const key = this.#keys.get(pskId);
    return key && hasExpired(key.client, this.#now()) ? undefined : key;
  }

  #hostPsk(pskId: string): Secret | undefined {
    const key = this.#key(pskId);
    return key && secret(fromBase64Url(key.hostPsk));
  }
}
