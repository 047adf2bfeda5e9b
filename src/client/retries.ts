/**
 * What is tried again, how often and after which pause. Behind a balancer the host that announced a key may be gone, full, or
 * another than the one that a request comes to: the key document is then fetched anew, from whichever host answers, and the
 * request sealed anew to that one's runner. All of it is before the first frame of a reply: afterwards nothing is repeated.
 */
import { SecLlamaError } from "../errors.ts";
import { GatewayRefusal } from "./refusal.ts";

/** Times in all that a request goes to another key. */
const MAX_OTHER_KEYS = 3;
/** Before each of them, ms at most; at least half of it, so that many clients do not come back together. */
const PAUSES_MS = [0, 100, 400];

/** `same-key`: sealed again is enough. */
type Again = "another-key" | "same-key";

/** The tries of one request. */
export class Retries {
  readonly #signal: AbortSignal;
  readonly #once = new Set<string>();
  #others = 0;

  /** @param signal Aborted: nothing is waited for. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * What to do about a failure, once the pause before it is over; undefined: nothing, it is to be told.
   * @throws The signal's reason if it is aborted.
   */
  async after(error: unknown): Promise<Again | undefined> {
    switch (kindOf(error)) {
      case "sealed-before":
        return this.#first("replay") ? "same-key" : undefined;
      case "clock":
        // Another host's clock is another reason; the same one's would be as wrong again.
        return this.#first("clock") ? "another-key" : undefined;
      case "elsewhere": {
        const pauseMs = PAUSES_MS[this.#others++];
        if (this.#others > MAX_OTHER_KEYS || pauseMs === undefined) return undefined;
        await pause(pauseMs * (1 + Math.random()) / 2, this.#signal);
        return "another-key";
      }
      default:
        return undefined;
    }
  }

  #first(code: string): boolean {
    if (this.#once.has(code)) return false;
    this.#once.add(code);
    return true;
  }
}

/**
 * Why it failed. `elsewhere`: it may go well at another host, or here in a moment: 422, 503, a balancer that finds no host (502,
 * 503 without a problem document of ours), a connection that was lost before the first frame. Never what failed to verify.
 */
function kindOf(error: unknown): "sealed-before" | "clock" | "elsewhere" | undefined {
  if (error instanceof GatewayRefusal) {
    const { error: { code }, status } = error;
    if (code === "replay") return "sealed-before";
    if (code === "clock") return "clock";
    if (code === "key-mismatch" || code === "other-host" || status === 503) return "elsewhere";
    return code === "gateway-unreachable" && status === 502 ? "elsewhere" : undefined;
  }
  const lost = error instanceof SecLlamaError &&
    (error.code === "gateway-unreachable" || error.code === "truncated");
  return lost ? "elsewhere" : undefined;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (ms === 0) return Promise.resolve();
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
