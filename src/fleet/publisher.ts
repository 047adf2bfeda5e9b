/** Writes what each host is to have into a store: all clients once, then what changes. */
import { type Bytes, concat, fromBase64Url, fromHex, toBase64Url } from "../bytes.ts";
import type { PairedClient } from "../keys/mod.ts";
import { memberMessage } from "../sealed/member.ts";
import { randomBytes } from "../sealed/primitives.ts";
import { secret, wipe } from "../secret.ts";
import { type BundleClient, type BundleClients, type BundleHead, RECORDS } from "./bundle.ts";
import { asIssuer, type IssuerKeys, issuerPin, signer, WISH_MS } from "./issuer.ts";
import { newestPublished, olderFolder, publishedFor } from "./published.ts";
import { type Clear, type Contents, sealRecord, type Sign } from "./record.ts";
import { reportKeyOf } from "./report.ts";
import type { FleetHost, FleetState } from "./state.ts";
import type { FleetStore } from "./store.ts";

/** A client's or a host's clock may be behind ours. */
const BEFORE_MS = 60_000;
/** In one record: well below NATS' megabyte, with names of models and renewals. */
const CLIENTS_IN_A_PART = 500;
/** So many changes are one new base: a host that comes anew reads them all. */
const MAX_CHANGES = 256;
/** Hosts that are written to at one time. */
const AT_ONCE = 32;

type IssuerRing = Awaited<ReturnType<IssuerKeys["ring"]>>;

/** A client as all hosts have it; a newer key is sealed when it is written, each time otherwise. */
type Client = Omit<BundleClient, "keys"> & {
  readonly keys: readonly { readonly pskId: string; readonly newer: string | undefined }[];
};

/** What a host was written. */
interface Written {
  readonly base: number;
  readonly parts: number;
  /** Of its records, 32 bytes. */
  readonly key: Bytes;
  changes: number;
}

/** What one writing has in common for all hosts. */
interface Round {
  readonly ring: IssuerRing;
  readonly rev: number;
  readonly sign: Sign;
  readonly fid: Bytes;
  readonly now: number;
  readonly exp: number;
  readonly clients: ReadonlyMap<string, Client>;
  /** Since the round before. */
  readonly changed: { readonly clients: readonly Client[]; readonly gone: readonly string[] };
  readonly head: Omit<BundleHead, "member" | "pulls" | "closed" | "label">;
  readonly reportKey: Bytes;
}

/** One that goes on remembers what it wrote. One that begins writes each host a new base. */
export class Publisher implements Disposable {
  readonly #state: FleetState;
  readonly #keys: IssuerKeys;
  readonly #store: FleetStore;
  readonly #seal: typeof sealRecord;
  readonly #written = new Map<string, Written>();
  /** Hosts that were taken out, and were told. */
  readonly #removed = new Set<string>();
  /** By id, what of a client the hosts have. */
  #shown = new Map<string, string>();
  /** The number that this one gave last. */
  #rev: number | undefined;

  /** @param seal Another one only where sealing is measured. */
  constructor(state: FleetState, keys: IssuerKeys, store: FleetStore, seal = sealRecord) {
    this.#state = state;
    this.#keys = keys;
    this.#store = store;
    this.#seal = seal;
  }

