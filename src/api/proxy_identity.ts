/**
 * How a program of this user knows that what answers on the proxy's port is this user's proxy, before any prompt goes there.
 *
 * The proxy makes an Ed25519 key (RFC 8032) at its start, which is in no file, and writes the public half to the private data
 * folder, `proxy-PORT.json`. Whoever wants to know sends 32 random bytes and gets them signed, with the port. Only this user, and
 * root, can write that file; only the proxy that wrote it can sign.
 *
 *     signed text: "secllama/1 proxy identity" 0x00 | port u16, big-endian | challenge[32]
 */
import { type Bytes, concat, fromBase64Url, toBase64Url, u16, utf8 } from "../bytes.ts";

export const CHALLENGE_BYTES = 32;
const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const LABEL = utf8("secllama/1 proxy identity\0");

/** The name of the announcement in the data folder. */
export function announcementName(port: number): string {
  return `proxy-${port}.json`;
}

/** The content of the announcement. */
export function announcementText(publicKey: Uint8Array, pid: number, token?: string): string {
  const own = token === undefined ? {} : { token };
  return JSON.stringify({ v: 1, pid, public_key: toBase64Url(publicKey), ...own }) + "\n";
}

/** The token that the proxy takes from this user's own commands; undefined: it asks for none. */
export function readOwnToken(text: string): string | undefined {
  try {
    const { token } = Object(JSON.parse(text)) as Record<string, unknown>;
    return typeof token === "string" && /^[A-Za-z0-9_-]{16,128}$/.test(token) ? token : undefined;
  } catch {
    return undefined;
  }
}

/** The public key of an announcement; undefined: it is none. */
export function readAnnouncement(text: string): Bytes | undefined {
  try {
    const { v, public_key: key } = Object(JSON.parse(text)) as Record<string, unknown>;
    return v === 1 ? bytesOf(key, PUBLIC_KEY_BYTES) : undefined;
  } catch {
    return undefined;
  }
}

/** What the proxy signs. */
export function signedText(port: number, challenge: Uint8Array): Bytes {
  return concat(LABEL, u16(port), challenge);
}

/** The challenge of a request, `{"challenge": "base64url"}`; undefined: it has none. */
export function readChallenge(body: unknown): Bytes | undefined {
  return bytesOf(Object(body)["challenge"], CHALLENGE_BYTES);
}

/** The signature of an answer, `{"signature": "base64url"}`; undefined: it has none. */
export function readSignature(body: unknown): Bytes | undefined {
  return bytesOf(Object(body)["signature"], SIGNATURE_BYTES);
}

function bytesOf(value: unknown, length: number): Bytes | undefined {
  if (typeof value !== "string" || value.length > 2 * length) return undefined;
  try {
    const bytes = fromBase64Url(value);
    return bytes.length === length ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** The page's launch secret, from a command of this user, where the kernel does not say whose a connection is. */
export const LAUNCH_HEADER = "secllama-launch";
