/**
 * A host of a fleet: the keys of this machine, and beside them those of the fleet's clients, as the issuer's newest head has them.
 * When its time is over they are overwritten: a host that hears nothing serves its own machine only.
 */
import { type Bytes, toHex } from "../bytes.ts";
import { type ErrorCode, SecLlamaError, toSecLlamaError } from "../errors.ts";
import { ageless } from "../file_stamp.ts";
import type { ClientSource, KeyFacts, RingSource } from "../keys/mod.ts";
import type { FleetPin } from "../sealed/member.ts";
import { secret, wipe } from "../secret.ts";
import { type BundleHead, parseHead, RECORDS } from "./bundle.ts";
import { ClientTable } from "./client_table.ts";
import {
  type BundleKeyPair,
  bundleKeys,
  openTo,
  openUnder,
  refused,
  type SignedRecord,
  verifyRecord,
} from "./record.ts";
import { FleetRing, type Ring } from "./ring.ts";
import type { FleetState, HostState, Wish } from "./state.ts";
import type { RecordSource } from "./store.ts";

type HostKeys = RingSource & ClientSource & Pick<KeyFacts, "hid">;

/** What says nothing of the file: this machine's keys, or the store, could not be had just then. */
const PASSING: readonly ErrorCode[] = [
  "fleet-unreachable",
  "key-cancelled",
  "key-io",
  "key-lock-busy",
  "key-locked",
  "key-store-unavailable",
];

/** Heads that are read one after another, each of which was replaced meanwhile. */
const TRIES = 5;

/** What a host has of the fleet's. */
interface Current {
  /** Of the head. */
  readonly at: number;
  readonly base: number;
  /** Since the base, that were taken up. */
  readonly changes: number;
  /** Of the base's records, 32 bytes. */
  readonly key: Bytes;
  readonly head: BundleHead;
  /** Of the hosts' reports, 32 bytes. */
  readonly reportKey: Bytes;
  readonly table: ClientTable;
}

/** The fleet's part of a host's keys. */
export class FleetMember {
  readonly #state: FleetState;
  readonly #source: RecordSource;
  readonly #keys: HostKeys;
  readonly #now: () => number;
  readonly #onRefused: (error: SecLlamaError) => void;
  #seen: string | undefined;
  /** Grows when it could not be looked at; what it says is then unknown, and it is looked at again. */
  #missed = 0;
  /** The version that was last told of as refused, and not taken up since: once is enough. */
  #told: string | undefined;
  /** Whether this machine's own part could be read last. */
  #isHost = true;
  #current: Current | undefined;
  /** When the head that was last here ended, unix ms; undefined: one is here, or none was. */
  #ended: number | undefined;

  /** @param options.source Of this host's records. `now` is in unix ms. */
  constructor(
    state: FleetState,
    keys: HostKeys,
    { source, now = Date.now, onRefused = () => {} }: {
      source: RecordSource;
      now?: () => number;
      /** Told of what is not taken up. */
      onRefused?: (error: SecLlamaError) => void;
    },
  ) {
    this.#state = state;
    this.#source = source;
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
    return this.isFresh ? this.#current!.head.member : undefined;
  }

  /** Whether the newest head is of this time. */
  get isFresh(): boolean {
    return this.#current !== undefined && this.#now() < this.#current.head.exp;
  }

  /** Which head counts here: grows with each. 0: none. */
  get version(): number {
    return this.#current?.at ?? 0;
  }

  /** How many hosts the fleet has, as far as this one knows. */
  get hosts(): number {
    return this.#current?.head.hosts ?? 1;
  }

  /** What it was enrolled as, as the newest head says; undefined: there is none, or it does not say. */
  get label(): string | undefined {
    return this.#current?.head.label;
  }

  /** Models that it is asked to pull; none once its time is over. */
  get pulls(): readonly Wish[] {
    return this.isFresh ? this.#current!.head.pulls : [];
  }

  /** Whether this client is the fleet's, and so known at other hosts too. @param id 32 hexadecimal digits. */
  hasClient(id: string): boolean {
    return this.#current?.table.client(id) !== undefined;
  }

  /** The key of the hosts' reports, the member's own; undefined: it has no time left. */
  get reportKey(): Bytes | undefined {
    return this.isFresh ? this.#current!.reportKey : undefined;
  }

