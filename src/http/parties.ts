/**
 * Whose each connection is, asked once, at accept, and how the places are shared among them. On loopback a party is a user of
 * this machine, whom the kernel names; elsewhere it is an address, or an IPv6 network of one site.
 */
import { addressBytes, isLoopback } from "../loopback.ts";
import { Pot } from "../shares.ts";
import type { Connection, Socket } from "./connection.ts";
import { ownUid, peerUid } from "./peer.ts";

/** A connection that was used before, and has waited for a head this long, may be closed to make room. */
const EVICTABLE_MS = 500;
/** Of an IPv6 address, what one site has: anybody has 2^64 of the rest. */
const SITE_BYTES = 8;

/** Of a Unix socket: who may open it, its mode says; Deno does not tell who did. So they are many. */
export const SHARED_PARTY = "unix";

/** Who is at the other end. */
interface Party {
  /** As shares are kept: `uid 1000`, `192.0.2.1`, `2001:db8::/64` in its own way of writing. */
  readonly name: string;
  /** The user whom this process runs as; always true where nobody tells. */
  readonly isOwn: boolean;
}

/**
 * Asks the kernel whose a connection is.
 * @param must Who is not told to be this user is another one.
 */
export function partyOf(conn: Socket, must: boolean): Party {
  if (conn.remoteAddr.transport === "unix") return { name: SHARED_PARTY, isOwn: true };
  const remote = conn.remoteAddr as Deno.NetAddr;
  if (Deno.build.os !== "linux" || !isLoopback(remote.hostname)) {
    return { name: siteOf(remote.hostname), isOwn: !must || Deno.build.os !== "linux" };
  }
  try {
    const uid = peerUid(remote, conn.localAddr as Deno.NetAddr);
    return { name: `uid ${uid}`, isOwn: uid === ownUid() };
  } catch {
    return { name: remote.hostname, isOwn: !must }; // the kernel's tables cannot be read
  }
}

/** An address, or of an IPv6 address the network that one site has. */
export function siteOf(hostname: string): string {
  const bytes = addressBytes(hostname);
  return bytes.length === 4 ? bytes.join(".") : `${bytes.slice(0, SITE_BYTES).toHex()}::/64`;
}

/** The connections that are open, each with its party, and who has to go for a newcomer. */
export class Places {
  readonly #pot: Pot;
  /** In the order of their coming. */
  readonly #open = new Map<Connection, string>();
  readonly #perPeer = new Map<string, number>();
  readonly #leave: (connection: Connection) => void;

  /** @param limit Connections at once. `leave` is given each that loses its place to a newcomer. */
  constructor(limit: number, leave: (connection: Connection) => void) {
    this.#pot = new Pot({ limit, floor: 1 });
    this.#leave = leave;
  }

  get size(): number {
    return this.#open.size;
  }

  /** In the order of their coming. */
  connections(): IterableIterator<Connection> {
    return this.#open.keys();
  }

  /**
   * Whether there is a place for one more of this party's, after another has lost its own if need be.
   * @param peer The newcomer's address, and how many of it there may be; one of its own makes room for more.
   */
  makeRoom(party: string, peer?: { readonly hostname: string; readonly most: number }): boolean {
    for (;;) {
      const tooMany = peer !== undefined && this.from(peer.hostname) >= peer.most;
      if (!tooMany && this.#pot.has(party, 1)) return true;
      const victim = tooMany ? this.#chooseOf(peer.hostname) : this.#chooseVictim(party);
      if (victim === undefined) return false;
      this.remove(victim);
      // Between two requests there is nothing to be answered.
      if (victim.isIdle && victim.unprovenSince === undefined) victim.close();
      else this.#leave(victim);
    }
  }

  /** How many come from this address. */
  from(hostname: string): number {
    return this.#perPeer.get(hostname) ?? 0;
  }

  add(connection: Connection, party: string): void {
    this.#pot.take(party, 1);
    this.#open.set(connection, party);
    this.#perPeer.set(connection.peer.hostname, this.from(connection.peer.hostname) + 1);
  }

  remove(connection: Connection): void {
    const party = this.#open.get(connection);
    if (party === undefined) return;
    this.#open.delete(connection);
    this.#pot.give(party, 1);
    const { hostname } = connection.peer;
    const left = this.from(hostname) - 1;
    if (left > 0) this.#perPeer.set(hostname, left);
    else this.#perPeer.delete(hostname);
  }

  /** Closes one that can be spared, whoever's; false: there is none. */
  spareOne(): boolean {
    const victim = this.#chooseVictim(undefined);
    victim?.close();
    if (victim) this.remove(victim);
    return victim !== undefined;
  }

  /**
   * Of those who have at least as many as the newcomer's party, the largest first: the one that has sent no request, or no whole
   * one, for longest, else the one that has waited longest for another request. So a flood, of the same user's or of another's,
   * pushes out itself; a request that comes at once is served long before its turn.
   */
  #chooseVictim(newcomer: string | undefined): Connection | undefined {
    const held = new Map<string, Connection[]>();
    for (const [connection, party] of this.#open) {
      const list = held.get(party);
      if (list) list.push(connection);
      else held.set(party, [connection]);
    }
    const own = newcomer === undefined ? 0 : held.get(newcomer)?.length ?? 0;
    const since = newcomer === undefined ? Infinity : performance.now() - EVICTABLE_MS;
    const largest = [...held.values()].filter(({ length }) => length >= own)
      .sort((a, b) => b.length - a.length);
    for (const connections of largest) {
      const victim = sparable(connections, since);
      if (victim) return victim;
    }
    return undefined;
  }

  /** Of one address's. */
  #chooseOf(hostname: string): Connection | undefined {
    const connections = [...this.#open.keys()].filter(({ peer }) => peer.hostname === hostname);
    return sparable(connections, performance.now() - EVICTABLE_MS);
  }
}

/** @param since An idle one may go if it has waited since then, on `performance.now()`. */
function sparable(connections: readonly Connection[], since: number): Connection | undefined {
  return longestUnproven(connections) ?? longestIdle(connections, since);
}

function longestUnproven(connections: readonly Connection[]): Connection | undefined {
  let longest: { connection: Connection; since: number } | undefined;
  for (const connection of connections) {
    const since = connection.unprovenSince;
    if (since !== undefined && since < (longest?.since ?? Infinity)) {
      longest = { connection, since };
    }
  }
  return longest?.connection;
}

function longestIdle(connections: readonly Connection[], since: number): Connection | undefined {
  return connections.filter((one) => one.isIdle && one.waitingSince <= since)
    .sort((a, b) => a.waitingSince - b.waitingSince)[0];
}
