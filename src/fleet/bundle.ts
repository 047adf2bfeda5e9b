/**
 * What the issuer gives one host: the host PSKs of the fleet's clients and the host's membership, sealed to the host's key and
 * signed. Whatever carries it can keep it back, and can neither read, change nor make one; a host that is shown an older one
 * than it has seen refuses it.
 *
 * ```
 * sealed    = u16 | enc | HPKE base mode, suite 2 (info "secllama/1 fleet bundle", AAD fid | hid | rev u64, JSON)
 * signature = Ed25519("secllama/1 fleet bundle" | fid | hid | rev u64 | SHA-256(sealed))
 * file      = JSON {v: 1, hid, rev, sealed, signature}                   hexadecimal and base64url
 * ```
 */
import {
  type Bytes,
  concat,
  fromBase64Url,
  fromHex,
  toBase64Url,
  toHex,
  u16,
  u64,
  utf8,
  utf8Decode,
} from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { Permission } from "../keys/mod.ts";
import { type FleetPin, verifySignature } from "../sealed/member.ts";
import { sha256 } from "../sealed/primitives.ts";
import { type Suite, suiteById } from "../sealed/suite.ts";
import { secret } from "../secret.ts";

const INFO = utf8("secllama/1 fleet bundle");
const SUITE = 2;

/** A key that a client may come under, as one host has it. */
export interface BundleKey {
  readonly pskId: string;
  /** Of this host, 32 bytes, base64url. */
  readonly hostPsk: string;
  /** The newer psk_id that the client should come with, and that key, sealed to the client (base64url). */
  readonly newer?: { readonly pskId: string; readonly renewal: string };
}

/** A client of the fleet. */
export interface BundleClient {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly may: readonly Permission[];
  /** ISO 8601: from then on it may not come, however long the file is good. */
  readonly expires?: string;
  readonly keys: readonly BundleKey[];
}

/** What is in it. */
export interface Bundle {
  /** How many times the issuer has changed its keys. */
  readonly gen: number;
  /** The host's membership, base64url. */
  readonly member: string;
  /** Unix ms, the issuer's clock: from then on the host serves no client of the fleet. */
  readonly exp: number;
  readonly clients: readonly BundleClient[];
}

/** Signs as the issuer. */
export type Sign = (message: Uint8Array) => Promise<Bytes>;

/** A host's key pair for bundles, opaque to all but HPKE. */
type BundleKeyPair = Awaited<ReturnType<Suite["hpke"]["kem"]["DeriveKeyPair"]>>;

/** The key pair of a seed of 32 bytes, and its public key's bytes. */
export async function bundleKeys(seed: Uint8Array): Promise<{ pair: BundleKeyPair; pk: Bytes }> {
  const { kem } = suiteById(SUITE).hpke;
  const pair = await kem.DeriveKeyPair(new Uint8Array(seed), false);
  return { pair, pk: new Uint8Array(await kem.SerializePublicKey(pair.publicKey)) };
}

/** Whether these are the bytes of a host's public key. */
async function isBundleKey(pk: Uint8Array): Promise<boolean> {
  const { hpke, publicKeyBytes } = suiteById(SUITE);
  if (pk.length !== publicKeyBytes) return false;
  return await hpke.kem.DeserializePublicKey(new Uint8Array(pk)).then(() => true, () => false);
}

/** The file's text. @param to The host's id and public key. @param rev Greater with each. */
export async function sealBundle(
  bundle: Bundle,
  { fid, to, rev, sign }: {
    fid: Uint8Array;
    to: { readonly hid: Uint8Array; readonly pk: Uint8Array };
    rev: number;
    sign: Sign;
  },
): Promise<string> {
  const { hpke } = suiteById(SUITE);
  const recipient = await hpke.kem.DeserializePublicKey(new Uint8Array(to.pk));
  const { enc, context } = await hpke.setupSender(recipient, { info: INFO });
  using json = secret(utf8(JSON.stringify(bundle)));
  const about = concat(fid, to.hid, u64(rev));
  const sealed = concat(u16(enc.length), enc, await context.seal(json, about));
  const signature = await sign(concat(INFO, about, sha256(sealed)));
  return JSON.stringify({
    v: 1,
    hid: toHex(to.hid),
    rev,
    sealed: toBase64Url(sealed),
    signature: toBase64Url(signature),
  }) + "\n";
}

