/** Keeps a session going for as long as the proxy runs: at its start, and whenever two thirds of what is left have gone by. */
import { type ErrorCode, toSecLlamaError } from "../../errors.ts";
import { idlePause } from "../../pause.ts";
import type { Standing } from "./session.ts";

/** What the first pause is after a provider that is away, and the longest, ms. */
const FIRST_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;
/** The clock is looked at so often, ms: a machine that slept is late. */
const LOOK_MS = 30_000;

/** After these there is nothing to go on with. */
const OVER: readonly ErrorCode[] = ["auth", "role-refused", "not-found", "key-lost"];

interface KeeperOptions {
  /** Goes on; see session.ts. */
  readonly goOn: (seen: string | undefined) => Promise<Standing>;
  readonly onKept: (standing: Standing) => void;
  /** Told of the first failure since it went on last. */
  readonly onFailed: (code: ErrorCode) => void;
  /** It is over: somebody has to sign in. */
  readonly onOver: (code: ErrorCode) => void;
  readonly signal: AbortSignal;
  /** Unix ms. */
  readonly now?: () => number;
  /** Resolves after so many ms, or when `signal` is aborted. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Returns when the signal is aborted, or the session is over. */
export async function keepSession(o: KeeperOptions): Promise<void> {
  const { signal, now = Date.now, sleep = idlePause } = o;
  let seen: string | undefined;
  for (let failures = 0; !signal.aborted;) {
    let nextMs: number;
    try {
      const standing = await o.goOn(seen);
      if (signal.aborted) return;
      failures = 0;
      seen = standing.expires;
      o.onKept(standing);
      nextMs = now() + Math.max(FIRST_PAUSE_MS, (Date.parse(seen) - now()) * 2 / 3);
    } catch (error) {
      if (signal.aborted) return;
      const { code } = toSecLlamaError(error);
      if (OVER.includes(code)) return o.onOver(code);
      if (failures++ === 0) o.onFailed(code);
      nextMs = now() + Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
    }
    while (!signal.aborted && now() < nextMs) {
      await sleep(Math.min(LOOK_MS, nextMs - now()), signal);
    }
  }
}
