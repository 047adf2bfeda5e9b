/**
 * Counts what each client asked for, and refuses what is more than its role lets it. Minutes and days are those of UTC; a clock that is
 * set back opens no new one. Requests and those under way are counted before they begin. Tokens are known when they are made: whoever
 * has some left is served, and the reply may take more than is left.
 */
import { type LimitState, SecLlamaError } from "../errors.ts";
import type { Role } from "../keys/mod.ts";
import { plural } from "../plural.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** What was counted in one minute or day. */
interface Window {
  /** Its number since 1970. */
  readonly at: number;
  readonly requests: number;
  readonly tokens: number;
}

/** What is remembered of a client. */
export interface Usage {
  /** The last minute in which it asked. */
  readonly minute: Window;
  /** The last day. */
  readonly day: Window;
}

/** Where counts outlive the process. */
export interface UsageStore {
  /** What was counted before; undefined: nothing. */
  load(client: string): Usage | undefined;
  /** To be kept, soon. */
  save(client: string, usage: Usage): void;
}

/** A request that was let in. Its end is to be told. */
export interface Ticket {
  /** How the client's limits stand now. */
  limits(): LimitState[];
  /** So many tokens more were used. */
  used(tokens: number): void;
  /** It did not come from this client, or was not begun: it does not count. Also when it is over; later calls do nothing. */
  refund(): void;
  /** It is over. Later calls do nothing. */
  end(): void;
}

/** What was counted of a client in the same minute and day, elsewhere. */
export interface Elsewhere {
  readonly minute: Pick<Window, "requests" | "tokens">;
  readonly day: Pick<Window, "requests" | "tokens">;
  /** Requests under way. */
  readonly open: number;
  /** Among so many hosts each has its share alone, since they hear nothing of each other; 1: what is said here is all. */
  readonly sharedBy: number;
}

/** Other hosts that count the same clients. */
export interface OtherCounts {
  /** What they counted in these windows; undefined: the client is this host's only. */
  of(client: string, usage: Usage): Elsewhere | undefined;
  /** Told what was counted here, each time. */
  counted(client: string, usage: Usage, open: number): void;
}

interface Counted {
  usage: Usage;
  /** Requests under way. */
  open: number;
}

/** Most clients that are remembered besides those with requests under way; the others are read again from the store. */
const MAX_REMEMBERED = 10_000;

/** The counts of all clients. */
export class Limiter {
  readonly #store: UsageStore;
  readonly #now: () => number;
  readonly #others: OtherCounts | undefined;
  /** The one that asked last is last. */
  readonly #clients = new Map<string, Counted>();

  /** @param now Unix ms. */
  constructor(store: UsageStore, now: () => number = Date.now, others?: OtherCounts) {
    this.#store = store;
    this.#now = now;
    this.#others = others;
  }

  /** Whether this client may ask now. @throws {SecLlamaError} `rate-limited`, with all limits and when to come again. */
  check(client: string, role: Role): void {
    const counted = this.#of(client);
    const states = this.#states(client, role, counted);
    const full = states.filter(({ remaining }) => remaining === 0);
    if (full.length > 0) throw overLimit(role, full, states);
  }

  /** Counts a request that begins. @throws {SecLlamaError} As {@link Limiter.check}. */
  admit(client: string, role: Role): Ticket {
    this.check(client, role);
    const counted = this.#of(client);
    counted.open++;
    this.#add(client, counted, { requests: 1 });
    let [over, refunded] = [false, false];
    const { minute, day } = counted.usage;
    return {
      limits: () => this.#states(client, role, counted),
      used: (tokens) => this.#add(client, counted, { tokens }),
      refund: () => {
        if (refunded) return;
        refunded = true;
        const now = this.#rolled(counted.usage);
        counted.usage = {
          minute: now.minute.at === minute.at ? less(now.minute) : now.minute,
          day: now.day.at === day.at ? less(now.day) : now.day,
        };
        this.#save(client, counted);
      },
      end: () => {
        if (over) return;
        over = true;
        counted.open--;
        this.#others?.counted(client, counted.usage, counted.open);
      },
    };
  }

  #of(client: string): Counted {
    const known = this.#clients.get(client);
    const counted = known ??
      { usage: this.#store.load(client) ?? { minute: NOTHING, day: NOTHING }, open: 0 };
    counted.usage = this.#rolled(counted.usage);
    this.#clients.delete(client);
    this.#clients.set(client, counted);
    if (this.#clients.size > MAX_REMEMBERED) this.#forget();
    return counted;
  }

  #forget(): void {
    for (const [client, { open }] of this.#clients) {
      if (open > 0) continue;
      this.#clients.delete(client);
      return;
    }
  }

