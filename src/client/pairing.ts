/**
 * The pairing string: everything one client needs to talk to one gateway, as one line that can be pasted or scanned.
 *
 * ```
 * secllama-pair-1.<base64url(JSON {url, psk_id, psk, hid, issuer?, cert?, previous?})>.<CRC-32 of the JSON's bytes, 8 hex digits>
 * ```
 * `psk` is 32 bytes, `hid` the host's id of 16, or a fleet's with its `issuer`'s public key of 32, and `cert` a certificate's DER,
 * all base64url without padding. `previous` `{psk_id, psk}` is the key before this one, after a rotation and until this one has
 * opened a reply. The line is a secret: whoever has it can ask the host's models, as this client, until the host revokes it. The
 * checksum finds a mangled paste and proves nothing else. Uses web standards only, so that browsers can read it too.
 */
import { type Bytes, fromBase64Url, toBase64Url, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { isLoopbackHost } from "../loopback.ts";
import { fromPem, toPem } from "../pem.ts";
import { isPskId } from "../sealed/header.ts";
import { HID_BYTES } from "../sealed/psk.ts";
import type { Credentials, Psk } from "./options.ts";

/** All that a paired machine needs to use one host. */
export interface Pairing extends Credentials {
  /** The gateway: https, or http on loopback. No query, no fragment, no user. */
  readonly url: string;
  /** The gateway's self-signed certificate, PEM; undefined: the system's authorities vouch for it. */
  readonly certificate?: string;
}

const FAMILY = "secllama-pair-";
const VERSION = "1";
const PSK_BYTES = 32;
/** An Ed25519 public key. */
const ISSUER_BYTES = 32;
/** Up to its checksum, and the full stop or quote behind it. */
const WHOLE = /^(secllama-pair-\d+\.[A-Za-z0-9_-]+\.[0-9a-fA-F]{8})[^A-Za-z0-9_-]*/;
/** A certificate has some 400 bytes; nothing real comes near this. */
const MAX_TEXT = 64 * 1024;

/**
 * The pairing string, one line.
 *
 * @example
 * ```ts
 * const text = encodePairing({
 *   url: "http://127.0.0.1:11435",
 *   pskId: "local.0011223344556677",
 *   psk: new Uint8Array(32),
 *   hid: new Uint8Array(16),
 * });
 * console.log(parsePairing(text).url); // "http://127.0.0.1:11435/"
 * ```
 * @throws {SecLlamaError} `bad-pairing` if a field would not be read back.
 */
export function encodePairing(pairing: Pairing): string {
  const json = utf8(JSON.stringify({
    url: checkUrl(pairing.url),
    psk_id: pairing.pskId,
    psk: toBase64Url(pairing.psk),
    hid: toBase64Url(pairing.hid),
    ...(pairing.issuer && { issuer: toBase64Url(pairing.issuer) }),
    ...(pairing.certificate === undefined
      ? {}
      : { cert: toBase64Url(derOfPem(pairing.certificate)) }),
    ...(pairing.previous && {
      previous: { psk_id: pairing.previous.pskId, psk: toBase64Url(pairing.previous.psk) },
    }),
  }));
  const text = `${FAMILY}${VERSION}.${toBase64Url(json)}.${checksum(json)}`;
  parsePairing(text);
  return text;
}

/**
 * Reads a pairing string, from its first word to its checksum: what stands before and behind is ignored, and so is white space in
 * it, since terminals and mail break long lines.
 * @throws {SecLlamaError} `bad-pairing` saying what is wrong; never with a part of the string.
 */
export function parsePairing(text: string): Pairing {
  if (text.length > MAX_TEXT) throw bad("the pairing string is too long");
  const line = stringIn(text);
  if (line === "") throw bad("the pairing string is empty");
  if (!line.startsWith(FAMILY)) {
    throw bad(`a pairing string starts with ${FAMILY}${VERSION}.`);
  }
  const [version, body, sum, ...more] = line.slice(FAMILY.length).split(".");
  if (version !== VERSION) {
    throw new SecLlamaError("bad-pairing", "the pairing string is of a version not known here", {
      hint: "bring secllama up to date on this machine",
    });
  }
  let json: Bytes;
  try {
    json = fromBase64Url(body ?? "");
  } catch {
    throw mangled();
  }
  if (sum === undefined || more.length > 0 || sum.toLowerCase() !== checksum(json)) throw mangled();
  let value: unknown;
  try {
    value = JSON.parse(utf8Decode(json));
  } catch {
    throw bad("the pairing string holds no JSON");
  }
  return readFields(value);
}

/** The string without what mail and chat put around and into it: line ends, quote marks, words before, a signature behind. */
function stringIn(text: string): string {
  // Web pages and chats put marks in that are not seen.
  const pieces = text.replace(/\p{Cf}/gu, "").split(/\s+/).map((piece) =>
    piece.replace(/^[^A-Za-z0-9_.-]+|=$/g, "")
  );
  const start = pieces.findIndex((_, i) => startsFamily(pieces, i));
  const from = pieces.slice(Math.max(0, start));
  const line = from.join("");
  const whole = WHOLE.exec(line);
  if (whole === null) return line;
  // What is glued to the checksum is a mistake; what stands apart, or is a mark, is none of the string's.
  const [end, marked] = [whole[1]!.length, whole[0].length];
  let at = 0;
  for (const piece of from) {
    at += piece.length;
    if (at >= end) break;
  }
  return at === end || at === marked ? whole[1]! : line;
}

function startsFamily(pieces: readonly string[], from: number): boolean {
  let line = "";
  for (let i = from; i < pieces.length && line.length < FAMILY.length; i++) line += pieces[i];
  return line.startsWith(FAMILY);
}

/** Fields of a later minor version are left alone. */
function readFields(value: unknown): Pairing {
  const o = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const { url, hid, issuer, cert, previous } = o;
  const { pskId, psk } = pskFields(o);
  return {
    url: checkUrl(url),
    pskId,
    psk,
    hid: bytesField(hid, "hid", HID_BYTES),
    ...(issuer === undefined ? {} : { issuer: bytesField(issuer, "issuer", ISSUER_BYTES) }),
    ...(cert === undefined ? {} : { certificate: pemOfDer(bytesField(cert, "cert")) }),
    ...(previous === undefined ? {} : { previous: pskFields(previous ?? {}) }),
  };
}

function pskFields(value: { psk_id?: unknown; psk?: unknown }): Psk {
  const { psk_id: pskId, psk } = value;
  if (typeof pskId !== "string" || !isPskId(pskId)) {
    throw bad("the pairing string has a bad psk_id");
  }
  return { pskId, psk: bytesField(psk, "psk", PSK_BYTES) };
}

function bytesField(value: unknown, name: string, length?: number): Bytes {
  try {
    if (typeof value === "string" && value !== "") {
      const bytes = fromBase64Url(value);
      if (length === undefined || bytes.length === length) return bytes;
    }
  } catch { /* not base64url */ }
  throw bad(`the pairing string has a bad ${name}`);
}

function checkUrl(value: unknown): string {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : null;
  if (
    url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "" ||
    url.username !== "" || url.password !== ""
  ) {
    throw bad("the gateway's address must be an https URL without query or user");
  }
  if (url.protocol === "http:" && !isLoopbackHost(url.hostname)) {
    throw bad("the gateway's address must be https: http is for loopback only");
  }
  return url.href;
}

/** DER of the first certificate in a PEM text (RFC 7468). @throws {SecLlamaError} `bad-pairing`. */
export function derOfPem(pem: string): Bytes {
  try {
    return fromPem("CERTIFICATE", pem);
  } catch { /* none, or not base64 */ }
  throw bad("the certificate is not PEM");
}

/** PEM of one DER certificate. */
export function pemOfDer(der: Uint8Array): string {
  return toPem("CERTIFICATE", der);
}

/** CRC-32 as in ISO 3309 and zlib, 8 lower-case hex digits. */
function checksum(bytes: Uint8Array): string {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return (~crc >>> 0).toString(16).padStart(8, "0");
}

function mangled(): SecLlamaError {
  return new SecLlamaError(
    "bad-pairing",
    "the pairing string was cut short or changed on the way",
    {
      hint: "copy the whole line again; if it is lost, pair anew on the host: secllama pair NAME",
    },
  );
}

function bad(message: string): SecLlamaError {
  return new SecLlamaError("bad-pairing", message, {
    hint: "a pairing string is made on the host: secllama pair NAME",
  });
}
