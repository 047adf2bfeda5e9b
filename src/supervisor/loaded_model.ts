/**
 * A model that is loaded: its runner, how busy it is, and until when it stays. It stays while it works, and for a moment after
 * a client fetched its key: a model that went between a key and the request sealed to it would have been loaded in vain.
 */
import type { Exchange } from "../pipe/pipe.ts";
import type { OpenHead } from "../api/pipe_messages.ts";
import { type Place, QueuePlaces } from "./queue_places.ts";
import type { RunnerProcess } from "./runner_process.ts";
import type { SecLlamaError } from "../errors.ts";
import type { Gpu } from "../sandbox/mod.ts";
import type { IsolationReport } from "./isolation.ts";

/** How long a client that fetched the key may take to send its request. */
const PROMISE_MS = 10_000;
/** Who used a model no longer ago counts as one of its users. */
const USER_MS = 10 * 60_000;
/** Users that are remembered: the latest. */
const MAX_USERS = 64;

interface LoadedModelOptions {
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
  /** Whose share it takes of: the psk id it names, unproved until the runner opened the request, and who names it. */
  readonly client: string;
  /** Whether others than this client may come. */
  readonly shared: boolean;
}

/** An exchange that counts. */
interface OpenedExchange {
  readonly exchange: Exchange;
  /** The request's body was sent whole. */
  readonly arrived: () => void;
  /** It is over. */
  readonly done: () => void;
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
  lastUsedMs = performance.now();
  recipients: readonly string[] = [];
  readonly #o: LoadedModelOptions;
  #active = 0;
  readonly #places: QueuePlaces;
  /** When each client used it last; the latest last. */
  readonly #users = new Map<string, number>();
  /** By client, when the promises made to it lapse. */
  readonly #promises = new Map<string, number[]>();
  #keepAliveMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #idleSinceMs = performance.now();
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
    this.#places = new QueuePlaces({ slots: options.slots, waiting: options.maxQueue });
    this.#keepAliveMs = options.keepAliveMs;
    this.#rearm();
  }

  get active(): number {
    return this.#active;
  }

  /** Requests that wait for others of this model. */
  get queued(): number {
    return this.#places.waiting;
  }

  /** Works on nothing, and promised nothing. */
  get idle(): boolean {
    return this.#active === 0 && this.#promisedUntilMs() === 0;
  }

  /** When it will be unloaded if it stays idle, ms since the epoch; Infinity: not by itself. */
  get expiresAtMs(): number {
    const idleMs = this.#active > 0 ? 0 : performance.now() - this.#idleSinceMs;
    return Date.now() - Math.round(idleMs) + this.#keepAliveMs;
  }

  /** Those who used it lately. */
  users(): readonly string[] {
    const since = performance.now() - USER_MS;
    return [...this.#users].filter(([, at]) => at >= since).map(([client]) => client);
  }

  /** Keeps the model until this client's request comes, if it comes soon. */
  promise(client: string): void {
    this.#used(client);
    this.#lapse();
    this.#promises.set(client, [
      ...this.#promises.get(client) ?? [],
      performance.now() + PROMISE_MS,
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
   * `arrived` is to be called when its request's body was sent whole: until then it may have to make room for another.
   * @throws {SecLlamaError} `busy` if the slots and the queue are full, or this client's share of them.
   */
  open(head: OpenHead, { client, shared }: Opener): OpenedExchange {
    // A key document takes no slot: it must not keep an inference out, nor be kept out by one.
    const takesSlot = head.kind !== "key";
    let exchange: Exchange | undefined;
    const evict = (error: SecLlamaError) => exchange?.cancel("busy", error);
    const place: Place | undefined = takesSlot
      ? this.#places.take(client, { shared, evict })
      : undefined;
    try {
      exchange = this.runner.open(head);
    } catch (error) {
      place?.leave();
      throw error;
    }
    this.#active++;
    this.#used(client);
    if (takesSlot) this.#redeem(client);
    clearTimeout(this.#timer);
    let over = false;
    return {
      exchange,
      arrived: () => place?.arrived(),
      done: () => {
        if (over) return;
        over = true;
        this.#active--;
        place?.leave();
        this.lastUsedMs = this.#idleSinceMs = performance.now();
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

  #used(client: string): void {
    this.#users.delete(client);
    this.#users.set(client, performance.now());
    if (this.#users.size > MAX_USERS) this.#users.delete(this.#users.keys().next().value!);
  }

  #redeem(client: string): void {
    const left = this.#promises.get(client)?.slice(1) ?? [];
    if (left.length > 0) this.#promises.set(client, left);
    else this.#promises.delete(client);
  }

  #lapse(): void {
    const now = performance.now();
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
    const now = performance.now();
    const promisedMs = this.#promisedUntilMs();
    if (promisedMs === 0) this.#o.onIdle();
    const dueMs = Math.max(this.#idleSinceMs + this.#keepAliveMs, promisedMs);
    // To look again when a promise lapses, too. setTimeout's delay is a 32-bit number: a longer lease is looked at again.
    const nextMs = promisedMs === 0 ? dueMs : promisedMs;
    if (nextMs === Infinity) return;
    this.#timer = setTimeout(() => {
      if (performance.now() >= dueMs) this.#o.onExpired();
      else this.#rearm();
    }, Math.min(Math.max(0, nextMs - now), 2 ** 31 - 1));
  }
}
