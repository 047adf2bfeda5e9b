/**
 * Heads of the hosts' audit logs: each host says its newest one with its report, and the issuer keeps them. A host whose log was cut,
 * put back from earlier or begun anew cannot take back what it has signed: a longer head does not replace the one before it, since
 * it may be of a log that was put back and has grown again. One that was shown to go on from the one before it stands for that one,
 * which may then go: so nothing is lost of what was said.
 */
import {
  type AuditSourceFile,
  type HeadNames,
  headNames,
  isConsistent,
  PublicKey,
  type Verdict,
  verifyLog,
} from "../audit/mod.ts";
import { fromBase64Url, fromHex, toHex } from "../bytes.ts";
import { secret, wipe } from "../secret.ts";
import { RECORDS } from "./bundle.ts";
import { asIssuer } from "./issuer.ts";
import { openReport, type ReportedSince, reportKeyOf } from "./report.ts";
import type { FleetHost, FleetState, KeptHead, KeptHeads } from "./state.ts";
import type { FleetStore } from "./store.ts";
import { plural } from "../plural.ts";

/** Between writings at least, ms. */
const EVERY_MS = 5_000;
/** Of one host: a log for each time that it was begun anew, and each key. A host that floods hides nothing of before. */
const MAX_LOGS = 64;
/** Of a log and key, where others stand for those that go. */
const MAX_OF_EACH = 32;
/** Of those that nothing stands for: one for each time that the issuer, the host or the store was away. */
const MAX_ALONE = 128;
/** Of base64url; ours have some 250. */
const MAX_TEXT = 1024;

/**
 * What is kept when a head has come; undefined: nothing new.
 * @param o.audit The key that the host was enrolled with: nobody else's signature passes for it.
 * @param o.since What the host says to show that it goes on from the one before it.
 */
export function kept(
  heads: readonly KeptHead[],
  text: string,
  { at, audit, since }: {
    readonly at: number;
    readonly audit?: PublicKey | undefined;
    readonly since?: ReportedSince | undefined;
  },
): readonly KeptHead[] | undefined {
  const names = namesOf(text);
  if (names === undefined) return undefined;
  const { log, kid, size, root } = names;
  if (kid === audit?.id && !names.isSignedBy(audit)) return undefined;
  const there = heads.filter((one) => one.log === log && one.kid === kid);
  if (there.some((one) => one.size === size && namesOf(one.cose)?.root === root)) return undefined;
  if (there.length === 0) {
    // Whose signature was not checked takes the place of none that was: each kind has its own.
    const alike = heads.filter((one) => (one.kid === audit?.id) === (kid === audit?.id));
    if (new Set(alike.map(({ log, kid }) => `${log} ${kid}`)).size >= MAX_LOGS) return undefined;
  }
  const follows = isShown(there.at(-1), names, since);
  const all = [...there, { log, kid, size, at, cose: text, ...(follows && { follows }) }];
  return [...heads.filter((one) => !there.includes(one)), ...thinned(all)];
}

/** Whether the log of the head `to` was shown to begin with that of `from`; undefined: not. */
function isShown(
  from: KeptHead | undefined,
  to: HeadNames,
  since: ReportedSince | undefined,
): true | undefined {
  const first = from && namesOf(from.cose);
  if (since === undefined || first?.size !== since.size) return undefined;
  return isConsistent({
    ...{ first: first.size, firstRoot: fromHex(first.root) },
    ...{ second: to.size, secondRoot: fromHex(to.root) },
    path: since.path.map(fromBase64Url),
  }) || undefined;
}

/** One less, if there are too many. */
function thinned(all: readonly KeptHead[]): readonly KeptHead[] {
  if (all.length <= MAX_OF_EACH) return all;
  const at = leastMissed(all, (i) => all[i + 1]!.follows === true) ??
    (all.length > MAX_ALONE ? leastMissed(all, () => true) : undefined);
  if (at === undefined) return all;
  // What followed it follows the one before it, if it did so itself.
  const { follows: _, ...next } = all[at + 1]!;
  const follows = all[at]!.follows && all[at + 1]!.follows;
  return all.toSpliced(at, 2, { ...next, ...(follows && { follows }) });
}

function namesOf(text: string): HeadNames | undefined {
  if (text.length > MAX_TEXT) return undefined;
  try {
    return headNames(fromBase64Url(text));
  } catch {
    return undefined;
  }
}

/**
 * The one whose neighbours came soonest one after the other: what came in a flood goes first. Never the first, the last or the
 * longest.
 * @param heads In the order in which they came.
 * @param may Of those that may go.
 * @returns Its place.
 */
function leastMissed(
  heads: readonly KeptHead[],
  may: (at: number) => boolean,
): number | undefined {
  const longest = Math.max(...heads.map(({ size }) => size));
  let [found, least] = [undefined as number | undefined, Infinity];
  for (let i = 1; i < heads.length - 1; i++) {
    const apart = Math.abs(heads[i + 1]!.at - heads[i - 1]!.at);
    if (heads[i]!.size === longest || apart > least || !may(i)) continue;
    [found, least] = [i, apart];
  }
  return found;
}

/** Keeps what comes with the hosts' reports, as long as it lives. */
export class HeadKeeper implements AsyncDisposable {
  readonly #state: FleetState;
  readonly #heads: Map<string, readonly KeptHead[]>;
  /** By host. */
  #audit: ReadonlyMap<string, PublicKey> = new Map();
  #key: Uint8Array | undefined;
  #end: () => void = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isChanged = false;

  private constructor(state: FleetState, heads: KeptHeads) {
    this.#state = state;
    this.#heads = new Map(Object.entries(heads));
  }