  #add(client: string, counted: Counted, more: { requests?: number; tokens?: number }): void {
    const { minute, day } = this.#rolled(counted.usage);
    const sum = ({ at, requests, tokens }: Window): Window => ({
      at,
      requests: plus(requests, more.requests),
      tokens: plus(tokens, more.tokens),
    });
    counted.usage = { minute: sum(minute), day: sum(day) };
    this.#save(client, counted);
  }

  #save(client: string, { usage, open }: Counted): void {
    this.#store.save(client, usage);
    this.#others?.counted(client, usage, open);
  }

  #states(client: string, role: Role, counted: Counted): LimitState[] {
    const usage = this.#rolled(counted.usage);
    return statesOf(role, counted, this.#now(), this.#others?.of(client, usage));
  }

  #rolled({ minute, day }: Usage): Usage {
    const now = this.#now();
    return { minute: rolled(minute, now, MINUTE_MS), day: rolled(day, now, DAY_MS) };
  }
}

/** How a client stands by its role, of what was counted before. @param nowMs Unix ms. */
export function standing(role: Role, usage: Usage | undefined, nowMs: number): LimitState[] {
  const { minute, day } = usage ?? { minute: NOTHING, day: NOTHING };
  return statesOf(role, {
    usage: { minute: rolled(minute, nowMs, MINUTE_MS), day: rolled(day, nowMs, DAY_MS) },
    open: 0,
  }, nowMs);
}

const NOTHING: Window = { at: 0, requests: 0, tokens: 0 };

/** By so many ms a clock may be set back for a moment: a window that has begun goes on. */
const SET_BACK_MS = 60_000;

/**
 * The window that counts now. A clock that was set back opens no new one; nor does one that had run ahead hold anybody up until it is
 * as late again: what was used is counted in the minute and day of the clock as it is.
 */
function rolled(window: Window, nowMs: number, lengthMs: number): Window {
  const at = Math.floor(nowMs / lengthMs);
  if (at > window.at) return { at, requests: 0, tokens: 0 };
  return window.at * lengthMs - nowMs > SET_BACK_MS ? { ...window, at } : window;
}

/** Beyond it a number is not exact, and the store would not take it back. */
function plus(count: number, more = 0): number {
  return Math.min(count + more, Number.MAX_SAFE_INTEGER);
}

function less({ at, requests, tokens }: Window): Window {
  return { at, requests: Math.max(0, requests - 1), tokens };
}

/** Nobody else counts. */
const ALONE: Elsewhere = {
  minute: { requests: 0, tokens: 0 },
  day: { requests: 0, tokens: 0 },
  open: 0,
  sharedBy: 1,
};

function statesOf(
  role: Role,
  { usage, open }: Counted,
  nowMs: number,
  elsewhere: Elsewhere = ALONE,
): LimitState[] {
  const states: LimitState[] = [];
  const add = (
    of: LimitState["of"],
    per: LimitState["per"],
    limit: number | undefined,
    [here, there]: readonly [number, number],
    endMs: number,
  ) => {
    if (limit === undefined) return;
    const resetS = Math.max(1, (endMs - nowMs) / 1000);
    const share = Math.ceil(limit / elsewhere.sharedBy);
    const remaining = Math.max(0, Math.min(limit - there, share) - here);
    states.push({ of, per, limit, remaining, resetS });
  };
  const { minute, day } = usage;
  const used = (window: "minute" | "day", what: "requests" | "tokens") =>
    [usage[window][what], elsewhere[window][what]] as const;
  const minuteEnd = (minute.at + 1) * MINUTE_MS;
  const dayEnd = (day.at + 1) * DAY_MS;
  add("requests", "minute", role.requestsPerMinute, used("minute", "requests"), minuteEnd);
  add("requests", "day", role.requestsPerDay, used("day", "requests"), dayEnd);
  add("tokens", "minute", role.tokensPerMinute, used("minute", "tokens"), minuteEnd);
  add("tokens", "day", role.tokensPerDay, used("day", "tokens"), dayEnd);
  add("at-once", undefined, role.atOnce, [open, elsewhere.open], nowMs);
  return states;
}

function overLimit(
  role: Role,
  full: readonly LimitState[],
  states: readonly LimitState[],
): SecLlamaError {
  const { of, per, limit, resetS } = [...full].sort((a, b) => b.resetS - a.resetS)[0]!;
  const noun = plural(limit, of === "tokens" ? "token" : "request");
  const what = of === "at-once" ? `${noun} at once` : `${noun} a ${per}`;
  return new SecLlamaError("rate-limited", `the limit of ${what} is reached`, {
    hint: `try again in ${Math.ceil(resetS)} s; the role ${role.name} sets it`,
    limits: states,
  });
}