/**
 * Opens what {@link sealBundle} made for this host.
 * @throws {SecLlamaError} `key-refused` if it is another host's, not the issuer's, or does not open.
 */
export async function openBundle(
  text: string,
  { pin, hid, pair }: { pin: FleetPin; hid: Uint8Array; pair: BundleKeyPair },
): Promise<{ rev: number; bundle: Bundle }> {
  const { rev, sealed, signature } = read(text, hid);
  const about = concat(pin.fid, hid, u64(rev));
  const message = concat(INFO, about, sha256(sealed));
  if (!await verifySignature(pin.issuer, message, signature)) {
    throw refused("is not signed by the fleet's issuer");
  }
  try {
    const length = sealed[0]! << 8 | sealed[1]!;
    const { hpke } = suiteById(SUITE);
    const context = await hpke.setupRecipient(pair, sealed.slice(2, 2 + length), { info: INFO });
    using json = secret(await context.open(sealed.slice(2 + length), about));
    // The issuer's word, which is signed, needs no second look at each field.
    return { rev, bundle: JSON.parse(utf8Decode(json)) };
  } catch (cause) {
    throw refused("does not open", cause);
  }
}

function read(text: string, hid: Uint8Array): { rev: number; sealed: Bytes; signature: Bytes } {
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(text));
  } catch (cause) {
    throw refused("is no JSON", cause);
  }
  const { v, hid: theirs, rev, sealed, signature } = fields;
  if (v !== 1 || typeof rev !== "number" || !Number.isSafeInteger(rev) || rev < 0) {
    throw refused("is of a form not known here");
  }
  if (theirs !== toHex(hid)) throw refused("is for another host");
  try {
    return {
      rev,
      sealed: fromBase64Url(String(sealed)),
      signature: fromBase64Url(String(signature)),
    };
  } catch (cause) {
    throw refused("is damaged", cause);
  }
}

function refused(what: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("key-refused", `the fleet's file ${what}`, {
    hint: "bring this host's newest one from the issuer, as secllama fleet publish wrote it",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What `secllama fleet init` prints and each host takes: whose word counts. */
export function encodePin({ fid, issuer }: FleetPin): string {
  return `secllama-fleet-1.${toBase64Url(concat(fid, issuer))}`;
}

/** Reads it. @throws {SecLlamaError} `usage`. */
export function parsePin(text: string): FleetPin {
  const [, body] = /^secllama-fleet-1\.([A-Za-z0-9_-]{64})$/.exec(text.trim()) ?? [];
  if (body === undefined) {
    throw new SecLlamaError(
      "usage",
      "that is not a fleet's line: it begins with secllama-fleet-1.",
      {
        hint: "on the issuer, run: secllama fleet init",
      },
    );
  }
  const bytes = fromBase64Url(body);
  return { fid: bytes.slice(0, 16), issuer: bytes.slice(16) };
}

/** What a host asks to be enrolled with. */
export interface Enrolment {
  readonly label: string;
  readonly hid: Bytes;
  /** Bundles are sealed to it. */
  readonly pk: Bytes;
}

/** The line that `secllama fleet join` prints. */
export function encodeEnrolment({ label, hid, pk }: Enrolment): string {
  const json = JSON.stringify({ label, hid: toHex(hid), pk: toBase64Url(pk) });
  return `secllama-host-1.${toBase64Url(utf8(json))}`;
}

/** Reads it. @throws {SecLlamaError} `usage`. */
export async function parseEnrolment(text: string, isLabel: RegExp): Promise<Enrolment> {
  try {
    const [, body] = /^secllama-host-1\.([A-Za-z0-9_-]{1,4096})$/.exec(text.trim())!;
    const { label, hid, pk } = JSON.parse(utf8Decode(fromBase64Url(body!)));
    const enrolment = { label, hid: fromHex(hid), pk: fromBase64Url(pk) };
    if (
      isLabel.test(enrolment.label) && enrolment.hid.length === 16 &&
      await isBundleKey(enrolment.pk)
    ) return enrolment;
  } catch { /* said below */ }
  throw new SecLlamaError("usage", "that is not a host's line: it begins with secllama-host-1.", {
    hint: "on the host, run: secllama fleet join",
  });
}
