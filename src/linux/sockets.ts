/** Socket addresses and constants of Linux (socket(7), ip(7), ipv6(7), unix(7)), as bytes for system calls. Pure. */
import { alloc } from "./libc.ts";

export const AF = { unix: 1, inet: 2, inet6: 10, netlink: 16, packet: 17, vsock: 40 } as const;
export const SOCK = {
  stream: 1,
  datagram: 2,
  raw: 3,
  nonBlock: 0o4000,
  closeOnExec: 0o2000000,
} as const;
export const IPPROTO_MPTCP = 262;

/** `struct sockaddr_in`: port big-endian. @throws {TypeError} If `address` is not dotted IPv4. */
export function ipv4(address: string, port: number): Uint8Array<ArrayBuffer> {
  const parts = address.split(".").map(Number);
  if (parts.length !== 4 || parts.some((n) => !(n >= 0 && n < 256))) {
    throw new TypeError(`${address} is not an IPv4 address`);
  }
  const out = alloc(16);
  const view = new DataView(out.buffer);
  view.setUint16(0, AF.inet, true);
  view.setUint16(2, port);
  out.set(parts, 4);
  return out;
}

/** `struct sockaddr_in6` for `::1`, or for `::ffff:a.b.c.d` where `mapped` gives the four bytes. */
export function ipv6Loopback(port: number, mapped?: readonly number[]): Uint8Array<ArrayBuffer> {
  const out = alloc(28);
  const view = new DataView(out.buffer);
  view.setUint16(0, AF.inet6, true);
  view.setUint16(2, port);
  if (mapped) {
    out.set([0xff, 0xff, ...mapped], 18);
  } else out[23] = 1;
  return out;
}

/** `struct sockaddr_un`; a name in the abstract namespace starts with `@`, as in /proc/net/unix. */
export function unixAddress(name: string): Uint8Array<ArrayBuffer> {
  const path = new TextEncoder().encode(name);
  if (path.length > 107) throw new TypeError("a Unix socket's name is over 107 bytes");
  const abstract = name.startsWith("@");
  if (abstract) path[0] = 0;
  const out = alloc(2 + path.length + (abstract ? 0 : 1));
  new DataView(out.buffer).setUint16(0, AF.unix, true);
  out.set(path, 2);
  return out;
}
