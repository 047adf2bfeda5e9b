/**
 * A receipt, as client, runner and host agree on it. A client that wants one sends `Secllama-Receipt: request`; what seals its
 * request replaces that by 32 random bytes, the receipt's secret, which the host never sees. The runner makes of it
 *
 * ```
 * id            SHA-256("secllama receipt id" 0x00 secret), the first 16 bytes
 * request_mac   HMAC-SHA256(secret, "request" 0x00 body of the request)
 * reply_mac     HMAC-SHA256(secret, "reply" 0x00 body of the reply)
 * ```
 *
 * which go into the exchange's line of the audit log. Without the secret they say nothing of what was asked or answered, however
 * short it was. The answer has both, the id and the secret; the host gives its statement on the exchange to who names the id.
 */
import { type Bytes, concat, fromBase64Url, toBase64Url, toHex, utf8 } from "../bytes.ts";

/** Of a request: `request`, or sealed the secret. Of its answer: the id. */
export const RECEIPT_HEADER = "secllama-receipt";
/** Of the answer. */
export const RECEIPT_SECRET_HEADER = "secllama-receipt-secret";
/** What a client says that wants one. */
export const RECEIPT_WANTED = "request";
/** A receipt's id, as host and log know it. */
export const RECEIPT_ID = /^[0-9a-f]{32}$/;

const SECRET_BYTES = 32;
const SECRET = /^[A-Za-z0-9_-]{43}$/;
const ID_BYTES = 16;

/** A new receipt's secret, as it stands in the header. */
export function newReceiptSecret(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
}

/** The secret that a header says; undefined for what is none. */
export function readReceiptSecret(text: string): Bytes | undefined {
  if (!SECRET.test(text)) return undefined;
  try {
    const secret = fromBase64Url(text);
    return secret.length === SECRET_BYTES ? secret : undefined;
  } catch {
    return undefined;
  }
}

/** What the id is the hash of. */
export function receiptIdInput(secret: Uint8Array): Bytes {
  return concat(utf8("secllama receipt id\0"), secret);
}

/** The id in the hash of {@link receiptIdInput}, hexadecimal. */
export function receiptIdOf(hash: Uint8Array): string {
  return toHex(hash.subarray(0, ID_BYTES));
}
