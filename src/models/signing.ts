/**
 * Signatures of model files as OpenSSF Model Signing v1.0 has them: a Sigstore bundle around a DSSE envelope with an in-toto statement,
 * whose predicate lists the SHA-256 of each file. Signed with a bare elliptic-curve key, or one that a certificate vouches for. Nothing
 * is asked of any server: no transparency log, no keyless signing.
 *
 * Sources: github.com/ossf/model-signing-spec; DSSE v1 (secure-systems-lab/dsse, its PAE); in-toto Statement v1; Sigstore bundle v0.3.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from "node:crypto";
import {
  IN_TOTO_TYPE as PAYLOAD_TYPE,
  isSigstoreBundleType,
  SIGSTORE_BUNDLE_TYPE as BUNDLE_TYPE,
} from "../api/media_types.ts";
import { fromBase64, toBase64, toHex, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { authorityLimits, extendedKeyUsages } from "./key_usage.ts";

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE = "https://model_signing/signature/v1.0";
/** A model of some thousand files. */
export const MAX_BUNDLE_BYTES = 4 * 1024 * 1024;
const MAX_CHAIN = 8;
/** id-kp-codeSigning, 1.3.6.1.5.5.7.3.3, as DER has it. */
const CODE_SIGNING = "2b06010505070303";

/** A file that is signed. */
export interface SignedFile {
  /** Its name within the model. */
  readonly name: string;
  /** SHA-256, 64 hexadecimal digits. */
  readonly sha256: string;
}

/** Whom one trusts: a public key, or an authority whose certificates for code signing count. */
export type Signer =
  | { readonly kind: "key"; readonly key: KeyObject }
  | { readonly kind: "authority"; readonly certificate: X509Certificate };

/** The curves that a key may have, and the hash that goes with each. */
const HASHES: Readonly<Record<string, string>> = {
  "prime256v1": "sha256",
  "secp384r1": "sha384",
  "secp521r1": "sha512",
};

/**
 * Reads a signer: a public key or a certificate, PEM.
 * @throws {SecLlamaError} `bad-config` for what is neither, or of another curve than P-256, P-384, P-521.
 */
export function readSigner(pem: string): Signer {
  try {
    if (pem.includes("-----BEGIN CERTIFICATE-----")) {
      return { kind: "authority", certificate: new X509Certificate(pem) };
    }
    const key = createPublicKey(pem);
    hashOf(key);
    return { kind: "key", key };
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    throw new SecLlamaError("bad-config", "a signer is a public key or a certificate, in PEM", {
      hint: "to make a key: openssl ecparam -genkey -name prime256v1 -noout -out key.pem; " +
        "openssl ec -in key.pem -pubout -out public.pem",
      cause,
    });
  }
}

/**
 * The bundle over these files.
 * @param model What the whole is called.
 * @param privateKey PEM of an elliptic-curve key.
 * @param chain PEM certificates, the key's own first; undefined: a bare key.
 * @throws {SecLlamaError} `bad-config` for a key that is none.
 */
