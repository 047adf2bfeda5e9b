/**
 * One runner process and its life: starting → loading → proving → ready → dead. It is given keys only once it is `ready`, after
 * its isolation was measured from outside and its own attack on live listeners had been counted. Knows nothing of models
 * as such, of scheduling, or of HTTP.
 */
import { label, type Logger } from "../log.ts";
import { type ErrorCode, SecLlamaError, toSecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import {
  type BootMessage,
  type FromRunner,
  LAST_WORDS_MS,
  type OpenHead,
  parseFromRunner,
  type ReadyMessage,
  type ReceiptMessage,
  type UsedTokens,
} from "../api/pipe_messages.ts";
import { type Exchange, Pipe } from "../pipe/pipe.ts";
import type { KeyReceiver } from "./key_feed.ts";
import { loadFailure, spawnFailure, startFailure } from "./start_failure.ts";
import { Watchdog } from "./watchdog.ts";

type RunnerState = "starting" | "loading" | "proving" | "ready" | "dead";

export interface RunnerProcessOptions {
  /** Spawns it, with pipes for its standard streams. */
  readonly start: () => Promise<Deno.ChildProcess>;
  readonly boot: BootMessage;
  /** Judges the ready runner before it gets keys. @throws {SecLlamaError} To refuse it. */
  readonly prove: (childPid: number, ready: ReadyMessage) => Promise<void>;
  /** Drawn for this start, 32 bytes; the boot message has it too. */
  readonly rn: Uint8Array;
  /** How much of the file is loaded. */
  readonly onLoading: (percent: number) => void;
  readonly onRecipients: (ids: readonly string[]) => void;
  readonly onKeepAlive: (ms: number, client: string | undefined) => void;
  readonly onDead: (error: SecLlamaError) => void;
  /** It says that it ends, and may have some of its replies to end first. {@link onDead} follows. */
  readonly onLeaving: (error: SecLlamaError) => void;
  readonly timeoutMs: number;
  /** How long it may be silent once it serves. */
  readonly silenceMs: number;
  readonly logger: Logger;
}

/** Bytes of a dead runner's standard error that are looked at, to name the reason. */
const STDERR_LIMIT_BYTES = 4096;

/** Exchanges of a runner whose tokens can still be told: those under way, and some that are over. */
const MAX_USES = 4_096;

/** What its line is to say of an exchange whose client wants a receipt. */
export type ReceiptWord = Omit<ReceiptMessage, "t" | "exchange">;

/** Who is told what a runner says of one exchange. */
interface Told {
  readonly used: (tokens: UsedTokens) => void;
  readonly receipt: (word: ReceiptWord) => void;
  /** It asked for what its client's role does not let it. */
  readonly refused: (code: ErrorCode) => void;
}

export class RunnerProcess implements KeyReceiver {
  readonly rn: Uint8Array;
  readonly given = new Map<string, number>();
  readonly #options: RunnerProcessOptions;
  readonly #child: Deno.ChildProcess;
  readonly #pipe: Pipe;
  readonly #watchdog: Watchdog;
  readonly #ready = Promise.withResolvers<ReadyMessage>();
  /** By exchange, who is told what it cost. The oldest first. */
  readonly #uses = new Map<number, Told>();
  #state: RunnerState = "starting";
  /** It has said which keys a client may seal to. */
  #announced = false;
  /** The launcher is over: what is printed is the runner's. */
  #spoke = false;
  #stderr = "";
  #stopping = false;
  /** It says that it ends: what sees to it that it does. */
  #lastWords: ReturnType<typeof setTimeout> | undefined;

  private constructor(options: RunnerProcessOptions, child: Deno.ChildProcess) {
    this.rn = options.rn;
    this.#options = options;
    this.#child = child;
    const writer = this.#child.stdin.getWriter();
    this.#pipe = new Pipe({
      side: "gateway",
      readable: this.#child.stdout,
      write: (bytes) => writer.write(bytes).catch(() => {}), // a dead runner is noticed by the reader
      onControl: (message) => this.#control(parseFromRunner(message)),
    });
    this.#watchdog = new Watchdog({
      timeoutMs: options.silenceMs,
      ping: () => void this.#pipe.control({ t: "ping" }),
      onHung: (reason) => this.#giveUp(reason),
    });
    this.#ready.promise.catch(() => {});
    const stderrDone = this.#drainStderr();
    void this.#watch(stderrDone);
  }

  /**
   * Spawns, loads and proves.
   * @throws {SecLlamaError} `model-failed`, `sandbox-failed`, `sandbox-breached`, … The process is gone by then.
   */
  static async start(options: RunnerProcessOptions): Promise<RunnerProcess> {
    let runner: RunnerProcess;
    try {
      runner = new RunnerProcess(options, await options.start());
    } catch (cause) {
      if (cause instanceof SecLlamaError) throw cause;
      throw spawnFailure(cause);
    }
    const timer = setTimeout(() => {
      runner.#ready.reject(
        new SecLlamaError(
          "model-failed",
          `model failed to load within ${options.timeoutMs / 1000} s`,
          {
            hint: "raise SECLLAMA_LOAD_TIMEOUT, or use a smaller model",
          },
        ),
      );
    }, options.timeoutMs);
    try {
      runner.#state = "loading";
      await runner.#pipe.control(options.boot);
      const ready = await runner.#ready.promise;
      // Nobody could ever reach it: it would only hold its memory, and a place.
      if (!runner.#announced) {
        throw new SecLlamaError("pipe-broken", "pipe to the runner: it is ready without a key");
      }
      runner.#state = "proving";
      await options.prove(runner.#child.pid, ready);
      await runner.#pipe.control({ t: "serve" });
      // If it died meanwhile, nobody knew it yet who could be told.
      if (runner.state === "dead") {
        throw new SecLlamaError("runner-died", "the model's runner ended before it answered");
      }
      runner.#state = "ready";
      runner.#watchdog.start();
      return runner;
    } catch (error) {
      await runner.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  get state(): RunnerState {
    return this.#state;
  }

  /** It has said that it ends. */
  get isLeaving(): boolean {
    return this.#lastWords !== undefined;
  }

  open(head: OpenHead): Exchange {
    return this.#pipe.open(head);
  }

  /** Calls `told.used` with the tokens that the exchange cost, in parts; the last may come when it is over. */
  onSaid({ id }: Exchange, told: Told): void {
    this.#uses.set(id, told);
    if (this.#uses.size <= MAX_USES) return;
    // Of one under way it is still to come, however many came after it.
    const over = this.#uses.keys().find((one) => !this.#pipe.isOpen(one));
    if (over !== undefined) this.#uses.delete(over);
  }

  /** Sends a key frame. The payload is copied before this returns. */
  sendKeys(payload: Uint8Array): void {
    void this.#pipe.secret(payload);
  }

  /** Ends the process at once and waits for it. `unshare` ignores SIGTERM, hence SIGKILL; --kill-child takes the rest. */
  async kill(): Promise<void> {
    this.#stopping = true;
    try {
      this.#child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.#child.status;
  }

  /** A runner that hangs is ended; its requests are told why, and the next one starts another. */
  #giveUp(reason: "silent" | "stuck"): void {
    this.#options.logger.error("runner-hung", { reason: label(reason) });
    const error = new SecLlamaError(
      "runner-died",
      "the model's runner stopped answering and was ended",
      { hint: HINTS.nextRunner },
    );
    this.#options.onDead(error);
    this.#pipe.close(error);
    void this.kill();
  }

  /** What it is given now is the next one's; what it has is given up in its own words, and it ends. */
  #leave(): void {
    this.#options.onLeaving(
      new SecLlamaError("runner-died", "the model's runner says that it ends"),
    );
    this.#lastWords ??= setTimeout(() => {
      try {
        this.#child.kill("SIGKILL");
      } catch { /* it has ended */ }
    }, 2 * LAST_WORDS_MS);
  }

  #control(message: FromRunner): void {
    this.#spoke = true;
    switch (message.t) {
      case "pong":
        return this.#watchdog.pong(message);
      case "loading":
        return this.#options.onLoading(message.percent);
      case "ready":
        return this.#ready.resolve(message);
      case "recipients":
        this.#announced = true;
        return this.#options.onRecipients(message.ids);
      case "used": {
        const { t: _, exchange, ...used } = message;
        return this.#uses.get(exchange)?.used(used);
      }
      case "refused":
        return this.#uses.get(message.exchange)?.refused(message.code);
      case "receipt": {
        const { id, request, reply } = message;
        return this.#uses.get(message.exchange)?.receipt({ id, request, reply });
      }
      case "keep_alive":
        return this.#options.onKeepAlive(message.ms, message.client);
      case "failed": {
        if (this.#state === "ready") return this.#leave();
        return this.#ready.reject(loadFailure(message));
      }
    }
  }

  async #drainStderr(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) {
      if (this.#stderr.length < STDERR_LIMIT_BYTES) {
        this.#stderr += decoder.decode(chunk, { stream: true });
      }
    }
  }

  async #watch(stderrDone: Promise<void>): Promise<void> {
    let error = new SecLlamaError("runner-died", "the model's runner ended before it answered", {
      hint: HINTS.nextRunner,
    });
    try {
      await this.#pipe.run();
    } catch (cause) {
      error = toSecLlamaError(cause);
    }
    const early = this.#state !== "ready";
    this.#state = "dead";
    this.#watchdog.stop();
    clearTimeout(this.#lastWords);
    // At once, before its process is reaped: the next request must start a new runner, not meet this one.
    this.#options.onDead(error);
    try {
      this.#child.kill("SIGKILL");
    } catch { /* it has ended */ }
    const status = await this.#child.status;
    await stderrDone.catch(() => {});
    if (early && !this.#stopping) {
      error = startFailure({ stderr: this.#stderr, spoke: this.#spoke }, status, error);
    }
    this.#ready.reject(error);
    if (!this.#stopping) {
      this.#options.logger.error("runner-died", {
        code: label(error.code),
        exit: status.code,
        signal: label(status.signal ?? "none"),
      });
    }
  }
}
