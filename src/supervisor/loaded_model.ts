/**
 * A model that is loaded: its runner, how busy it is, and until when it stays. It stays while it works, and for a moment after
 * a client fetched its key: a model that went between a key and the request sealed to it would have been loaded in vain.
 */
import type { Exchange } from "../pipe/pipe.ts";
import type { OpenHead } from "../api/pipe_messages.ts";
import { BUSY_TEXT } from "../api/texts.ts";
import { SecLlamaError } from "../errors.ts";
import type { RunnerProcess } from "./runner_process.ts";
import type { Gpu } from "../sandbox/mod.ts";
import type { IsolationReport } from "./isolation.ts";

/** How long a client that fetched the key may take to send its request. */
const PROMISE_MS = 10_000;
/** Of the queue, what one client may take while there are others. */
const CLIENT_SHARE = 0.75;

export interface LoadedModelOptions {
  readonly name: string;
  readonly digest: string;
  /** What Ollama calls a model's digest. */
  readonly manifestDigest: string;
  readonly sizeBytes: number;
  readonly contextLength: number;
  /** The context that was asked for when it was loaded, which may be more; 0: none. */
  readonly wantedContext: number;
  /** Estimate of all that its runner takes. */
  readonly needBytes: number;
  /** What its runner was started for. */
  readonly gpu: Gpu;
  /** Requests that it works on at once. */
  readonly slots: number;
  /** Requests that may wait besides. */
  readonly maxQueue: number;
  readonly keepAliveMs: number;
  /** It is idle, and was for as long as it should stay. */
  readonly onExpired: () => void;
  /** It became idle. */
  readonly onIdle: () => void;
}

/** Who opens an exchange. */
export interface Opener {
  /** The psk id it names; unproved until the runner opened the request. */
  readonly client: string;
  /** Whether others than this client may come. */
  readonly shared: boolean;
}

export class LoadedModel {
  readonly name: string;
  readonly digest: string;
  readonly manifestDigest: string;
  readonly sizeBytes: number;
  readonly contextLength: number;
  readonly wantedContext: number;
  readonly needBytes: number;
  readonly gpu: Gpu;
  readonly runner: RunnerProcess;
  readonly isolation: IsolationReport;
  lastUsedMs = Date.now();
  recipients: readonly string[] = [];
  readonly #o: LoadedModelOptions;
  #active = 0;
  readonly #requests = new Map<string, number>();
  /** By client, when the promises made to it lapse. */
  readonly #promises = new Map<string, number[]>();
  #keepAliveMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #idleSinceMs = Date.now();
  #retired = false;

  constructor(runner: RunnerProcess, isolation: IsolationReport, options: LoadedModelOptions) {
    this.runner = runner;
    this.isolation = isolation;
    this.name = options.name;
    this.digest = options.digest;
    this.manifestDigest = options.manifestDigest;
    this.sizeBytes = options.sizeBytes;
    this.contextLength = options.contextLength;
    this.wantedContext = options.wantedContext;
    this.needBytes = options.needBytes;
    this.gpu = options.gpu;
    this.#o = options;
    this.#keepAliveMs = options.keepAliveMs;
    this.#rearm();
  }

  get active(): number {
    return this.#active;
  }

  /** Works on nothing, and promised nothing. */
  get idle(): boolean {
    return this.#active === 0 && this.#promisedUntilMs() === 0;
  }

  /** When it will be unloaded if it stays idle, ms since the epoch; Infinity: not by itself. */
  get expiresAtMs(): number {
    return (this.#active > 0 ? Date.now() : this.#idleSinceMs) + this.#keepAliveMs;
  }

  /** Keeps the model until this client's request comes, if it comes soon. */
  promise(client: string): void {
    this.#lapse();
    this.#promises.set(client, [
      ...this.#promises.get(client) ?? [],
      Date.now() + PROMISE_MS,
    ]);
    this.#rearm();
  }

  /** Whether this client holds a promise that can be kept. */
  holds(client: string): boolean {
    this.#lapse();
    return !this.#retired && this.#promises.has(client);
  }

  /**
   * Opens an exchange that counts against the queue until `done` is called.
   * @throws {SecLlamaError} `busy` if the slots and the queue are full, or this client's share of them.
   */
  open(head: OpenHead, { client, shared }: Opener): { exchange: Exchange; done: () => void } {
    // A key document takes no slot: it must not keep an inference out, nor be kept out by one.
    const takesSlot = head.kind !== "key";
    if (takesSlot) this.#checkQueue(client, shared);
    const exchange = this.runner.open(head);
    this.#active++;
    if (takesSlot) {
      this.#count(client, 1);
      this.#redeem(client);
    }
    clearTimeout(this.#timer);
    let over = false;
    return {
      exchange,
      done: () => {
        if (over) return;
        over = true;
        this.#active--;
        if (takesSlot) this.#count(client, -1);
        this.lastUsedMs = this.#idleSinceMs = Date.now();
        this.#rearm();
      },
    };
  }

  /** A request set how long the model stays once idle; negative is for ever. */
  setKeepAlive(ms: number): void {
    this.#keepAliveMs = ms < 0 ? Infinity : ms;
    this.#rearm();
  }

  /** It goes: nothing is to be told of it any more. */
  retire(): void {
    this.#retired = true;
    clearTimeout(this.#timer);
  }

  #checkQueue(client: string, shared: boolean): void {
    const limit = this.#o.slots + this.#o.maxQueue;
    const own = this.#requests.get(client) ?? 0;
    const all = [...this.#requests.values()].reduce((sum, n) => sum + n, 0);
    const share = shared ? Math.max(this.#o.slots, Math.ceil(limit * CLIENT_SHARE)) : limit;
    if (all >= limit || own >= share) throw new SecLlamaError("busy", BUSY_TEXT);
  }

  #count(client: string, by: number): void {
    const count = (this.#requests.get(client) ?? 0) + by;
    if (count > 0) this.#requests.set(client, count);
    else this.#requests.delete(client);
  }

  #redeem(client: string): void {
    const left = this.#promises.get(client)?.slice(1) ?? [];
    if (left.length > 0) this.#promises.set(client, left);
    else this.#promises.delete(client);
  }

  #lapse(): void {
    const now = Date.now();
    for (const [client, times] of this.#promises) {
      const left = times.filter((at) => at > now);
      if (left.length > 0) this.#promises.set(client, left);
      else this.#promises.delete(client);
    }
  }

  /** When the last promise lapses; 0 if there is none. */
  #promisedUntilMs(): number {
    this.#lapse();
    return Math.max(0, ...[...this.#promises.values()].map((times) => times.at(-1) ?? 0));
  }

  #rearm(): void {
    clearTimeout(this.#timer);
    if (this.#active > 0 || this.#retired) return;
    const now = Date.now();
    const promisedMs = this.#promisedUntilMs();
    if (promisedMs === 0) this.#o.onIdle();
    const dueMs = Math.max(this.#idleSinceMs + this.#keepAliveMs, promisedMs);
    // To look again when a promise lapses, too. setTimeout's delay is a 32-bit number: a longer lease is looked at again.
    const nextMs = promisedMs === 0 ? dueMs : promisedMs;
    if (nextMs === Infinity) return;
    this.#timer = setTimeout(() => {
      if (Date.now() >= dueMs) this.#o.onExpired();
      else this.#rearm();
    }, Math.min(Math.max(0, nextMs - now), 2 ** 31 - 1));
  }
}
