/**
 * X.509 certificates (RFC 5280), ECDSA P-256 with SHA-256: an authority of one gateway, and what it signs for that gateway's
 * TLS listener. The authority's certificate is what a paired client pins, so the listener's can change with its names and
 * dates while every client stays paired.
 */
import { type Bytes, utf8 } from "../bytes.ts";
import { addressOfName } from "./names.ts";
import {
  bits,
  boolean,
  explicit,
  implicit,
  integer,
  octets,
  oid,
  sequence,
  set,
  time,
  utf8String,
} from "./der.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const BASIC_CONSTRAINTS = oid("2.5.29.19");
const KEY_USAGE = oid("2.5.29.15");
const EXTENDED_KEY_USAGE = oid("2.5.29.37");
const ALTERNATIVE_NAMES = oid("2.5.29.17");
const SUBJECT_KEY_ID = oid("2.5.29.14");
const AUTHORITY_KEY_ID = oid("2.5.29.35");
const SERVER_AUTH = oid("1.3.6.1.5.5.7.3.1");

const DAY_MS = 86_400_000;
const AUTHORITY_LIFE_MS = 20 * 365 * DAY_MS;
/** A running gateway keeps its certificate until it is started again; no client of ours asks for less than Apple's limit. */
const LEAF_LIFE_MS = 800 * DAY_MS;
/** For clients whose clock is behind. */
const BACKDATE_MS = 2 * DAY_MS;

/** An authority: its certificate and the key to sign with. */
interface Authority {
  readonly certificate: Bytes;
  readonly name: string;
  readonly key: CryptoKey;
}

/** A new authority; `pkcs8` is its private key, which the caller wraps and zeroes. */
export async function makeAuthority(now: Date): Promise<Authority & { pkcs8: Bytes }> {
  const pair = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const name = `SecLlama gateway ${crypto.getRandomValues(new Uint8Array(4)).toHex()}`;
  const spki = await spkiOf(pair.publicKey);
  const certificate = await sign(pair.privateKey, {
    issuer: name,
    subject: name,
    spki,
    from: new Date(now.getTime() - BACKDATE_MS),
    until: new Date(now.getTime() + AUTHORITY_LIFE_MS),
    extensions: [
      // A certificate authority, of end certificates only.
      extension(BASIC_CONSTRAINTS, sequence(boolean(true), integer(Uint8Array.of(0))), true),
      extension(KEY_USAGE, bits(Uint8Array.of(0x04), 2), true), // keyCertSign
      extension(SUBJECT_KEY_ID, octets(await keyId(spki))),
    ],
  });
  return { certificate, name, key: await importAuthorityKey(pkcs8), pkcs8 };
}

/** The signing key of {@link makeAuthority}'s `pkcs8`; not extractable. */
export function importAuthorityKey(pkcs8: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, false, ["sign"]);
}

/**
 * A server's certificate for `names` (DNS names and addresses) with a key of its own, which is on no disk.
 * @param authoritySpki The authority's public key (SubjectPublicKeyInfo).
 */
export async function issue(
  authority: Authority,
  authoritySpki: Bytes,
  names: readonly string[],
  now: Date,
): Promise<{ certificate: Bytes; pkcs8: Bytes }> {
  const pair = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const spki = await spkiOf(pair.publicKey);
  const certificate = await sign(authority.key, {
    issuer: authority.name,
    subject: names[0]!.slice(0, 64),
    spki,
    from: new Date(now.getTime() - BACKDATE_MS),
    until: new Date(now.getTime() + LEAF_LIFE_MS),
    extensions: [
      extension(BASIC_CONSTRAINTS, sequence(), true),
      extension(KEY_USAGE, bits(Uint8Array.of(0x80), 7), true), // digitalSignature
      extension(EXTENDED_KEY_USAGE, sequence(SERVER_AUTH)),
      extension(ALTERNATIVE_NAMES, sequence(...names.map(generalName))),
      extension(SUBJECT_KEY_ID, octets(await keyId(spki))),
      extension(AUTHORITY_KEY_ID, sequence(implicit(0, await keyId(authoritySpki)))),
    ],
  });
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  return { certificate, pkcs8 };
}

interface Fields {
  readonly issuer: string;
  readonly subject: string;
  readonly spki: Bytes;
  readonly from: Date;
  readonly until: Date;
  readonly extensions: readonly Bytes[];
}

async function sign(key: CryptoKey, fields: Fields): Promise<Bytes> {
  const serial = crypto.getRandomValues(new Uint8Array(16));
  serial[0]! &= 0x7f;
  serial[0]! |= 0x40; // 16 bytes and positive, whatever was drawn
  const body = sequence(
    explicit(0, integer(Uint8Array.of(2))), // version 3
    integer(serial),
    ECDSA_SHA256,
    nameOf(fields.issuer),
    sequence(time(fields.from), time(fields.until)),
    nameOf(fields.subject),
    fields.spki,
    explicit(3, sequence(...fields.extensions)),
  );
  const raw = new Uint8Array(
    await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, body),
  );
  // WebCrypto gives r | s; X.509 wants two integers (RFC 3279 section 2.2.3).
  const signature = sequence(integer(raw.subarray(0, 32)), integer(raw.subarray(32)));
  return sequence(body, ECDSA_SHA256, bits(signature));
}

function nameOf(commonName: string): Bytes {
  return sequence(set(sequence(oid("2.5.4.3"), utf8String(commonName))));
}

function extension(id: Bytes, value: Bytes, critical = false): Bytes {
  return sequence(id, ...(critical ? [boolean(true)] : []), octets(value));
}

function generalName(name: string): Bytes {
  const address = addressOfName(name);
  return address === undefined ? implicit(2, utf8(name)) : implicit(7, address);
}

async function spkiOf(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey("spki", key));
}

async function keyId(spki: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", spki)).slice(0, 20);
}
