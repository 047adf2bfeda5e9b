/**
 * The clear header of a sealed request: what the gateway may read in order to route, and no more.
 *
 * ```
 * "SLQ1" | suite u8 | flags u8 (0) | rk[8] = SHA-256(pk)[:8] | len u8 | psk_id[len]
 * ```
 * Nothing here is authenticated when it is parsed; all of it is bound into HPKE's `info`, so a changed header opens
 * nothing. Imports no cryptography. Of this folder the gateway uses this file, names of headers, and the proofs of what is
 * not sealed (proof.ts); nothing that could open a request.
 */
import { type Bytes, concat, toHex, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { plural } from "../plural.ts";

/** Suites of this version; `suite.ts` has one row for each. */
export const KNOWN_SUITES: readonly number[] = [1, 2];
/** Bytes of `rk`, the name of a runner's recipient key. */
export const RECIPIENT_ID_BYTES = 8;
/** Bytes of the longest header: 15 fixed ones and a psk_id of 255. */
export const MAX_HEADER_BYTES = 15 + 255;

const MAGIC = utf8("SLQ1");
const FIXED_BYTES = MAGIC.length + 1 + 1 + RECIPIENT_ID_BYTES + 1;
const PSK_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

export interface RequestHeader {
  readonly suite: number;
  /** First 8 bytes of SHA-256 of the runner's public key, lower-case hexadecimal. */
  readonly rk: string;
  readonly pskId: string;
  /** Bytes of the header; the encapsulated key follows. */
  readonly length: number;
}

/** Whether `text` may stand in a header as a psk_id: 1 to 255 of `A-Za-z0-9._-`, not starting with a mark. */
export function isPskId(text: string): boolean {
  return PSK_ID.test(text);
}

/**
 * Reads the header at the start of `bytes`, or says that more bytes are needed.
 * @throws {SecLlamaError} `malformed` as soon as a byte cannot belong to a header; `unsupported-suite` if the suite is
 * not one of {@link KNOWN_SUITES}.
 */
export function parseRequestHeader(bytes: Uint8Array): RequestHeader | "need-more" {
  const prefix = Math.min(bytes.length, MAGIC.length);
  for (let i = 0; i < prefix; i++) {
    if (bytes[i] !== MAGIC[i]) throw malformed("the body does not start with SLQ1");
  }
  if (bytes.length < FIXED_BYTES) return "need-more";
  const suite = bytes[4]!;
  if (!KNOWN_SUITES.includes(suite)) {
    throw new SecLlamaError(
      "unsupported-suite",
      `suite ${suite} is unknown, must be one of ${KNOWN_SUITES.join(", ")}`,
    );
  }
  if (bytes[5] !== 0) throw malformed(`flags are ${bytes[5]}, must be 0`);
  const length = FIXED_BYTES + bytes[FIXED_BYTES - 1]!;
  if (length === FIXED_BYTES) throw malformed("the psk_id is empty");
  if (bytes.length < length) return "need-more";
  const pskId = String.fromCharCode(...bytes.subarray(FIXED_BYTES, length));
  if (!isPskId(pskId)) throw malformed("the psk_id has a character other than A-Z a-z 0-9 . _ -");
  return { suite, rk: toHex(bytes.subarray(6, 6 + RECIPIENT_ID_BYTES)), pskId, length };
}

/**
 * The bytes of a header.
 * @throws {RangeError} If a field cannot be encoded; a caller's mistake, not a peer's.
 */
export function encodeRequestHeader(
  header: { suite: number; rk: Uint8Array; pskId: string },
): Bytes {
  if (header.rk.length !== RECIPIENT_ID_BYTES) {
    throw new RangeError(
      `rk has ${plural(header.rk.length, "byte")}, must have ${RECIPIENT_ID_BYTES}`,
    );
  }
  if (!isPskId(header.pskId)) throw new RangeError("the psk_id is not 1 to 255 of A-Za-z0-9._-");
  const pskId = utf8(header.pskId);
  return concat(
    MAGIC,
    Uint8Array.of(header.suite, 0),
    header.rk,
    Uint8Array.of(pskId.length),
    pskId,
  );
}

function malformed(message: string): SecLlamaError {
  return new SecLlamaError("malformed", message);
}
