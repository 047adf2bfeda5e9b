/** Which server can be reached, by a TCP connection alone. */
import { connect, type Socket } from "node:net";

/** Between two tries, ms: how long after a network is whole again it goes unnoticed. */
const EVERY_MS = 300;
/** Tries that are waited for at one time: each for three seconds, in which a slow machine answers. */
const AT_ONCE = 10;

/**
 * Waits until one of the servers takes a connection, and ends it at once. Where nothing comes through, one that was asked for
 * seconds ago is tried again after seconds only; so each try is a new one, whatever the ones before it wait for.
 * @param servers `tls://host:port`.
 * @returns The one that answered; undefined: the signal came first.
 */
export async function firstReached(
  servers: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const waiting: Socket[] = [];
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const knock = (server: string) => {
    const { hostname, port } = new URL(server);
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const socket = connect({ host, port: Number(port || 4222) });
    socket.on("connect", () => resolve(server));
    socket.on("error", () => socket.destroy());
    waiting.push(socket);
    if (waiting.length > AT_ONCE) waiting.shift()!.destroy();
  };
  let tries = 0;
  const next = () => knock(servers[tries++ % servers.length]!);
  const timer = setInterval(next, EVERY_MS);
  const onAbort = () => resolve(undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  else next();
  try {
    return await promise;
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", onAbort);
    for (const socket of waiting) socket.destroy();
  }
}
