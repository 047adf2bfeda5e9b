/**
 * A passphrase-wrapped box of named items: the key file of a machine without a key store, and the form of an export.
 *
 *   {"v":1, "type":"secllama-keys", "kdf":{"name":"argon2id","m":KiB,"t":passes,"p":lanes,"salt":b64url},
 *    "nonce":b64url, "data":b64url}
 *
 * The key is Argon2id (RFC 9106) of the passphrase; `data` is AES-256-GCM with everything above `nonce` as AAD, so the
 * parameters cannot be changed. Parameters below OWASP's minimum or that would take over 1 GiB are refused before any
 * work. The plaintext is a list of `u8 length | account | u16 length | value`.
 */
import { argon2id } from "hash-wasm";
import {
  type Bytes,
  concat,
  fromBase64Url,
  toBase64Url,
  u16,
  utf8,
  utf8Decode,
} from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { refuseNewer } from "../../newer_file.ts";
import { HINTS } from "../../hints.ts";
import { secret, SecretMap } from "../../secret.ts";

export interface KdfParameters {
  readonly name: "argon2id";
  /** Memory in KiB. */
  readonly m: number;
  /** Passes. */
  readonly t: number;
  /** Lanes. */
  readonly p: number;
  /** 16 bytes, base64url. */
  readonly salt: string;
}

export const ENVELOPE_CAP_BYTES = 1_048_576;
const TYPE = "secllama-keys";
const DEFAULTS = { m: 65_536, t: 3, p: 1 };
/** OWASP Password Storage Cheat Sheet, Argon2id: each row is the least memory for that many passes. */
const OWASP_MINIMUM: readonly (readonly [m: number, t: number])[] = [
  [47_104, 1],
  [19_456, 2],
  [12_288, 3],
  [9_216, 4],
  [7_168, 5],
];
const MAX_M_KIB = 1_048_576;
const MAX_T = 16;
const MAX_P = 16;

/** Fresh parameters with a random salt. */
export function newKdf(): KdfParameters {
  const salt = toBase64Url(crypto.getRandomValues(new Uint8Array(16)));
  return { name: "argon2id", ...DEFAULTS, salt };
}

/** The box's key from a passphrase, non-extractable; takes about half a second. */
export async function deriveBoxKey(passphrase: Uint8Array, kdf: KdfParameters): Promise<CryptoKey> {
  using raw = secret(
    await argon2id({
      password: passphrase,
      salt: fromBase64Url(kdf.salt),
      memorySize: kdf.m,
      iterations: kdf.t,
      parallelism: kdf.p,
      hashLength: 32,
      outputType: "binary",
    }),
  );
  using copy = secret(new Uint8Array(raw));
  return await crypto.subtle.importKey("raw", copy, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** The file's content for `items` under `key`, which {@link deriveBoxKey} made from `kdf`. */
export async function sealBox(
  items: ReadonlyMap<string, Bytes>,
  key: CryptoKey,
  kdf: KdfParameters,
): Promise<Bytes> {
  using plain = secret(encodeItems(items));
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv: nonce, additionalData: header(kdf) },
    key,
    plain,
  );
  return utf8(
    JSON.stringify(
      {
        v: 1,
        type: TYPE,
        kdf: ordered(kdf),
        nonce: toBase64Url(nonce),
        data: toBase64Url(new Uint8Array(sealed)),
      },
      null,
      2,
    ) + "\n",
  );
}

export interface Box {
  readonly kdf: KdfParameters;
  readonly nonce: Bytes;
  readonly data: Bytes;
}

/**
 * Reads the outside of a box and checks its parameters. No key is derived.
 * @throws {SecLlamaError} `key-corrupt` for what is no box, `key-refused` for parameters that are too weak or too big.
 */