  /**
   * Brings the store up to date, good for `lifeMs` from `now` (unix ms) on. Hosts that were taken out are told so.
   * @param o.isRestored The folder may be older than what is in the store: its administrator has said so.
   * @throws {SecLlamaError} `key-refused` if this is no issuer, or its folder is older than what was published;
   * `fleet-unreachable`: what could not be written is written anew the next time.
   */
  async publish({ now, lifeMs, isRestored = false, onTaken }: {
    now: number;
    lifeMs: number;
    isRestored?: boolean;
    /** Called once keys, clients and hosts are read, while nobody can change them. */
    onTaken?: () => Promise<void>;
  }): Promise<readonly FleetHost[]> {
    return await this.#state.publishing(async () => {
      if (!isRestored) await this.#compare();
      const { there, rev, ring: keys, clients, roles } = await this.#begin(now, onTaken);
      using seed = secret(there.seed);
      using ring = keys;
      const { sign } = await signer(seed);
      // Another process has published since, and removed what this one wrote: all is written anew.
      if (there.rev !== this.#rev) this.#forgetAll();
      this.#rev = rev;
      const live = clientsOf(ring, clients);
      const shown = new Map([...live].map(([id, client]) => [id, JSON.stringify(client)]));
      const gone = there.hosts.filter(({ removed }) => removed !== null);
      const hosts = there.hosts.filter(({ removed }) => removed === null);
      using reportKey = secret(reportKeyOf(seed, gone.length));
      const exp = now + lifeMs;
      const round: Round = {
        ...{ ring, rev, sign, now, exp, reportKey },
        fid: this.#keys.hid,
        clients: live,
        changed: {
          clients: [...live.values()].filter(({ id }) => this.#shown.get(id) !== shown.get(id)),
          gone: [...this.#shown.keys()].filter((id) => !live.has(id)),
        },
        head: { gen: ring.gen, exp, roles: roles ?? [], hosts: hosts.length },
      };
      const queue = hosts.values();
      const failed: unknown[] = [];
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, hosts.length) }, async () => {
        for (const host of queue) {
          await this.#write(host, round).catch((error) => {
            // Who knows what it has now: it begins anew.
            this.#forget(host.hid);
            failed.push(error);
          });
        }
      }));
      this.#shown = shown;
      const back = new Set(hosts.map(({ hid }) => hid));
      for (const hid of back) this.#removed.delete(hid);
      // One that was taken out twice has the key of the last time.
      for (const host of gone.toReversed()) {
        if (back.has(host.hid) || this.#removed.has(host.hid)) continue;
        await this.#takeOut(host, round);
        this.#removed.add(host.hid);
      }
      if (failed.length > 0) throw failed[0];
      return hosts;
    });
  }

  [Symbol.dispose](): void {
    this.#forgetAll();
  }

  /**
   * Looks at what is published: at all of it the first time, then at one host's, since another one may write there, or what was
   * there may be lost.
   */
  async #compare(): Promise<void> {
    const { seed, rev } = await asIssuer(this.#state);
    wipe(seed);
    const pin = (await issuerPin(this.#state, this.#keys.hid))!;
    const written = [...this.#written.keys()];
    const hid = written[Math.floor(Math.random() * written.length)];
    const newest = hid === undefined
      ? await newestPublished(this.#store, pin)
      : await publishedFor(this.#store, hid, pin);
    if (newest > rev) throw olderFolder();
    // What was written last is not there any more: nor is, for all we know, what others were written.
    if (hid !== undefined && newest !== this.#rev) {
      this.#forgetAll();
      this.#removed.clear();
    }
  }

  /** What is to be written. The keyset's lock ends before the store is asked for anything: commands wait for it. */
  async #begin(now: number, onTaken: () => Promise<void> = async () => {}) {
    return await this.#state.locked(async () => {
      const there = await asIssuer(this.#state);
      try {
        const ring = await this.#keys.ring();
        const { clients, roles } = await this.#keys.clients().read();
        await onTaken();
        // The time too, so that an issuer whose folder is put back from a backup is not older than what hosts have seen.
        const rev = Math.max(there.rev + 1, Math.floor(now / 1_000));
        // Before anything goes out: a number is never given twice.
        await this.#state.write({ ...there, rev });
        return { there, rev, ring, clients, roles };
      } catch (error) {
        wipe(there.seed);
        throw error;
      }
    });
  }

  #forgetAll(): void {
    for (const hid of [...this.#written.keys()]) this.#forget(hid);
  }

  #forget(hid: string): void {
    wipe(this.#written.get(hid)?.key);
    this.#written.delete(hid);
  }

  async #write(host: FleetHost, round: Round): Promise<void> {
    const { hid } = host;
    const { changed, rev } = round;
    const before = this.#written.get(hid);
    const count = changed.clients.length + changed.gone.length;
    const isMuch = count > CLIENTS_IN_A_PART ||
      before !== undefined && before.changes >= MAX_CHANGES;
    let written = before;
    if (written === undefined || isMuch) {
      written = await this.#base(host, round);
      this.#forget(hid);
      this.#written.set(hid, written);
    } else if (count > 0) {
      const at = written.changes + 1;
      const contents = contentsOf(round, changed.clients, hid, changed.gone);
      await this.#put(RECORDS.change(hid, written.base, at), {
        ...{ clear: { kind: "change", hid, base: written.base, at }, contents, round },
        to: { key: written.key },
      });
      written.changes = at;
    }
    const { base, parts, changes, key } = written;
    const times = { hid: fromHex(hid), nbf: round.now - BEFORE_MS, exp: round.exp };
    const pulls = (host.pulls ?? []).filter(({ at }) => at > round.now - WISH_MS);
    const message = memberMessage(round.fid, times);
    const word = message.slice(message.length - 48);
    const member = toBase64Url(concat(word, await round.sign(message)));
    await this.#put(RECORDS.head(hid), {
      clear: { kind: "head", hid, base, at: rev, parts, changes },
      contents: {
        json: { ...round.head, member, pulls, label: host.label },
        secrets: [new Uint8Array(round.reportKey)],
      },
      ...{ round, to: { key } },
    });
    // Only now is nothing led to them.
    if (before !== undefined && before.base !== base) await this.#removeBase(hid, before);
    if (before === undefined) await this.#removeOlder(hid, base);
  }

  /** The last that it is given: nobody is its client, and its time is over. One that is honest stops when it hears it. */
  async #takeOut(host: FleetHost, round: Round): Promise<void> {
    const { hid } = host;
    this.#forget(hid);
    const { base, parts, key } = await this.#base(host, { ...round, clients: new Map() });
    using _wiped = secret(key);
    const over = { exp: 0, roles: [], hosts: Math.max(1, round.head.hosts), member: "", pulls: [] };
    await this.#put(RECORDS.head(hid), {
      clear: { kind: "head", hid, base, at: round.rev, parts, changes: 0 },
      contents: { json: { ...round.head, ...over }, secrets: [randomBytes(32)] },
      ...{ round, to: { key } },
    });
    await this.#removeOlder(hid, base);
    for (const name of await this.#store.list(RECORDS.usageOf(hid))) await this.#store.remove(name);
    await this.#store.remove(RECORDS.report(hid));
  }

  async #base({ hid, pk }: FleetHost, round: Round): Promise<Written> {
    const key = randomBytes(32);
    const all = [...round.clients.values()];
    const base = round.rev;
    const parts = Math.max(1, Math.ceil(all.length / CLIENTS_IN_A_PART));
    for (let at = 0; at < parts; at++) {
      const some = all.slice(at * CLIENTS_IN_A_PART, (at + 1) * CLIENTS_IN_A_PART);
      const { json, secrets } = contentsOf(round, some, hid);
      const contents = { json, secrets: at === 0 ? [key.slice(), ...secrets] : secrets };
      await this.#put(RECORDS.base(hid, base, at), {
        ...{ clear: { kind: "base", hid, base, at }, contents, round },
        to: at === 0 ? { pk: fromBase64Url(pk) } : { key },
      });
    }
    return { base, parts, key, changes: 0 };
  }

  async #put(name: string, { clear, contents, round, to }: {
    clear: Clear;
    contents: Contents;
    round: Round;
    to: { pk: Uint8Array } | { key: Uint8Array };
  }): Promise<void> {
    try {
      const { fid, sign } = round;
      await this.#store.put(name, await this.#seal(clear, contents, { fid, to, sign }));
    } finally {
      wipe(...contents.secrets);
    }
  }

  async #removeBase(hid: string, { base, parts, changes }: Written): Promise<void> {
    for (let at = 0; at < parts; at++) await this.#store.remove(RECORDS.base(hid, base, at));
    for (let at = 1; at <= changes; at++) await this.#store.remove(RECORDS.change(hid, base, at));
  }

  /** What an earlier process left. */
  async #removeOlder(hid: string, base: number): Promise<void> {
    for (const name of await this.#store.list(RECORDS.of(hid))) {
      const [, number] = /\.(?:base|change)\.(\d+)\.\d+$/.exec(name) ?? [];
      if (number !== undefined && Number(number) < base) await this.#store.remove(name);
    }
  }
}

