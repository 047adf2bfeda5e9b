/** A model that is loaded: its runner, how busy it is, and until when it stays. */
import type { Exchange } from "../pipe/pipe.ts";
import type { OpenHead } from "../pipe/messages.ts";
import { SecLlamaError } from "../errors.ts";
import type { RunnerProcess } from "./runner_process.ts";
import type { IsolationReport } from "./isolation.ts";

/** As in Ollama, clients and people look for this text. */
export const BUSY_MESSAGE = "server busy, please try again.  maximum pending requests exceeded";

export interface LoadedModelOptions {
  readonly name: string;
  readonly digest: string;
  /** What Ollama calls a model's digest. */
  readonly manifestDigest: string;
  readonly sizeBytes: number;
  readonly contextLength: number;
  readonly limit: number;
  readonly keepAliveMs: number;
  readonly onExpired: () => void;
}

export class LoadedModel {
  readonly name: string;
  readonly digest: string;
  readonly manifestDigest: string;
  readonly sizeBytes: number;
  readonly contextLength: number;
  readonly #limit: number;
  readonly #onExpired: () => void;
  readonly runner: RunnerProcess;
  readonly isolation: IsolationReport;
  #active = 0;
  #requests = 0;
  #keepAliveMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #expiresAtMs = Infinity;
  lastUsedMs = Date.now();
  recipients: readonly string[] = [];

  constructor(runner: RunnerProcess, isolation: IsolationReport, options: LoadedModelOptions) {
    this.runner = runner;
    this.isolation = isolation;
    this.name = options.name;
    this.digest = options.digest;
    this.manifestDigest = options.manifestDigest;
    this.sizeBytes = options.sizeBytes;
    this.contextLength = options.contextLength;
    this.#limit = options.limit;
    this.#keepAliveMs = options.keepAliveMs;
    this.#onExpired = options.onExpired;
    this.#rearm();
  }

  get active(): number {
    return this.#active;
  }

  /** When it will be unloaded if it stays idle, ms since the epoch; Infinity: not by itself. */
  get expiresAtMs(): number {
    return this.#active > 0 ? Date.now() + this.#keepAliveMs : this.#expiresAtMs;
  }

  /**
   * Opens an exchange that counts against the queue until `done` is called.
   * @throws {SecLlamaError} `busy` if the slots and the queue are full.
   */
  open(head: OpenHead): { exchange: Exchange; done: () => void } {
    // A key document takes no slot: it must not keep an inference out, nor be kept out by one.
    const takesSlot = head.kind !== "key";
    if (takesSlot && this.#requests >= this.#limit) throw new SecLlamaError("busy", BUSY_MESSAGE);
    const exchange = this.runner.open(head);
    this.#active++;
    if (takesSlot) this.#requests++;
    clearTimeout(this.#timer);
    let over = false;
    return {
      exchange,
      done: () => {
        if (over) return;
        over = true;
        this.#active--;
        if (takesSlot) this.#requests--;
        this.lastUsedMs = Date.now();
        this.#rearm();
      },
    };
  }

  /** A request set how long the model stays once idle; negative is for ever. */
  setLease(ms: number): void {
    this.#keepAliveMs = ms < 0 ? Infinity : ms;
    this.#rearm();
  }

  stopTimer(): void {
    clearTimeout(this.#timer);
  }

  #rearm(): void {
    clearTimeout(this.#timer);
    if (this.#active > 0) return;
    this.#expiresAtMs = Date.now() + this.#keepAliveMs;
    if (this.#keepAliveMs === Infinity) return;
    // setTimeout's delay is a 32-bit number; a longer lease is looked at again when it is due.
    this.#timer = setTimeout(() => {
      if (Date.now() >= this.#expiresAtMs) this.#onExpired();
      else this.#rearm();
    }, Math.min(this.#keepAliveMs, 2 ** 31 - 1));
  }
}