export function parseBox(bytes: Uint8Array, what: string): Box {
  let o: { [name: string]: unknown };
  let kdf: { [name: string]: unknown };
  try {
    o = JSON.parse(utf8Decode(bytes));
    if (o["type"] !== TYPE) throw new Error("another type");
    // Before what only this version's have: a newer one may be under another derivation.
    refuseNewer(what, o, 1);
    kdf = o["kdf"] as { [name: string]: unknown };
    if (kdf["name"] !== "argon2id") throw new Error("another derivation");
    const { m, t, p } = kdf as { [name: string]: number };
    const parameters = {
      name: "argon2id" as const,
      m: m!,
      t: t!,
      p: p!,
      salt: kdf["salt"] as string,
    };
    checkKdf(parameters, what);
    const nonce = fromBase64Url(o["nonce"] as string);
    const data = fromBase64Url(o["data"] as string);
    if (nonce.length !== 12 || data.length < 16) throw new Error("bad lengths");
    if (fromBase64Url(parameters.salt).length !== 16) throw new Error("bad salt");
    return { kdf: parameters, nonce, data };
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    throw new SecLlamaError("key-corrupt", `${what} is no key file of secllama, or is damaged`, {
      hint: "give a file that secllama key export or --key-file made",
      cause,
    });
  }
}

/** The items of `box`. @throws {SecLlamaError} `key-locked` if the passphrase is wrong or the file was changed. */
export async function openBox(box: Box, key: CryptoKey, what: string): Promise<SecretMap> {
  let plain: Bytes;
  try {
    plain = new Uint8Array(
      await crypto.subtle.decrypt(
        { name: "AES-GCM", iv: box.nonce, additionalData: header(box.kdf) },
        key,
        box.data,
      ),
    );
  } catch (cause) {
    throw new SecLlamaError("key-locked", `the passphrase does not open ${what}`, {
      hint: HINTS.passphraseAgain,
      cause,
    });
  }
  using _wiped = secret(plain);
  return decodeItems(plain);
}

/** @throws {SecLlamaError} `key-refused` for parameters that are too weak, or ask for too much. */
export function checkKdf(kdf: KdfParameters, what: string): void {
  const { m, t, p } = kdf;
  const whole = [m, t, p].every((n) => Number.isSafeInteger(n) && n > 0);
  if (!whole || m > MAX_M_KIB || t > MAX_T || p > MAX_P) {
    throw new SecLlamaError("key-refused", `${what} asks for more Argon2id work than is allowed`, {
      hint: `at most ${MAX_M_KIB} KiB, ${MAX_T} passes and ${MAX_P} lanes are done`,
    });
  }
  if (!OWASP_MINIMUM.some(([least, passes]) => m >= least && t >= passes)) {
    throw new SecLlamaError("key-refused", `${what} is wrapped too weakly: m=${m} KiB, t=${t}`, {
      hint: "OWASP's minimum for Argon2id is m=19456 KiB with t=2; export it again",
    });
  }
}

/** The parameters in the order in which they are written. */
export function ordered({ name, m, t, p, salt }: KdfParameters): KdfParameters {
  return { name, m, t, p, salt };
}

function header(kdf: KdfParameters): Bytes {
  return utf8(JSON.stringify({ v: 1, type: TYPE, kdf: ordered(kdf) }));
}

function encodeItems(items: ReadonlyMap<string, Bytes>): Bytes {
  const parts: Uint8Array[] = [];
  for (const [account, value] of items) {
    const name = utf8(account);
    parts.push(Uint8Array.of(name.length), name, u16(value.length), value);
  }
  return concat(...parts);
}

function decodeItems(plain: Bytes): SecretMap {
  const items = new SecretMap();
  for (let at = 0; at < plain.length;) {
    const nameEnd = at + 1 + plain[at]!;
    const valueStart = nameEnd + 2;
    const valueEnd = valueStart + (((plain[nameEnd] ?? 0) << 8) | (plain[nameEnd + 1] ?? 0));
    if (valueEnd > plain.length) throw new Error("an authenticated box does not parse");
    items.set(utf8Decode(plain.subarray(at + 1, nameEnd)), plain.slice(valueStart, valueEnd));
    at = valueEnd;
  }
  return items;
}
