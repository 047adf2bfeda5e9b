/**
 * One HTTP request to a checked address. The name is resolved here, the addresses are judged, and the connection is made
 * to one of those: TLS then proves the name. Redirects are not followed, nothing is decompressed, no proxy variable is
 * read, no connection is kept.
 */
import { lookup } from "node:dns/promises";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { Duplex } from "node:stream";
import { SecLlamaError } from "../errors.ts";
import { allowedAddresses, type Destination } from "./policy.ts";

/** What the transport needs of the network; tests stand in for the name service. */
export interface Network {
  /** All addresses of a name. */
  resolve(hostname: string): Promise<readonly string[]>;
  connect(address: string, port: number): Promise<Deno.TcpConn>;
  /** Certificates that are trusted besides the usual ones, PEM. */
  readonly caCerts?: readonly string[];
}

export const SYSTEM_NETWORK: Network = {
  async resolve(hostname) {
    return (await lookup(hostname, { all: true })).map(({ address }) => address);
  },
  connect: (address, port) => Deno.connect({ hostname: address, port }),
};

export interface Answer extends Disposable {
  readonly status: number;
  header(name: string): string | undefined;
  /** The body as it comes. @throws {SecLlamaError} `pull-failed` if it breaks off or stalls. */
  body(): AsyncGenerator<Uint8Array>;
}

export interface TransportOptions {
  readonly network: Network;
  readonly signal: AbortSignal;
  /** Longest wait for a connection, for a head, and between two pieces of a body. */
  readonly idleMs: number;
}

/**
 * Sends a GET and gives the answer as soon as its head is there.
 * @throws {SecLlamaError} `pull-refused` for a forbidden address, `pull-failed`, `cancelled`.
 */
export async function get(
  to: Destination,
  headers: Readonly<Record<string, string>>,
  options: TransportOptions,
): Promise<Answer> {
  const { idleMs, signal } = options;
  const conn = await within(connect(to, options.network), { idleMs, signal });
  const stream = Duplex.from({ readable: conn.readable, writable: conn.writable });
  // Errors reach us through the request; a second one, after its end, has nobody to tell.
  stream.on("error", () => {});
  const close = () => {
    stream.destroy();
    try {
      conn.close();
    } catch { /* closed already */ }
  };
  try {
    const message = await within(send(to.url, headers, stream), { idleMs, signal });
    const encoding = message.headers["content-encoding"];
    // Never asked for: an answer that is compressed all the same may be a bomb (CVE-2024-12886).
    if (encoding !== undefined && encoding !== "identity") {
      throw new SecLlamaError("pull-refused", "the registry sends compressed answers unasked");
    }
    return {
      status: message.statusCode ?? 0,
      header: (name) => {
        const value = message.headers[name];
        return typeof value === "string" ? value : undefined;
      },
      body: () => read(message, { idleMs, signal }),
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw failure(to, error);
  }
}

async function connect(to: Destination, network: Network): Promise<Deno.Conn> {
  const { url } = to;
  const secure = url.protocol === "https:";
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  try {
    const addresses = allowedAddresses(to, await network.resolve(url.hostname));
    let last: unknown;
    for (const address of addresses) {
      try {
        const conn = await network.connect(address, port);
        if (!secure) return conn;
        const tls = await Deno.startTls(conn, {
          hostname: url.hostname,
          alpnProtocols: ["http/1.1"],
          ...(network.caCerts ? { caCerts: [...network.caCerts] } : {}),
        });
        await tls.handshake();
        return tls;
      } catch (error) {
        last = error;
      }
    }
    throw last;
  } catch (error) {
    throw failure(to, error);
  }
}

function send(
  url: URL,
  headers: Readonly<Record<string, string>>,
  stream: Duplex,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      method: "GET",
      hostname: url.hostname,
      path: url.pathname + url.search,
      headers: { host: url.host, connection: "close", "user-agent": "secllama", ...headers },
      createConnection: () => stream,
      setDefaultHeaders: false,
    }, resolve);
    request.on("error", reject);
    request.end();
  });
}

async function* read(
  message: IncomingMessage,
  limits: { idleMs: number; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const brokeOff = (cause?: unknown) =>
    new SecLlamaError("pull-failed", "the registry broke off", { cause });
  const chunks = message[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await within(chunks.next(), limits).catch((error) => {
      throw error instanceof SecLlamaError ? error : brokeOff(error);
    });
    if (done) break;
    yield value as Uint8Array;
  }
  if (!message.complete) throw brokeOff();
}

/** Waits at most `idleMs`, and not past the signal. */
async function within<T>(
  work: Promise<T>,
  o: { idleMs: number; signal: AbortSignal },
): Promise<T> {
  const stop = Promise.withResolvers<never>();
  const onAbort = () => stop.reject(new SecLlamaError("cancelled", "the pull was cancelled"));
  const timer = setTimeout(
    () => stop.reject(new SecLlamaError("pull-failed", "the registry does not answer in time")),
    o.idleMs,
  );
  if (o.signal.aborted) onAbort();
  o.signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([work, stop.promise]);
  } catch (error) {
    // A connection that comes after all must not stay open.
    void work.then((late) => {
      if (late instanceof Object && "close" in late) (late as unknown as Deno.Conn).close();
    }).catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
    o.signal.removeEventListener("abort", onAbort);
  }
}

function failure(to: Destination, error: unknown): SecLlamaError {
  if (error instanceof SecLlamaError) return error;
  const certificate = error instanceof Error && /certificate|UnknownIssuer/i.test(error.message);
  return new SecLlamaError(
    "pull-failed",
    certificate
      ? `the certificate of ${to.url.host} is not one to trust`
      : `${to.url.host} cannot be reached`,
    {
      hint: certificate
        ? "is this the host you mean? for a certificate of your own: SECLLAMA_REGISTRY_CA"
        : "check the name and the network; what has been fetched is kept",
      cause: error,
    },
  );
}
