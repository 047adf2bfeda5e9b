/** What the listener allows, in one table. */

export interface Limits {
  /** Connections at once, each one file descriptor, shared among those who come ({@link "./parties.ts"}). */
  readonly connections: number;
  /** Of these, from one address that is not loopback. */
  readonly connectionsPerPeer: number;
  /** Bytes of a request head. */
  readonly headBytes: number;
  /** From accept, or from a head's first byte on a kept connection, to its end. */
  readonly headMs: number;
  /** How long a kept connection may wait for its next request. */
  readonly idleMs: number;
  /** Longest pause inside a request's body that the handler is waiting for. */
  readonly bodyPauseMs: number;
  /** A body may take this long, and a second more for each `bodyBytesPerSecond` received. */
  readonly bodyMs: number;
  /** Slower bodies run into `bodyMs`. */
  readonly bodyBytesPerSecond: number;
  /** Longest time a client may take nothing of an answer that is ready for it. */
  readonly writePauseMs: number;
  /** From the signal to the end of the last connection. */
  readonly drainMs: number;
}

/** What counts unless a listener says otherwise. */
export const DEFAULT_LIMITS: Limits = {
  connections: 512,
  connectionsPerPeer: 128,
  headBytes: 32 * 1024,
  headMs: 10_000,
  idleMs: 60_000,
  bodyPauseMs: 15_000,
  bodyMs: 30_000,
  bodyBytesPerSecond: 16 * 1024,
  writePauseMs: 120_000,
  drainMs: 3_000,
};
