/** Where the gateway's portable listeners are: those of macOS and Windows. No behaviour. */
export interface LoopbackTargets {
  /** TCP port on 127.0.0.1. */
  readonly tcp4: number;
  /** TCP port on ::1; null: this machine has none. */
  readonly tcp6: number | null;
  /** UDP port on 127.0.0.1. */
  readonly udp: number;
  /** Path of a Unix stream socket; null: not on this system. */
  readonly pathStream: string | null;
}
