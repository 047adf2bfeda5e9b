/**
 * Breaks a TCP connection whose write is stuck. `conn.close()` under Deno waits for a write that is under way, and a client
 * that takes nothing can hold that for as long as it likes, with our descriptor and memory; shutdown(2) ends it at once.
 * Deno shows no descriptor numbers, so the one to shut down is found by its two addresses. Linux only.
 */
import { type Linux, linux } from "../linux/libc.ts";
import { addressBytes } from "../loopback.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SHUT_RDWR = 2;

/** Descriptors by both ends of their sockets, as they were when all were last looked at: a look takes as long as there are many. */
let seen: ReadonlyMap<string, number> = new Map();

/** Shuts the socket between these addresses down, both ways; false if it was not found or cannot be. */
export function breakSocket(local: Deno.NetAddr, remote: Deno.NetAddr): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    const os = linux();
    const wanted = ends(remote, local);
    const known = seen.get(wanted);
    // It may be another one's by now.
    const isIts = known !== undefined && isAt(os, "getpeername", known, remote) &&
      isAt(os, "getsockname", known, local);
    if (!isIts) seen = allSockets(os);
    const fd = seen.get(wanted);
    return fd !== undefined && os.call("shutdown", fd, SHUT_RDWR) === 0;
  } catch { /* no /proc: the write stays stuck, and its connection counts until it ends */ }
  return false;
}

function allSockets(os: Linux): ReadonlyMap<string, number> {
  const all = new Map<string, number>();
  for (const name of os.readDirectory("/proc/self/fd")) {
    const fd = Number(name);
    const peer = endOf(os, "getpeername", fd);
    const own = peer && endOf(os, "getsockname", fd);
    if (peer && own) all.set(ends(peer, own), fd);
  }
  return all;
}

function ends(
  ...both: readonly { readonly hostname: string | Uint8Array; readonly port: number }[]
) {
  return both.map(({ hostname, port }) => {
    const bytes = typeof hostname === "string" ? addressBytes(hostname) : hostname;
    return `${bytes.toHex()} ${port}`;
  }).join(" ");
}

/** Whether `call` (getsockname or getpeername) gives this address. */
export function isAt(os: Linux, call: string, fd: number, address: Deno.NetAddr): boolean {
  const end = endOf(os, call, fd);
  return end !== undefined && ends(end) === ends(address);
}

/**
 * What `call` gives: `struct sockaddr_in[6]`: family u16 | port be16 | 4 bytes, or flow u32 | 16 bytes. undefined: no end of a network's
 * socket.
 */
function endOf(
  os: Linux,
  call: string,
  fd: number,
): { readonly hostname: Uint8Array; readonly port: number } | undefined {
  const name = new Uint8Array(new ArrayBuffer(28));
  const length = new Uint8Array(new ArrayBuffer(4));
  length[0] = name.length;
  if (os.call(call, fd, name, length) !== 0) return undefined;
  const view = new DataView(name.buffer);
  const family = view.getUint16(0, true);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const address = family === AF_INET ? name.subarray(4, 8) : name.subarray(8, 24);
  // An IPv4 client of an IPv6 socket has its address in the last four bytes.
  const isMapped = address.toHex().startsWith("00000000000000000000ffff");
  return { hostname: isMapped ? address.subarray(-4) : address, port: view.getUint16(2) };
}
