/**
 * What the fleet's clients used at each host, so that a limit holds over all of them. Each host writes its own counts, whole and not
 * what was added, in parts by client: a part that is lost or comes twice changes nothing. While a host's counts do not get through,
 * it knows that it does not hear of the others either, and gives its share of each limit only.
 */
import { toHex } from "../bytes.ts";
import type { Elsewhere, OtherCounts, Usage } from "../firm/limiter.ts";
import { sha256 } from "../sealed/primitives.ts";
import { secret } from "../secret.ts";
import { RECORDS, USAGE_PARTS } from "./bundle.ts";
import type { FleetMember } from "./host.ts";
import { openSaid, sealSaid } from "./report.ts";
import type { FleetStore } from "./store.ts";

/** Between writings at least, ms, and for each host of the fleet: none hears of more than 100 a second. */
const [EVERY_MS, EVERY_FOR_EACH_MS] = [500, 10];
/** Counts that have not got through for so much longer than that, ms: nothing gets through. */
const LATE_MS = 500;
/** Of clients in a record that this host does not know (yet): a host that lies fills nobody's memory. */
const MAX_UNKNOWN = 16;
const DAY_MS = 86_400_000;
/** In the limiter's names of whom it counts. */
const CLIENT = "client ";

const ID = /^[0-9a-f]{32}$/;

/** Minute, requests, tokens; day, requests, tokens; under way. */
type Row = readonly [number, number, number, number, number, number, number];

interface UsageOptions {
  readonly member: Pick<FleetMember, "hid" | "reportKey" | "hosts" | "hasClient">;
  /** Undefined while it has not been reached, or where there is none. */
  readonly store: () => FleetStore | undefined;
  /** Whether a host was heard just now, by its id: what is under way at another one is over. */
  readonly isThere: (hid: string) => boolean;
  /** What this host counted before it started, by the limiter's names. */
  readonly kept: () => ReadonlyMap<string, Usage>;
  /** Told once that `kept` throws, until it does not: until then this host says nothing, and what it said before stays. */
  readonly onUnread: (error: unknown) => void;
  /** Unix ms. */
  readonly now?: () => number;
}

/** Of one host: its own counts, out; and those of the others. */
export class FleetUsage implements OtherCounts, Disposable {
  readonly #o: UsageOptions;
  readonly #now: () => number;
  /** By client, in each part. */
  readonly #own: Map<string, Row>[] = Array.from({ length: USAGE_PARTS }, () => new Map());
  #hasBegun = false;
  #toldUnread = false;
  readonly #changed = new Set<number>();
  /** Since when there is something that has not got through. */
  #since: number | undefined;
  /** By client and host. */
  readonly #heard = new Map<string, Map<string, Row>>();
  /** By record, which clients it has. */
  readonly #recorded = new Map<string, readonly string[]>();
  #day = 0;
  #watched: { readonly store: FleetStore; readonly end: () => void } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushing: Promise<void> | undefined;
  #writtenAt = 0;
  #under = "";
  #isEnded = false;

  constructor(options: UsageOptions) {
    this.#o = options;
    this.#now = options.now ?? Date.now;
  }