function clientsOf(
  ring: IssuerRing,
  clients: readonly PairedClient[],
): ReadonlyMap<string, Client> {
  return new Map(
    clients.filter(({ revoked }) => revoked === null).map(({ id, name, may, role, expires }) => [
      id,
      {
        ...{ id, name, may: may ?? [] },
        ...(role !== undefined && { role }),
        ...(expires !== undefined && { expires }),
        keys: ring.idsOf(id).map((pskId) => ({ pskId, newer: ring.newer(pskId) })),
      },
    ]),
  );
}

function contentsOf(
  { ring }: Round,
  clients: readonly Client[],
  hid: string,
  gone: readonly string[] = [],
): Contents {
  const host = fromHex(hid);
  const json: BundleClients = {
    clients: clients.map((client) => ({
      ...client,
      keys: client.keys.map(({ pskId, newer }) => {
        const renewal = newer === undefined ? undefined : ring.renewal(pskId);
        return {
          pskId,
          ...(newer !== undefined && renewal !== undefined &&
            { newer: { pskId: newer, renewal: toBase64Url(renewal) } }),
        };
      }),
    })),
    ...(gone.length > 0 && { gone }),
  };
  return {
    json,
    secrets: clients.flatMap(({ keys }) => keys.map(({ pskId }) => ring.hostPskFor(pskId, host)!)),
  };
}
