/**
 * The listener of gateway and proxy: HTTP/1.1 on a TCP port or a Unix socket, made for hostile clients.
 *
 * `Deno.serve` has no deadlines, dies when file descriptors run out, and pastes Host into the URL unchecked. Here the
 * accept loop backs off and goes on, connections are capped and shared among those who come (parties.ts), heads are
 * checked as raw bytes, and nothing is waited for without end. It speaks no HTTP/2 and no upgrades, with TLS (1.2 and 1.3,
 * AEAD suites, all that rustls knows) no less, and it does not authenticate: that is the sealed format's work. A handshake
 * counts as part of the first head: the same deadline, the same cap.
 */
import { SecLlamaError } from "../errors.ts";
import { label, type Logger } from "../log.ts";
import { isLoopback } from "../loopback.ts";
import type { Handler } from "./answer.ts";
import { Connection, type ConnectionOptions, type Socket } from "./connection.ts";
import { Leaving } from "./leaving.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { Newcomers } from "./newcomers.ts";
import { noDelay } from "./no_delay.ts";
import { partyOf, Places } from "./parties.ts";
import { Refusal } from "./refusal.ts";
import type { Rules } from "./rules.ts";

/** Where to listen, what to serve, and who may come. */
export interface HardenedOptions {
  /** An address of this machine. */
  readonly hostname: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** PEM certificate chain and private key: TLS instead of plaintext. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** A Unix socket instead of address and port; its mode says who may come. */
  readonly unix?: UnixAddress;
  /** Answers what passed every rule. */
  readonly handler: Handler;
  /** Of what is served. */
  readonly rules: Rules;
  /** Host names clients may use besides the loopback ones and `hostname`, without port. */
  readonly allowedHosts?: readonly string[];
  /** Origins of web pages that may call besides our own, as browsers write them: `https://app.example`. */
  readonly allowedOrigins?: readonly string[];
  /** Schemes whose origins may call, whatever comes after: never `http` or `https`. */
  readonly allowedSchemes?: readonly string[];
  /** Refuse connections that another user of this machine made (Linux; elsewhere there is no such check). */
  readonly sameUidOnly?: boolean;
  /** Default {@link DEFAULT_LIMITS}. */
  readonly limits?: Partial<Limits>;
  /** Gets refusals as events, never what a request says. */
  readonly logger: Logger;
  /** Aborted: no new connections; what is under way gets {@link Limits.drainMs}. */
  readonly signal: AbortSignal;
}

/** A socket in the file system. */
export interface UnixAddress {
  /** Of its file, which is not there yet. */
  readonly path: string;
  /** As for chmod: 0o660. */
  readonly mode: number;
  /** The group that it belongs to; undefined: that of this process. */
  readonly gid?: number;
}

/** A listener that runs until its signal. */
export interface HardenedServer {
  /** Where it listens: the port that the system chose, if it was asked to. */
  readonly addr: { readonly hostname: string; readonly port: number };
  /** Settles when everything is closed after the signal. */
  readonly finished: Promise<void>;
  /** Connections open now. */
  connections(): number;
}

const ACCEPT_BACKOFF_MS = 100;
/** What the runtime needs to give a closed descriptor back. */
const CLOSING_MS = 5;
/** How often deadlines are looked at: they are that late at most. */
const TICK_MS = 100;
/** Connections of others where only one user is served: enough to tell them so. */
const MAX_REFUSED = 16;
const LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"];
const WILDCARDS = ["0.0.0.0", "::"];

/**
 * Listens, and serves until the signal.
 *
 * @example
 * ```ts
 * import { silentLogger } from "../log.ts";
 * import type { Rules } from "./rules.ts";
 *
 * async function hello(rules: Rules, signal: AbortSignal): Promise<void> {
 *   const server = await serveHardened({
 *     hostname: "127.0.0.1",
 *     port: 0,
 *     handler: () => new Response("hello"),
 *     rules,
 *     logger: silentLogger,
 *     signal,
 *   });
 *   console.log(server.addr.port);
 *   await server.finished;
 * }
 * ```
 * @throws {SecLlamaError} `port-in-use`, `address-unavailable`.
 */
