/** A host's reports, out and in: it says what it has, and knows what the others said. */
import { runnerName } from "../api/runner_name.ts";
import { toHex } from "../bytes.ts";
import type { FleetMember } from "./host.ts";
import { RECORDS } from "./bundle.ts";
import { type Candidate, placeFor } from "./placement.ts";
import { type HostReport, openReport, sealReport } from "./report.ts";
import { secret } from "../secret.ts";
import type { FleetStore } from "./store.ts";

/** Between reports at least, ms. */
const BEAT_MS = 2_000;
/** For each host of the fleet, ms: none hears of more than 50 reports a second, however many hosts there are. */
const BEAT_FOR_EACH_MS = 20;
/** A host of which nothing was heard for so many beats is not there. */
const MISSED = 3;
/** How far a clock may have been ahead and still be made up for. */
const DAY_MS = 86_400_000;

interface HeartbeatOptions {
  readonly member: Pick<FleetMember, "hid" | "reportKey" | "version">;
  /** Undefined while it has not been reached. */
  readonly store: () => FleetStore | undefined;
  /**
   * What this host says now.
   * @param before What the store has of it, the first time: of before this process.
   */
  readonly look: (before: HostReport | undefined) => Promise<Omit<HostReport, "at" | "head">>;
  /** Unix ms. */
  readonly now?: () => number;
}

/** Of one host. */
export class Heartbeat implements Disposable {
  readonly #o: HeartbeatOptions;
  readonly #now: () => number;
  readonly #heard = new Map<string, { readonly report: HostReport; readonly atMs: number }>();
  #own: HostReport | undefined;
  #watched: { readonly store: FleetStore; readonly end: () => void } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isEnded = false;

  constructor(options: HeartbeatOptions) {
    this.#o = options;
    this.#now = options.now ?? Date.now;
  }

  /** Reports from now on. */
  start(): void {
    void this.beat().finally(() => this.#again());
  }

  /** Reports once. That the store is away is no error: nobody hears, and this host is not there for the others. */
  async beat(): Promise<void> {
    try {
      const { store: there, member } = this.#o;
      const store = there();
      // Ours: the member may wipe its own while we wait.
      using key = secret(member.reportKey?.slice());
      if (store === undefined) return;
      await this.#watch(store);
      const hid = toHex(member.hid);
      const stored = this.#own || key === undefined
        ? undefined
        : await store.get(RECORDS.report(hid));
      const before = stored && openReport(stored, key!, hid);
      const report = {
        ...await this.#o.look(before || undefined),
        ...{ at: this.#next(before || undefined), head: member.version },
      };
      this.#own = report;
      if (key === undefined) return;
      await store.put(RECORDS.report(hid), sealReport(report, key, hid));
    } catch { /* The next one may go out. */ }
  }

  /** After what it said last, which others go by: also where its clock went back. @param before Of before this process. */
  #next(before: HostReport | undefined): number {
    const now = this.#now();
    const last = (this.#own ?? before)?.at ?? 0;
    return last - now < DAY_MS ? Math.max(now, last + 1) : now;
  }

  /** Whether another host is there. @param hid 32 hexadecimal digits. */
  isThere(hid: string): boolean {
    // What came much later than now came by a clock that went back: the next report is soon.
    const since = Math.abs(this.#now() - (this.#heard.get(hid)?.atMs ?? 0));
    return since <= MISSED * this.#beatMs;
  }

  /** The other hosts that are there. */
  others(): Candidate[] {
    return [...this.#heard].filter(([hid]) => this.isThere(hid))
      .map(([hid, { report }]) => ({ hid, report }));
  }

  /**
   * Where a client's model should be asked for, `<label>.<hid>`, of a host without a label its id alone; undefined: nobody else
   * that is there has it.
   * @param o.without A host that was not reached, 32 hexadecimal digits. `here`: whether this host may be it.
   */
  place(o: { client: string; model: string; without?: string; here: boolean }): string | undefined {
    const own = toHex(this.#o.member.hid);
    const others = this.others().filter(({ hid }) => hid !== o.without);
    const us = o.here && this.#own !== undefined ? [{ hid: own, report: this.#own }] : [];
    const found = placeFor([...us, ...others], o);
    return found && runnerName(found.hid, found.report.label);
  }

  [Symbol.dispose](): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#watched?.end();
  }

  get #beatMs(): number {
    return Math.max(BEAT_MS, BEAT_FOR_EACH_MS * this.#heard.size);
  }

  #again(): void {
    if (this.#isEnded) return;
    this.#timer = setTimeout(() => void this.beat().finally(() => this.#again()), this.#beatMs);
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  async #watch(store: FleetStore): Promise<void> {
    if (this.#watched?.store === store) return;
    this.#watched?.end();
    const end = await store.watch(RECORDS.reports, (name, text) => this.#hear(name, text));
    this.#watched = { store, end };
  }

  #hear(name: string, text: string | undefined): void {
    const hid = name.slice(RECORDS.reports.length);
    if (hid === toHex(this.#o.member.hid)) return;
    const key = this.#o.member.reportKey;
    if (text === undefined) return void this.#heard.delete(hid);
    const report = key && openReport(text, key, hid);
    // An older one is shown by whoever keeps them, and says nothing of now.
    if (!report || report.at <= (this.#heard.get(hid)?.report.at ?? 0)) return;
    this.#heard.set(hid, { report, atMs: this.#now() });
  }
}
