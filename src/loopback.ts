/** Addresses as bytes, and whether a host is this machine itself. */

/** The 4 or 16 bytes of an address as Deno prints it. An IPv4 address within IPv6 is the IPv4 address. */
export function addressBytes(hostname: string): Uint8Array<ArrayBuffer> {
  const four = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(hostname);
  if (four) return Uint8Array.from(four.slice(1), Number);
  const [before, after] = hostname.split("%")[0]!.split("::");
  const words = (part: string | undefined) =>
    part ? part.split(":").map((w) => parseInt(w, 16)) : [];
  const [head, tail] = [words(before), words(after)];
  const all = [...head, ...Array(Math.max(0, 8 - head.length - tail.length)).fill(0), ...tail];
  return Uint8Array.from(all.flatMap((w: number) => [w >> 8, w & 255]));
}

/** Whether an address, as Deno prints it, is of this machine's loopback: 127.0.0.0/8 or ::1. */
export function isLoopback(address: string): boolean {
  const bytes = addressBytes(address);
  return bytes.length === 4
    ? bytes[0] === 127
    : bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
}

const LOOPBACK_V4 = /^127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;

/**
 * Whether a host as somebody wrote it, without port, in brackets or not, is this machine and no other: `localhost` or an address
 * of loopback. No other name is, whatever it resolves to.
 */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  if (name === "localhost" || LOOPBACK_V4.test(name)) return true;
  if (!/^[0-9a-f:.]{2,45}$/.test(name) || !name.includes(":")) return false;
  const url = `http://[${name}]/`;
  // The URL standard has one spelling for each address.
  return URL.canParse(url) &&
    /^\[::(?:1|ffff:7f[0-9a-f]{2}:[0-9a-f]+)\]$/.test(new URL(url).hostname);
}
