/** Host names and addresses as a certificate and a Host header have them. */
import { addressBytes } from "../loopback.ts";

/** Lower-case DNS name, or an address; no port, no brackets, no wildcard. */
export function isHostName(text: string): boolean {
  return addressOfName(text) !== undefined ||
    (text.length <= 253 &&
      /^(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/
        .test(text) &&
      !/\.\d+$/.test(text));
}

/** The 4 or 16 bytes of an address; undefined if `name` is none. */
export function addressOfName(name: string): Uint8Array<ArrayBuffer> | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(name);
  if (four) {
    const bytes = four.slice(1).map(Number);
    return bytes.every((byte) => byte < 256) ? Uint8Array.from(bytes) : undefined;
  }
  if (!/^[0-9a-f:]{2,39}$/.test(name) || !name.includes(":")) return undefined;
  // The URL parser is the judge of IPv6, and writes it in one form.
  const parsed = URL.parse(`http://[${name}]/`)?.hostname.slice(1, -1);
  if (parsed === undefined) return undefined;
  return addressBytes(parsed);
}

/** A name as it stands in a URL or a Host header: an IPv6 address in brackets. */
export function inUrl(name: string): string {
  return name.includes(":") ? `[${name}]` : name;
}

/** The name of a URL's host, without brackets. */
export function nameOfUrl(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, "");
}
