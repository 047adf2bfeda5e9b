/**
 * What is tried again, how often and after which pause. Behind a balancer the host that announced a key may be gone, full, or
 * another than the one that a request comes to: the key document is then fetched anew, from whichever host answers, and the
 * request sealed anew to that one's runner. All of it is before the first frame of a reply: afterwards nothing is repeated.
 */
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import { GatewayRefusal } from "./refusal.ts";

/** Times in all that a request goes to another key. */
const MAX_OTHER_KEYS = 3;
/** Of these, after an answer that had begun and broke off: what ended one runner may end the next. */
const MAX_CUT = 1;
/** Before each of them, ms at most; at least half of it, so that many clients do not come back together. */
const PAUSES_MS = [100, 200, 400];
/** A host that wants a longer pause than this is not waited for: the caller is told. */
const MAX_WAIT_MS = 5_000;

/** Codes of a gateway that pass, or that another host does not have. All else would be the same again. */
const ELSEWHERE: readonly ErrorCode[] = [
  "key-mismatch",
  "other-host",
  "busy",
  "replay-window-full",
  "fleet-silent",
];
/** Of these, those that say nothing of how much the host has to do: no pause before the first try. */
const AT_ONCE: readonly ErrorCode[] = ["key-mismatch", "other-host"];

/** `same-key`: sealed again is enough. */
type Again = "another-key" | "same-key";

/** Waits; rejects with the signal's reason. */
type Pause = (ms: number, signal: AbortSignal) => Promise<void>;

/** The tries of one request. */
export class Retries {
  readonly #signal: AbortSignal;
  readonly #pause: Pause;
  readonly #once = new Set<string>();
  #others = 0;
  #cut = 0;

  /** @param signal Aborted: nothing is waited for. */
  constructor(signal: AbortSignal, wait: Pause = pause) {
    this.#signal = signal;
    this.#pause = wait;
  }

  /**
   * What to do about a failure, once the pause before it is over; undefined: nothing, it is to be told.
   * @param wasSent Whether it was the sealed request that failed.
   * @throws The signal's reason if it is aborted.
   */
  async after(error: unknown, wasSent: boolean): Promise<Again | undefined> {
    switch (kindOf(error)) {
      case "sealed-before":
        return this.#first("replay") ? "same-key" : undefined;
      case "clock":
        // Another host's clock is another reason; the same one's would be as wrong again.
        return this.#first("clock") ? "another-key" : undefined;
      case "cut":
        if (wasSent && ++this.#cut > MAX_CUT) return undefined;
        return await this.#elsewhere(error);
      case "elsewhere":
        return await this.#elsewhere(error);
      default:
        return undefined;
    }
  }

  async #elsewhere(error: unknown): Promise<Again | undefined> {
    const ownMs = PAUSES_MS[this.#others++];
    const askedMs = error instanceof GatewayRefusal ? error.retryAfterMs ?? 0 : 0;
    if (this.#others > MAX_OTHER_KEYS || ownMs === undefined || askedMs > MAX_WAIT_MS) {
      return undefined;
    }
    this.#signal.throwIfAborted();
    const isAtOnce = this.#others === 1 && askedMs === 0 &&
      error instanceof GatewayRefusal && AT_ONCE.includes(error.error.code);
    // Never before the time that the host named.
    if (!isAtOnce) {
      await this.#pause(askedMs + ownMs * (1 + Math.random()) / 2, this.#signal);
    }
    return "another-key";
  }

  #first(code: string): boolean {
    if (this.#once.has(code)) return false;
    this.#once.add(code);
    return true;
  }
}

/**
 * Why it failed. `elsewhere`: it may go well at another host, or here in a moment; so may what was lost with its connection, and what
 * a balancer says of one that it lost (502), since no gateway dies of a request that it cannot read. `cut`: after the answer's head,
 * so that a runner had it. Never what failed to verify, and never a runner that died of the request: its gateway says so
 * (`runner-died`).
 */
function kindOf(error: unknown): "sealed-before" | "clock" | "elsewhere" | "cut" | undefined {
  if (error instanceof GatewayRefusal) {
    const { error: { code }, status } = error;
    if (code === "replay") return "sealed-before";
    if (code === "clock") return "clock";
    if (ELSEWHERE.includes(code)) return "elsewhere";
    return code === "gateway-unreachable" && status === 502 ? "elsewhere" : undefined;
  }
  if (!(error instanceof SecLlamaError)) return undefined;
  if (error.code === "truncated") return "cut";
  return error.code === "gateway-unreachable" ? "elsewhere" : undefined;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  // Not by Promise.withResolvers: Node 20 has none.
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