  /** Hears the reports in `store` from now on. @throws {SecLlamaError} `fleet-unreachable`, what reading the file throws. */
  static async start(state: FleetState, store: FleetStore): Promise<HeadKeeper> {
    const keeper = new HeadKeeper(state, await state.readHeads());
    await keeper.look();
    // At the start they are written as they are: wrapped under the key that is active now.
    await keeper.#write();
    keeper.#end = await store.watch(RECORDS.reports, (name, text) => keeper.#hear(name, text));
    return keeper;
  }

  /** After a change of hosts: their reports are under another key then. One that came again has the newest keys. */
  async look(): Promise<void> {
    const { seed, hosts } = await asIssuer(this.#state);
    using own = secret(seed);
    wipe(this.#key);
    this.#key = reportKeyOf(own, hosts.filter(({ removed }) => removed !== null).length);
    this.#audit = new Map(
      hosts.map(({ hid, audit }) => [hid, new PublicKey(fromBase64Url(audit))]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    clearTimeout(this.#timer);
    wipe(this.#key);
    this.#key = undefined;
    if (this.#isChanged) await this.#write();
  }

  #hear(name: string, text: string | undefined): void {
    const hid = name.slice(RECORDS.reports.length);
    const said = text && this.#key && openReport(text, this.#key, hid);
    if (!said || typeof said.audit !== "string") return;
    const heads = kept(this.#heads.get(hid) ?? [], said.audit, {
      at: Date.now(),
      audit: this.#audit.get(hid),
      since: said.auditSince,
    });
    if (heads === undefined) return;
    this.#heads.set(hid, heads);
    this.#isChanged = true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // What could not be written is written with what comes next.
      void this.#write().catch(() => this.#isChanged = true);
    }, EVERY_MS);
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  async #write(): Promise<void> {
    this.#isChanged = false;
    await this.#state.locked(() => this.#state.writeHeads(Object.fromEntries(this.#heads)));
  }
}

/**
 * Of heads under a key that came after a rotation, or that nobody has: only the log itself could vouch for them. Every host of a fleet
 * can make another one's report, where the store lets it write there.
 */
const UNCHECKED = " (its signature could not be checked: only that log names the key)";

/** What came of one host's logs. */
export interface HostVerdict {
  readonly label: string;
  readonly hid: string;
  /** Of each of its logs that was given. */
  readonly logs: readonly Verdict[];
  /** What is wrong besides. */
  readonly problems: readonly string[];
  /** When its newest head came, unix ms; undefined: the issuer has none. */
  readonly heard: number | undefined;
}

/**
 * Checks exports of all hosts' logs as one: each is whole, signed by its host's key as it was enrolled, and as long as its host had
 * said; none is missing.
 * @param logs Exports, in any order.
 * @returns Of each host, and the ids of logs that are nobody's.
 */
export function verifyFleet(
  hosts: readonly FleetHost[],
  heads: KeptHeads,
  logs: readonly AuditSourceFile[],
): { readonly hosts: readonly HostVerdict[]; readonly foreign: readonly string[] } {
  const taken = new Set<AuditSourceFile>();
  // One that was taken out and came again is one host, as it is now.
  const each = [...new Map(hosts.map((host) => [host.hid, host])).values()];
  const verdicts = each.map((host): HostVerdict => {
    const known = heads[host.hid] ?? [];
    const key = new PublicKey(fromBase64Url(host.audit));
    const ids = new Set(known.map(({ log }) => log));
    const problems: string[] = [];
    const checked: Verdict[] = [];
    for (const file of logs) {
      const log = toHex(file.id);
      // A log of which no head has come is the host's if its key has signed it.
      if (!ids.has(log) && !isSignedBy(file, key)) continue;
      taken.add(file);
      const mine = known.filter((head) => head.log === log);
      const verdict = verifyLog(withHeads(file, mine), { key });
      checked.push(verdict);
      // Of each key the longest.
      const byKid = new Map(
        [...mine].sort((a, b) => a.size - b.size).map(({ kid, size }) => [kid, size]),
      );
      for (const [kid, size] of byKid) {
        if (kid === key.id || verdict.keys.includes(kid)) continue;
        problems.push(
          `its log ${log} has no key ${kid}, under which a head over ${
            plural(size, "line")
          } came${UNCHECKED}`,
        );
      }
    }
    for (const log of ids) {
      if (checked.some((verdict) => verdict.log === log)) continue;
      const lines = Math.max(...known.filter((head) => head.log === log).map(({ size }) => size));
      const isSure = known.some((head) => head.log === log && head.kid === key.id);
      problems.push(
        `its log ${log} is missing: it had ${plural(lines, "line")}${isSure ? "" : UNCHECKED}`,
      );
    }
    if (checked.length === 0 && ids.size === 0 && host.removed === null) {
      problems.push("none of its logs is here, and no head of one has come");
    }
    const heard = known.length > 0 ? Math.max(...known.map(({ at }) => at)) : undefined;
    return { label: host.label, hid: host.hid, logs: checked, problems, heard };
  });
  return {
    hosts: verdicts,
    foreign: logs.filter((file) => !taken.has(file)).map(({ id }) => toHex(id)),
  };
}

function isSignedBy(file: AuditSourceFile, key: PublicKey): boolean {
  return verifyLog(file, { key }).keys.includes(key.id);
}

/** The log with the heads that were kept elsewhere: it must be what they were signed over. */
function withHeads(file: AuditSourceFile, heads: readonly KeptHead[]): AuditSourceFile {
  const more = heads.map(({ size, cose }) => ({ size, cose: fromBase64Url(cose) }));
  return {
    id: file.id,
    ...(file.count === undefined ? {} : { count: file.count }),
    entries: () => file.entries(),
    heads: () => [...file.heads(), ...more].sort((a, b) => a.size - b.size),
  };
}
