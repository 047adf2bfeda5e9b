/**
 * Breaks a TCP connection whose write is stuck. `conn.close()` under Deno waits for a write that is under way, and a client
 * that takes nothing can hold that for as long as it likes, with our descriptor and memory; shutdown(2) ends it at once.
 * Deno shows no descriptor numbers, so the one to shut down is found by its two addresses. Linux only.
 */
import { type Linux, linux } from "../linux/libc.ts";
import { addressBytes } from "../loopback.ts";

const AF_INET = 2;
const SHUT_RDWR = 2;

/** Shuts the socket between these addresses down, both ways; false if it was not found or cannot be. */
export function breakSocket(local: Deno.NetAddr, remote: Deno.NetAddr): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    const os = linux();
    for (const name of os.readDirectory("/proc/self/fd")) {
      const fd = Number(name);
      if (!isAt(os, "getpeername", fd, remote) || !isAt(os, "getsockname", fd, local)) continue;
      return os.call("shutdown", fd, SHUT_RDWR) === 0;
    }
  } catch { /* no /proc: the write stays stuck, and its connection counts until it ends */ }
  return false;
}

/** Whether `call` (getsockname or getpeername) gives this address: `struct sockaddr_in[6]`: family u16 | port be16 | 4 bytes, or flow u32 | 16 bytes. */
export function isAt(os: Linux, call: string, fd: number, address: Deno.NetAddr): boolean {
  const name = new Uint8Array(new ArrayBuffer(28));
  const length = new Uint8Array(new ArrayBuffer(4));
  length[0] = name.length;
  if (os.call(call, fd, name, length) !== 0) return false;
  const view = new DataView(name.buffer);
  if (view.getUint16(2) !== address.port) return false;
  const wanted = addressBytes(address.hostname);
  const found = view.getUint16(0, true) === AF_INET ? name.subarray(4, 8) : name.subarray(8, 24);
  // An IPv4 client of an IPv6 socket has its address in the last four bytes.
  return wanted.toHex() === found.subarray(-wanted.length).toHex();
}