export function signFiles(
  model: string,
  files: readonly SignedFile[],
  privateKey: string,
  chain?: string,
): string {
  let key: KeyObject;
  try {
    key = createPrivateKey(privateKey);
  } catch (cause) {
    throw new SecLlamaError("bad-config", "the key to sign with is no private key in PEM", {
      hint: HINTS.signingKey,
      cause,
    });
  }
  const publicKey = createPublicKey(privateKey);
  const hash = hashOf(publicKey);
  const resources = [...files].sort((a, b) => a.name < b.name ? -1 : 1)
    .map(({ name, sha256 }) => ({ name, algorithm: "sha256", digest: sha256 }));
  const statement = utf8(JSON.stringify({
    _type: STATEMENT_TYPE,
    subject: [{ name: model, digest: { sha256: rootOf(resources) } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      serialization: {
        method: "files",
        hash_type: "sha256",
        allow_symlinks: false,
        ignore_paths: [],
      },
      resources,
    },
  }));
  const signature = sign(hash, pae(statement), key);
  const pem = publicKey.export({ type: "spki", format: "pem" }) as string;
  return JSON.stringify({
    mediaType: BUNDLE_TYPE,
    verificationMaterial: {
      ...(chain === undefined
        ? { publicKey: { hint: createHash("sha256").update(pem).digest("hex") } }
        : {
          x509CertificateChain: {
            certificates: certificatesOf(chain).map(({ raw }) => ({
              rawBytes: toBase64(new Uint8Array(raw)),
            })),
          },
        }),
      tlogEntries: [],
    },
    dsseEnvelope: {
      payload: toBase64(statement),
      payloadType: PAYLOAD_TYPE,
      signatures: [{ sig: toBase64(new Uint8Array(signature)), keyid: "" }],
    },
  });
}

/**
 * The files that a bundle vouches for, if one of the signers made it.
 * @param now For the dates of certificates.
 * @throws {SecLlamaError} `model-not-approved`, saying why not.
 */
export function verifyBundle(
  bundle: Uint8Array,
  signers: readonly Signer[],
  now: Date = new Date(),
): SignedFile[] {
  let document: Bundle;
  try {
    document = readBundle(bundle);
  } catch (cause) {
    throw refused("its signature is no bundle of OpenSSF Model Signing v1", cause);
  }
  const { payload, signature, certificates } = document;
  if (!signers.some((signer) => vouches(signer, { payload, signature, certificates }, now))) {
    throw refused("none of the signers that the policy names has signed it");
  }
  // Only what was signed is read from here on.
  try {
    return readStatement(payload);
  } catch (cause) {
    throw refused("what was signed is no list of a model's files", cause);
  }
}

/**
 * The files that a bundle speaks of, whoever made it: to know where it belongs, and nothing more.
 * @throws {SecLlamaError} `bad-request` for what is no bundle.
 */
export function filesNamedIn(bundle: Uint8Array): SignedFile[] {
  try {
    return readStatement(readBundle(bundle).payload);
  } catch (cause) {
    throw new SecLlamaError(
      "bad-request",
      "the signature is no bundle of OpenSSF Model Signing v1",
      {
        hint: "to make one: secllama model sign FILE --key key.pem; or by the tool model_signing",
        cause,
      },
    );
  }
}

interface Bundle {
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
  /** The signer's own first; empty: a bare key. */
  readonly certificates: readonly X509Certificate[];
}

// deno-lint-ignore no-explicit-any
type Json = any;

function readBundle(bytes: Uint8Array): Bundle {
  if (bytes.length > MAX_BUNDLE_BYTES) throw new Error("too long");
  const { mediaType, verificationMaterial, dsseEnvelope }: Json = JSON.parse(utf8Decode(bytes));
  if (!isSigstoreBundleType(mediaType)) {
    throw new Error("another media type");
  }
  if (dsseEnvelope.payloadType !== PAYLOAD_TYPE || dsseEnvelope.signatures.length !== 1) {
    throw new Error("another envelope");
  }
  const chain: { rawBytes: string }[] = verificationMaterial.x509CertificateChain?.certificates ??
    (verificationMaterial.certificate === undefined ? [] : [verificationMaterial.certificate]);
  if (chain.length > MAX_CHAIN) throw new Error("too long a chain");
  return {
    payload: fromBase64(dsseEnvelope.payload),
    signature: fromBase64(dsseEnvelope.signatures[0].sig),
    certificates: chain.map(({ rawBytes }) => new X509Certificate(fromBase64(rawBytes))),
  };
}

function readStatement(payload: Uint8Array): SignedFile[] {
  const { _type, subject, predicateType, predicate }: Json = JSON.parse(utf8Decode(payload));
  if (_type !== STATEMENT_TYPE || predicateType !== PREDICATE_TYPE || subject.length !== 1) {
    throw new Error("another statement");
  }
  const { serialization, resources } = predicate;
  if (serialization.method !== "files" || !Array.isArray(resources)) {
    throw new Error("another serialisation");
  }
  for (const { name, algorithm, digest } of resources) {
    if (typeof name !== "string" || algorithm !== "sha256" || !/^[0-9a-f]{64}$/.test(digest)) {
      throw new Error("another resource");
    }
  }
  if (subject[0].digest.sha256 !== rootOf(resources)) throw new Error("another root");
  return resources.map((one: Json) => ({ name: one.name, sha256: one.digest }));
}

function vouches(signer: Signer, { payload, signature, certificates }: Bundle, now: Date): boolean {
  try {
    if (signer.kind === "key") return isSigned(signer.key, payload, signature);
    const [own, ...rest] = certificates;
    if (own === undefined || !isSigned(own.publicKey, payload, signature)) return false;
    if (!extendedKeyUsages(new Uint8Array(own.raw)).includes(CODE_SIGNING)) return false;
    return isChain([own, ...rest], signer.certificate, now);
  } catch {
    return false;
  }
}

/**
 * From the first up to the authority, each valid now, issued by the next, and within what those above it allow.
 * @param below Authorities between the signer and `at`.
 */
function isChain(
  [at, ...rest]: readonly X509Certificate[],
  authority: X509Certificate,
  now: Date,
  below = 0,
): boolean {
  if (at === undefined || !isValid(at, now) || !isValid(authority, now)) return false;
  if (at.fingerprint256 === authority.fingerprint256) return true;
  if (issued(authority, at, below)) return true;
  const [next] = rest;
  return next !== undefined && issued(next, at, below) && isChain(rest, authority, now, below + 1);
}

function issued(issuer: X509Certificate, at: X509Certificate, below: number): boolean {
  if (!issuer.ca || !at.checkIssued(issuer) || !at.verify(issuer.publicKey)) return false;
  const { pathLength, maySign } = authorityLimits(new Uint8Array(issuer.raw));
  return maySign && below <= pathLength;
}

function isValid({ validFrom, validTo }: X509Certificate, now: Date): boolean {
  return Date.parse(validFrom) <= now.getTime() && now.getTime() <= Date.parse(validTo);
}

function isSigned(key: KeyObject, payload: Uint8Array, signature: Uint8Array): boolean {
  return verify(hashOf(key), pae(payload), key, signature);
}

/** DSSE v1's encoding of what is signed. */
function pae(payload: Uint8Array): Uint8Array {
  const head = utf8(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `);
  const out = new Uint8Array(head.length + payload.length);
  out.set(head);
  out.set(payload, head.length);
  return out;
}

/** SHA-256 over the digests of all files, in the order of the list. */
function rootOf(resources: readonly { readonly digest: string }[]): string {
  const hash = createHash("sha256");
  for (const { digest } of resources) hash.update(digest, "hex");
  return toHex(new Uint8Array(hash.digest()));
}

/** @throws {SecLlamaError} `bad-config`. */
function hashOf(key: KeyObject): string {
  const curve = key.asymmetricKeyType === "ec" ? key.asymmetricKeyDetails?.namedCurve : undefined;
  const hash = curve === undefined ? undefined : HASHES[curve];
  if (hash !== undefined) return hash;
  throw new SecLlamaError("bad-config", "a signer's key is of the curve P-256, P-384 or P-521", {
    hint: HINTS.signingKey,
  });
}

function certificatesOf(pem: string): X509Certificate[] {
  const parts = pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
  return parts.map((part) => new X509Certificate(part));
}

function refused(why: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("model-not-approved", why, cause === undefined ? {} : { cause });
}