  /** See {@link OtherCounts.of}. */
  of(client: string, { minute, day }: Usage): Elsewhere | undefined {
    const id = this.#fleets(client);
    if (id === undefined) return undefined;
    const sum = { minute: { requests: 0, tokens: 0 }, day: { requests: 0, tokens: 0 }, open: 0 };
    for (const [hid, row] of this.#heard.get(id) ?? []) {
      if (row[0] === minute.at) add(sum.minute, row[1], row[2]);
      if (row[3] === day.at) add(sum.day, row[4], row[5]);
      if (this.#o.isThere(hid)) sum.open += row[6];
    }
    return { ...sum, sharedBy: this.#isBlind ? Math.max(1, this.#o.member.hosts) : 1 };
  }

  /** See {@link OtherCounts.counted}. */
  counted(client: string, usage: Usage, open: number): void {
    const id = this.#fleets(client);
    if (id === undefined) return;
    const part = partOf(id);
    this.#own[part]!.set(id, rowOf(usage, open));
    this.#changed.add(part);
    this.#since ??= this.#now();
    this.#soon();
  }

  /** Hears from now on. */
  start(): void {
    void this.#flush();
  }

  /** Writes what has changed, once at a time. That the store is away is no error here: this host knows that it hears nothing. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flushOnce().finally(() => this.#flushing = undefined);
    return this.#flushing;
  }

  [Symbol.dispose](): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#watched?.end();
  }

  get #isBlind(): boolean {
    const { store } = this.#o;
    if (store() === undefined) return true;
    return this.#since !== undefined && this.#now() - this.#since > this.#everyMs + LATE_MS;
  }

  get #everyMs(): number {
    return Math.max(EVERY_MS, EVERY_FOR_EACH_MS * this.#o.member.hosts);
  }

  /** Under a new key all is written again, and read again: who was taken out can read none of it. */
  #underKey(name: string): void {
    if (name === this.#under) return;
    this.#under = name;
    this.#own.forEach((rows, part) => rows.size > 0 && this.#changed.add(part));
    this.#watched?.end();
    this.#watched = undefined;
  }

  #fleets(client: string): string | undefined {
    const id = client.startsWith(CLIENT) ? client.slice(CLIENT.length) : "";
    return this.#o.member.hasClient(id) ? id : undefined;
  }

  #soon(): void {
    // While it is written, what comes is looked for at the end.
    if (this.#timer !== undefined || this.#flushing !== undefined || this.#isEnded) return;
    const wait = Math.max(0, this.#writtenAt + this.#everyMs - performance.now());
    this.#timer = setTimeout(() => void this.#flush(), wait);
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  async #flush(): Promise<void> {
    this.#writtenAt = performance.now();
    this.#timer = undefined;
    await this.flush().catch(() => {});
    // Until there is a store to hear from, and all that was counted is told.
    if (this.#watched === undefined || !this.#hasBegun || this.#changed.size > 0) this.#soon();
  }

  async #flushOnce(): Promise<void> {
    const store = this.#o.store();
    // Ours: the member may wipe its own while we wait.
    using key = secret(this.#o.member.reportKey?.slice());
    if (store === undefined || key === undefined || this.#isEnded) return;
    this.#underKey(toHex(sha256(key)));
    await this.#watch(store);
    await this.#begin(store);
    if (this.#isEnded) return;
    const parts = [...this.#changed];
    this.#changed.clear();
    const [begun, since] = [this.#now(), this.#since];
    // At once: one after another they would take so long that this host thinks that it is alone.
    const written = await Promise.allSettled(parts.map(async (part) => {
      await this.#write(store, key, part);
      this.#since = begun;
    }));
    const failed = written.findIndex(({ status }) => status === "rejected");
    if (failed >= 0) {
      parts.forEach((part, i) => written[i]!.status === "rejected" && this.#changed.add(part));
      this.#since = since ?? begun;
      throw (written[failed] as PromiseRejectedResult).reason;
    }
    this.#since = this.#changed.size > 0 ? begun : undefined;
  }

  async #write(store: FleetStore, key: Uint8Array, part: number): Promise<void> {
    const hid = toHex(this.#o.member.hid);
    const name = RECORDS.usage(hid, part);
    const rows = this.#own[part]!;
    const today = Math.max(...[...rows.values()].map((row) => row[3]));
    for (const [id, row] of rows) if (row[3] < today && row[6] === 0) rows.delete(id);
    await store.put(name, sealSaid(`usage ${part}`, Object.fromEntries(rows), key, hid));
  }

  /** What it said before its start it says again: what was under way then is over, and under the key of then nobody can read it. */
  async #begin(store: FleetStore): Promise<void> {
    if (this.#hasBegun) return;
    const before = RECORDS.usageOf(toHex(this.#o.member.hid));
    for (const name of await store.list(before)) {
      const part = Number(name.slice(before.length));
      if (part < USAGE_PARTS) this.#changed.add(part);
    }
    for (const [client, usage] of this.#kept()) {
      const id = this.#fleets(client);
      if (id === undefined || this.#own[partOf(id)]!.has(id)) continue;
      this.#own[partOf(id)]!.set(id, rowOf(usage, 0));
      this.#changed.add(partOf(id));
    }
    this.#hasBegun = true;
  }

  #kept(): ReadonlyMap<string, Usage> {
    try {
      const kept = this.#o.kept();
      this.#toldUnread = false;
      return kept;
    } catch (error) {
      if (!this.#toldUnread) this.#o.onUnread(error);
      this.#toldUnread = true;
      throw error;
    }
  }

  async #watch(store: FleetStore): Promise<void> {
    if (this.#watched?.store === store) return;
    this.#watched?.end();
    const end = await store.watch(RECORDS.usages, (name, text) => this.#hear(name, text));
    if (this.#isEnded) return end();
    this.#watched = { store, end };
  }

  #hear(name: string, text: string | undefined): void {
    const [, hid, digits] = /^usage\.([0-9a-f]{32})\.(0|[1-9]\d?)$/.exec(name) ?? [];
    const part = Number(digits);
    const key = this.#o.member.reportKey;
    if (hid === undefined || hid === toHex(this.#o.member.hid) || !text || !key) return;
    if (!(part < USAGE_PARTS)) return;
    const said = rowsIn(text, { key, hid, part });
    if (said === undefined) return;
    const rows = this.#believed(said);
    this.#forgetOlder();
    for (const id of this.#recorded.get(name) ?? []) {
      const hosts = this.#heard.get(id);
      if (hosts?.delete(hid) && hosts.size === 0) this.#heard.delete(id);
    }
    for (const [id, row] of rows) {
      const hosts = this.#heard.get(id) ?? new Map<string, Row>();
      this.#heard.set(id, hosts.set(hid, row));
    }
    this.#recorded.set(name, rows.map(([id]) => id));
  }

  /** Without what is of a day that no clock of a host can have, and of clients that nobody here has heard of but a few. */
  #believed(rows: readonly [string, Row][]): [string, Row][] {
    const tomorrow = Math.floor(this.#now() / DAY_MS) + 1;
    let unknown = 0;
    return rows.filter(([id, row]) =>
      row[3] <= tomorrow && (this.#o.member.hasClient(id) || ++unknown <= MAX_UNKNOWN)
    );
  }

  /** Once a day. */
  #forgetOlder(): void {
    const today = Math.floor(this.#now() / DAY_MS);
    if (today === this.#day) return;
    this.#day = today;
    for (const [id, hosts] of this.#heard) {
      for (const [hid, row] of hosts) if (row[3] < today && row[6] === 0) hosts.delete(hid);
      if (hosts.size === 0) this.#heard.delete(id);
    }
  }
}

function partOf(id: string): number {
  return parseInt(id.slice(0, 8), 16) % USAGE_PARTS || 0;
}

function add(sum: { requests: number; tokens: number }, requests: number, tokens: number): void {
  sum.requests += requests;
  sum.tokens += tokens;
}

function rowOf({ minute, day }: Usage, open: number): Row {
  return [minute.at, minute.requests, minute.tokens, day.at, day.requests, day.tokens, open];
}

/** What a record says, without what cannot be; undefined: it does not open. */
function rowsIn(
  text: string,
  { key, hid, part }: { key: Uint8Array; hid: string; part: number },
): [string, Row][] | undefined {
  const said = openSaid(`usage ${part}`, text, key, hid);
  if (said === undefined) return undefined;
  return Object.entries(Object(said)).filter((entry): entry is [string, Row] => {
    const row = entry[1];
    return ID.test(entry[0]) && partOf(entry[0]) === part && Array.isArray(row) &&
      row.length === 7 && row.every((n) => Number.isSafeInteger(n) && n >= 0);
  });
}