  /** See {@link RingSource.changes}. */
  async changes(): Promise<string> {
    const [own, found] = [await this.#keys.changes(), await this.#source.version()];
    return `${own} ${found} ${this.isFresh} ${this.#missed}`;
  }

  /** Its own keys and the fleet's. What is refused changes nothing: the last good head counts until its end. */
  async ring(): Promise<Ring> {
    const found = await this.#source.version();
    if (found !== this.#seen || this.#now() < (this.#ended ?? 0)) {
      this.#seen = found;
      await this.read().catch((thrown) => {
        const error = toSecLlamaError(thrown);
        if (this.#told !== ageless(found)) this.#onRefused(error);
        this.#told = ageless(found);
        // This machine's own part may be put right, and what is there is then as good as it was.
        if (this.#isHost && !PASSING.includes(error.code)) return;
        this.#seen = undefined;
        this.#missed++;
      });
    }
    if (this.#current !== undefined && !this.isFresh) {
      // It is not read again each time: only if the clock was set back.
      this.#ended = this.#current.head.exp;
      this.#drop();
    }
    const own = await this.#keys.ring();
    return new FleetRing(own, this.#current, this.#now);
  }

  /** See {@link ClientSource}. */
  clients(): ReturnType<ClientSource["clients"]> {
    return this.#keys.clients();
  }

  /**
   * Takes up what there is.
   * @throws {SecLlamaError} `key-refused` if it is not this host's, not the issuer's, not whole, or older than what was seen;
   * `fleet-silent` if nothing has been written for it yet; `fleet-unreachable`.
   */
  async read(): Promise<void> {
    // All that is asked of the store, outside of the lock: this machine's other commands wait for it.
    const next = await this.#newest();
    try {
      await this.#state.locked(async () => {
        const state = await this.#asHost();
        using _wiped = secret(state.seed);
        if (next.at < state.rev) {
          throw new SecLlamaError("key-refused", "the fleet's file is older than what was seen", {
            hint: "bring the newest one from the issuer: secllama fleet publish",
          });
        }
        // At the start it is written as it is: wrapped under the key that is active now.
        if (next.at > state.rev || this.#current === undefined) {
          const { label = state.label } = next.head;
          await this.#state.write({
            ...state,
            rev: next.at,
            ...(label !== undefined && { label }),
          });
        }
      });
    } catch (error) {
      if (next.table !== this.#current?.table) {
        next.table[Symbol.dispose]();
        wipe(next.key);
      }
      wipe(next.reportKey);
      throw error;
    }
    if (this.#current?.table !== next.table) this.#drop();
    wipe(this.#current?.reportKey);
    this.#current = next;
    this.#ended = undefined;
    this.#told = undefined;
  }

  /** What the head there leads to. While it is read the issuer may write another one, and remove what this one led to. */
  async #newest(): Promise<Current> {
    const name = RECORDS.head(toHex(this.hid));
    let text = await this.#source.get(name);
    for (let tries = 1;; tries++) {
      if (text === undefined) {
        if (!this.#source.mayCome) throw refused("has nothing for this host");
        throw new SecLlamaError("fleet-silent", "the fleet's store has nothing for this host yet", {
          hint:
            "on the issuer, run: secllama fleet hosts, and secllama fleet publish SERVERS --watch",
        });
      }
      try {
        return await this.#open(text);
      } catch (error) {
        const newer = await this.#source.get(name);
        if (newer === undefined || newer === text || tries === TRIES) throw error;
        text = newer;
      }
    }
  }

  async #open(text: string): Promise<Current> {
    const { seed, pin } = await this.#asHost();
    using own = secret(seed);
    const { pair } = await bundleKeys(own);
    return await this.#follow(text, pin, pair);
  }

  /** What a head leads to, from what is here already. */
  async #follow(text: string, pin: FleetPin, pair: BundleKeyPair): Promise<Current> {
    const record = await verifyRecord(text, pin, toHex(this.hid));
    const { kind, base, at, parts = 0, changes = 0 } = record.clear;
    if (kind !== "head") throw refused("has no head");
    const current = this.#current;
    // An older head of this base would have us forget what has been taken away since.
    const goesOn = current?.base === base && changes >= current.changes && at >= current.at;
    const begun = goesOn ? current : { ...await this.#base(pin, pair, base, parts), changes: 0 };
    try {
      const { json, secrets: [reportKey] } = openUnder(begun.key, record);
      // All are opened before the first is taken up: a change that is missing leaves what is here as it was.
      const opened = [];
      for (let i = begun.changes + 1; i <= changes; i++) {
        const name = RECORDS.change(toHex(this.hid), base, i);
        opened.push(
          openUnder(begun.key, await this.#record(name, pin, { kind: "change", base, at: i })),
        );
      }
      const head = parseHead(json);
      if (head === undefined) throw refused("has a head that this version does not understand");
      for (const contents of opened) begun.table.apply(contents);
      return { at, base, changes, key: begun.key, head, reportKey: reportKey!, table: begun.table };
    } catch (error) {
      if (!goesOn) {
        wipe(begun.key);
        begun.table[Symbol.dispose]();
      }
      throw error;
    }
  }

  async #base(
    pin: FleetPin,
    pair: BundleKeyPair,
    base: number,
    parts: number,
  ): Promise<{ key: Bytes; table: ClientTable }> {
    const table = new ClientTable();
    let key: Bytes | undefined;
    try {
      for (let part = 0; part < parts; part++) {
        const name = RECORDS.base(toHex(this.hid), base, part);
        const record = await this.#record(name, pin, { kind: "base", base, at: part });
        if (key === undefined) {
          const { json, secrets } = await openTo(pair, record);
          key = secrets[0]!;
          table.apply({ json, secrets: secrets.slice(1) });
        } else table.apply(openUnder(key, record));
      }
      if (key === undefined) throw refused("is not whole");
      return { key, table };
    } catch (error) {
      wipe(key);
      table[Symbol.dispose]();
      throw error;
    }
  }

  async #record(
    name: string,
    pin: FleetPin,
    { kind, base, at }: { kind: string; base: number; at: number },
  ): Promise<SignedRecord> {
    const text = await this.#source.get(name);
    if (text === undefined) throw refused("is not whole");
    const record = await verifyRecord(text, pin, toHex(this.hid));
    const { clear } = record;
    if (clear.kind !== kind || clear.base !== base || clear.at !== at) throw refused("is mixed up");
    return record;
  }

  #drop(): void {
    if (this.#current === undefined) return;
    const { table, key, reportKey } = this.#current;
    table[Symbol.dispose]();
    wipe(key, reportKey);
    this.#current = undefined;
  }

  async #asHost(): Promise<HostState> {
    this.#isHost = false;
    const state = await this.#state.read();
    this.#isHost = state?.role === "host";
    if (state?.role === "host") return state;
    wipe(state?.seed);
    throw new SecLlamaError("key-refused", "this machine is no host of a fleet", {
      hint: "run: secllama fleet join --label NAME, with the issuer's line on standard input",
    });
  }
}
