/**
 * TCP_NODELAY for TLS. Deno has `setNoDelay` for plain connections only, and without it a token waits for the client's delayed
 * acknowledgement of the one before. On Linux (tcp(7)) an accepted socket has the option from its listener, so it is set there.
 */
import { linux } from "../linux/libc.ts";
import { isAt } from "./break_socket.ts";

const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

/** Sets the option on the listening socket at `address`; false where it was not found or cannot be. */
export function noDelay(address: Deno.NetAddr): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    const os = linux();
    const on = new Uint8Array(new ArrayBuffer(4));
    on[0] = 1;
    for (const name of os.readDirectory("/proc/self/fd")) {
      const fd = Number(name);
      if (!isAt(os, "getsockname", fd, address)) continue;
      return os.call("setsockopt", fd, IPPROTO_TCP, TCP_NODELAY, on, on.length) === 0;
    }
  } catch { /* no /proc: tokens may come in pairs */ }
  return false;
}