export function serveHardened(options: HardenedOptions): Promise<HardenedServer> {
  return Promise.resolve().then(() => {
    const listener = listen(options);
    const server = new Server(options);
    const { hostname, port } = listener.addr.transport === "unix"
      ? { hostname: options.unix!.path, port: 0 }
      : listener.addr as Deno.NetAddr;
    return {
      addr: { hostname, port },
      finished: server.serve(listener),
      connections: () => server.size,
    };
  });
}

type Listener = Deno.TcpListener | Deno.TlsListener | Deno.UnixListener;

function listen(options: HardenedOptions): Listener {
  const { hostname, port, tls, unix } = options;
  if (unix !== undefined) return listenUnix(unix);
  try {
    if (tls === undefined) return Deno.listen({ hostname, port });
    const listener = Deno.listenTls({ hostname, port, ...tls, alpnProtocols: ["http/1.1"] });
    noDelay(listener.addr);
    return listener;
  } catch (cause) {
    if (cause instanceof Deno.errors.AddrInUse) {
      throw new SecLlamaError("port-in-use", `port ${port} of ${hostname} is in use`, {
        hint: "is secllama running already? to use another port: --port or --proxy-port",
        cause,
      });
    }
    const aboutAddress = cause instanceof Deno.errors.AddrNotAvailable ||
      cause instanceof Deno.errors.PermissionDenied;
    if (tls !== undefined && !aboutAddress) {
      throw new SecLlamaError("bad-config", "the TLS certificate and key cannot be used", {
        hint: "give a PEM certificate and the unencrypted PEM key that belongs to it",
        cause,
      });
    }
    throw new SecLlamaError("address-unavailable", `cannot listen on port ${port} of ${hostname}`, {
      hint:
        "use an address of this machine, and a port from 1024 on or the right to use a lower one",
      cause,
    });
  }
}

/** @throws {SecLlamaError} `port-in-use` if another listens there, `address-unavailable`. */
function listenUnix({ path, mode, gid }: UnixAddress): Deno.UnixListener {
  const unavailable = (why: string, cause: unknown) =>
    new SecLlamaError("address-unavailable", `cannot listen on the socket ${path}: ${why}`, {
      hint: "its folder must be there, and this user must have the right to write in it",
      cause,
    });
  try {
    // For a moment it has the mode of the umask. Whoever comes then is let in by what the handler asks for, as everybody is.
    const listener = Deno.listen({ transport: "unix", path });
    try {
      if (gid !== undefined) Deno.chownSync(path, null, gid);
      Deno.chmodSync(path, mode);
      return listener;
    } catch (cause) {
      listener.close();
      Deno.removeSync(path);
      throw unavailable("its mode or group cannot be set", cause);
    }
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    if (cause instanceof Deno.errors.AddrInUse) {
      throw new SecLlamaError("port-in-use", `there is a socket ${path} already`, {
        hint: "is secllama running already? if nothing listens there, remove the file",
        cause,
      });
    }
    throw unavailable((cause as Error).name, cause);
  }
}

class Server {
  readonly #options: HardenedOptions;
  readonly #limits: Limits;
  readonly #connection: ConnectionOptions;
  readonly #places: Places;
  readonly #leaving: Leaving;
  /** Of those who are not served here, in the order of their coming. */
  readonly #refused = new Set<Connection>();
  readonly #sameUidOnly: boolean;

