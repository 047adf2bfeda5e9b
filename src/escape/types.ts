/** What an attack on live listeners is given, and what it answers. No behaviour. */
import type { AttackResult } from "../api/pipe_messages.ts";

/** Where the listeners are; null: this machine cannot have such a listener. JSON. */
export interface AttackTargets {
  /** TCP ports on 127.0.0.1; `mptcp` speaks MPTCP and falls back to TCP. */
  readonly tcp4: number;
  readonly mptcp: number | null;
  /** TCP port on ::1. */
  readonly tcp6: number | null;
  /** TCP port on 127.0.0.1, attacked as ::ffff:127.0.0.1. */
  readonly mapped: number | null;
  /** UDP port on 127.0.0.1. */
  readonly udp: number;
  /** Names of Unix sockets; `@` starts an abstract one. */
  readonly abstractStream: string;
  readonly abstractDatagram: string;
  readonly pathStream: string;
  readonly pathDatagram: string;
  /** A datagram socket by path that is attacked through a socketpair. */
  readonly pairDatagram: string;
}

export type TargetName = keyof AttackTargets;

export type { AttackResult };

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

/** Live listeners of the gateway's that a runner attacks before it is given any key. */
export interface Listeners {
  /** For the runner's attack; JSON. */
  readonly targets: object;
  /** What speaks against a runner that reported `results` (untrusted), one line each; empty: it is confined. */
  judge(results: readonly AttackResult[]): string[] | Promise<string[]>;
  /** Stops listening. */
  close(): void;
}
