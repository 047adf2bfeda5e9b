/** What a gateway remembers of its run, for its status: who was there, and what its log warned of. Names only, a bounded number. */
import type { LogFields, Logger } from "../log.ts";

/** Clients that are remembered: the latest. */
const MAX_CLIENTS = 50;
/** Events that are remembered: the latest. */
const MAX_EVENTS = 20;

export class Activity {
  /** Unix ms. */
  readonly startedMs: number;
  readonly #now: () => number;
  /** By the client's id; the latest last. */
  readonly #clients = new Map<string, number>();
  readonly #events = new Map<string, { count: number; lastMs: number }>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.startedMs = now();
  }

  /** A request came under this psk_id. This machine's own programs are no client. */
  came(pskId: string): void {
    if (!pskId.startsWith("client.")) return;
    remember(this.#clients, pskId.split(".")[2] ?? "", this.#now(), MAX_CLIENTS);
  }

  /** A logger that writes to `logger` and remembers the names of warnings and errors. */
  noting(logger: Logger): Logger {
    const note = (event: string) => {
      const count = (this.#events.get(event)?.count ?? 0) + 1;
      remember(this.#events, event, { count, lastMs: this.#now() }, MAX_EVENTS);
    };
    return {
      debug: logger.debug,
      info: logger.info,
      warn(event: string, fields?: LogFields) {
        note(event);
        logger.warn(event, fields);
      },
      error(event: string, fields?: LogFields) {
        note(event);
        logger.error(event, fields);
      },
    };
  }

  /** The latest first. */
  clients(): { id: string; lastSeenMs: number }[] {
    return [...this.#clients].reverse().map(([id, lastSeenMs]) => ({ id, lastSeenMs }));
  }

  /** The oldest first. */
  warnings(): { event: string; count: number; last_ms: number }[] {
    return [...this.#events].map(([event, { count, lastMs }]) => ({
      event,
      count,
      last_ms: lastMs,
    }));
  }
}

/** Puts it last, and drops the first where there are too many. */
function remember<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value!);
}