  constructor(options: HardenedOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const leaving = this.#leaving = new Leaving(this.#limits.connections);
    this.#places = new Places(this.#limits.connections, (one) => leaving.take(one));
    this.#sameUidOnly = options.sameUidOnly === true && Deno.build.os === "linux";
    const { handler, logger, hostname, rules } = options;
    const own = WILDCARDS.includes(hostname) ? [] : [bracketed(hostname)];
    const names = [...LOOPBACK_NAMES, ...own, ...(options.allowedHosts ?? [])];
    this.#connection = {
      handler,
      logger,
      rules,
      limits: this.#limits,
      policy: {
        allowedHosts: new Set(names.map((name) => name.toLowerCase())),
        allowedOrigins: new Set((options.allowedOrigins ?? []).map((o) => o.toLowerCase())),
        allowedSchemes: new Set(options.allowedSchemes),
        maxBodyBytes: rules.maxBodyBytes,
        tooLarge: rules.tooLarge,
        hints: rules.hints ?? {},
      },
    };
  }

  get size(): number {
    return this.#places.size + this.#leaving.size + this.#refused.size;
  }

  /** Accepts until the signal, then drains. */
  async serve(listener: Listener): Promise<void> {
    const { signal } = this.#options;
    const clock = setInterval(() => {
      const now = performance.now();
      for (const connection of this.#all()) connection.tick(now);
    }, TICK_MS);
    const stop = Promise.withResolvers<void>();
    const onAbort = () => {
      listener.close();
      stop.resolve();
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    const accepting = this.#accept(listener);
    await stop.promise;
    await accepting;
    await this.#drain();
    clearInterval(clock);
  }

  async #accept(listener: Listener): Promise<void> {
    const { signal, logger } = this.#options;
    let quietUntil = 0;
    const newcomers = new Newcomers(this.#limits.connections);
    while (!signal.aborted) {
      let conn: Socket;
      try {
        conn = await listener.accept();
      } catch (error) {
        if (signal.aborted) return;
        // Out of descriptors, or the client has gone: neither may end the loop.
        if (performance.now() > quietUntil) {
          quietUntil = performance.now() + 1_000;
          logger.warn("accept-failed", { error: label((error as Error).name) });
        }
        const spared = this.#leaving.spareOne() || this.#places.spareOne();
        const wait = spared ? CLOSING_MS : ACCEPT_BACKOFF_MS;
        await new Promise((resolve) => setTimeout(resolve, wait));
        continue;
      }
      const turn = newcomers.add(this.#admit(conn).heard, performance.now());
      await turn?.over(nextRound, () => performance.now());
    }
  }

  *#all(): Generator<Connection> {
    yield* this.#places.connections();
    yield* this.#leaving.connections();
    yield* this.#refused;
  }

  #admit(conn: Socket): Connection {
    const peer = conn.remoteAddr.transport === "tcp" ? conn.remoteAddr.hostname : "::1";
    const { name: party, isOwn } = partyOf(conn, this.#sameUidOnly);
    if (this.#sameUidOnly && !isOwn) return this.#refuse(conn, party);
    const most = isLoopback(peer) ? Infinity : this.#limits.connectionsPerPeer;
    const connection = new Connection(conn, this.#connection, { party });
    if (!this.#places.makeRoom(party, { hostname: peer, most })) this.#leaving.take(connection);
    else this.#places.add(connection, party);
    void connection.run().finally(() => {
      this.#places.remove(connection);
      this.#leaving.remove(connection);
    });
    return connection;
  }

  /** Another user may ask, to be told; a flood of that takes no place of those who are served. */
  #refuse(conn: Socket, party: string): Connection {
    const refusal = new Refusal(403, "peer-refused", "connections of other users are refused", {
      hint: "each user of this machine runs a secllama of their own",
    });
    const [oldest] = this.#refused;
    if (this.#refused.size >= MAX_REFUSED && oldest) {
      oldest.close();
      this.#refused.delete(oldest);
    }
    const connection = new Connection(conn, this.#connection, { party, refusal });
    this.#refused.add(connection);
    void connection.run().finally(() => this.#refused.delete(connection));
    return connection;
  }

  async #drain(): Promise<void> {
    for (const connection of this.#all()) connection.finishSoon();
    const deadline = performance.now() + this.#limits.drainMs;
    while (this.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const connection of this.#all()) connection.close();
    // Closed: their handlers are aborted, and what they still return goes nowhere.
  }
}

function bracketed(hostname: string): string {
  return hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
}

/** What has come by now is read in it. */
function nextRound(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
