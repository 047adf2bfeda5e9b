/**
 * The suites of sealed/1, one row each, and the key derivations around them. `kems.ts` says where each suite's KEM comes
 * from on this platform.
 */
import { type Bytes, concat, u16, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { RECIPIENT_ID_BYTES } from "./header.ts";
import { Hpke, type Kem } from "./hpke.ts";
import { KEMS } from "./kems.ts";
import { hkdfSha256, sha256 } from "./primitives.ts";

export interface Suite {
  /** The suite byte of the wire. */
  readonly id: number;
  readonly name: string;
  /** Bytes of the runner's public key. */
  readonly publicKeyBytes: number;
  /** Bytes of the encapsulated key. */
  readonly encBytes: number;
  readonly hpke: Hpke;
}

const suites = new Map<number, Suite>();

/** Every suite id that has a row. */
export const SUITE_IDS: readonly number[] = KEMS.map((row) => row.id);

/**
 * The suite with this id.
 * @throws {SecLlamaError} `unsupported-suite` if there is no such row.
 */
export function suiteById(id: number): Suite {
  let suite = suites.get(id);
  if (suite === undefined) {
    suite = makeSuite(id);
    suites.set(id, suite);
  }
  return suite;
}

/**
 * A suite of its own, optionally over another KEM object of the same kind. Reproducible vectors pass one whose
 * ephemeral key is fixed; nothing else has a reason to.
 * @throws {SecLlamaError} `unsupported-suite` if there is no such row.
 */
export function makeSuite(id: number, wrapKem: (kem: Kem) => Kem = (kem) => kem): Suite {
  const row = KEMS.find((row) => row.id === id);
  if (row === undefined) {
    throw new SecLlamaError(
      "unsupported-suite",
      `suite ${id} is unknown, must be one of ${SUITE_IDS.join(", ")}`,
    );
  }
  const hpke = new Hpke(wrapKem(row.kem()));
  return {
    id,
    name: row.name,
    publicKeyBytes: hpke.kem.Npk,
    encBytes: hpke.kem.Nenc,
    hpke,
  };
}

/** `"secllama/1 request\0" | hdr`, the `info` that binds the clear header into the key schedule. */
export function requestInfo(header: Uint8Array): Bytes {
  return concat(REQUEST_INFO, header);
}

const REQUEST_INFO = utf8("secllama/1 request\0");
/** Exporter contexts (RFC 9180 section 5.3). */
export const EXPORT_COMMIT = utf8("secllama/1 commit");
export const EXPORT_RESPONSE = utf8("secllama/1 response");
export const COMMIT_BYTES = 32;

/** `rk`: the first 8 bytes of SHA-256 of a public key. */
export function recipientId(publicKey: Uint8Array): Bytes {
  return sha256(publicKey).slice(0, RECIPIENT_ID_BYTES);
}

/** HKDF-SHA256 (RFC 5869); without `salt` the salt is empty. */
export function hkdf(
  ikm: Uint8Array,
  info: string | Uint8Array,
  length: number,
  salt: Uint8Array = new Uint8Array(0),
): Bytes {
  const label = typeof info === "string" ? utf8(info) : info;
  return hkdfSha256(ikm, salt, label, length);
}

/** `u16 length | bytes`, big-endian. */
export function lengthPrefixed(bytes: Uint8Array): Bytes {
  return concat(u16(bytes.length), bytes);
}
