/**
 * Receipts: one line of the log for whoever was its client, as the host's signed statement (COSE_Sign1, RFC 9052) with the log's
 * receipt beside it (RFC 9942: the inclusion in an RFC 9162 tree whose root the host signed).
 */
import { receiptId, receiptMac } from "../api/receipt_mac.ts";
import { JSON_TYPE } from "../api/media_types.ts";
import { type Bytes, utf8, utf8Decode } from "../bytes.ts";
import { type Cbor, decodeCbor, encodeCbor } from "./cbor.ts";
import { HEADER, type PublicKey, readBytes, signBytes, type SigningKey } from "./cose.ts";
import { type AuditLine, parseLine } from "./line.ts";
import { HASH_BYTES, leafHash, rootFromInclusion } from "./tree.ts";

/** RFC 9942, section 8.1. */
const RECEIPTS = 394;
const VDS = 395;
const VDP = 396;
/** Of {@link VDS}: an RFC 9162 tree under SHA-256. */
const RFC9162_SHA256 = 1;
/** Of {@link VDP}: proofs of inclusion. */
const INCLUSION = -1;

/** Our own: the tree's size, signed. A root alone fits trees of several sizes. */
const SIZE = "size";

/** Where a line is in the tree. */
interface Place {
  readonly index: number;
  readonly size: number;
  /** From the leaf up. */
  readonly path: readonly Bytes[];
}

/** The host's statement on a line. @param root Of the tree of `size` lines. */
export function signReceipt(key: SigningKey, text: string, place: Place, root: Bytes): Bytes {
  const proof = encodeCbor([place.size, place.index, place.path]);
  const receipt = signBytes(key, {
    headers: [[VDS, RFC9162_SHA256], [SIZE, place.size]],
    open: new Map([[VDP, new Map([[INCLUSION, [proof]]])]]),
    payload: root,
    detached: true,
  });
  return signBytes(key, {
    headers: [[HEADER.contentType, JSON_TYPE]],
    open: new Map([[RECEIPTS, [receipt]]]),
    payload: utf8(text),
  });
}

/** What a receipt is held against, besides the key. */
export interface Claims {
  /** The body that is said to have been asked. */
  readonly request?: Uint8Array | undefined;
  /** The body that is said to have been answered. */
  readonly reply?: Uint8Array | undefined;
  /** The receipt's secret, without which it says nothing of either. */
  readonly secret?: Uint8Array | undefined;
}

/** What a check of a receipt came to. */
export type ReceiptVerdict =
  | { readonly ok: true; readonly line: AuditLine; readonly proven: readonly string[] }
  | { readonly ok: false; readonly why: string };

/** Checks a receipt with nothing but the host's public key. */
export function checkReceipt(
  statement: Uint8Array,
  key: PublicKey,
  claims: Claims = {},
): ReceiptVerdict {
  let read;
  try {
    read = readStatement(statement);
  } catch {
    return { ok: false, why: "it is no receipt, or a part of one" };
  }
  const { outer, inner, text, place } = read;
  if (outer.kid !== key.id || !outer.verify(key)) {
    return { ok: false, why: `it is not signed by the key ${key.id}` };
  }
  const line = parseLine(text);
  if (line?.n !== place.index) return { ok: false, why: `it is not line ${place.index}` };
  const root = rootFromInclusion(leafHash(utf8(text)), place);
  if (root === undefined || inner.kid !== key.id || !inner.verify(key, root)) {
    return { ok: false, why: "the line is not in a tree that the host signed" };
  }
  return checkClaims(line, claims);
}

function checkClaims(line: AuditLine, claims: Claims): ReceiptVerdict {
  const { secret } = claims;
  const proven: string[] = [];
  if (secret !== undefined && line["receipt"] !== receiptId(secret)) {
    return { ok: false, why: "its secret is another exchange's" };
  }
  for (const part of ["request", "reply"] as const) {
    const body = claims[part];
    if (body === undefined) continue;
    if (secret === undefined) {
      return { ok: false, why: `without its secret it says nothing of a ${part}` };
    }
    const mac = receiptMac(secret, part);
    mac.update(body);
    if (line[`${part}_mac`] !== mac.digest()) {
      return { ok: false, why: `the ${part} was another one, byte by byte` };
    }
    proven.push(part);
  }
  return { ok: true, line, proven };
}

/** @throws {SyntaxError} For what {@link signReceipt} does not write. */
function readStatement(bytes: Uint8Array) {
  const outer = readBytes(bytes);
  const isText = outer.headers.get(HEADER.contentType) === JSON_TYPE && outer.headers.size === 3;
  const receipts = outer.open.get(RECEIPTS);
  if (!isText || outer.payload === null || outer.open.size !== 1) throw none();
  const [receipt] = onlyOne(receipts);
  if (!(receipt instanceof Uint8Array)) throw none();
  const inner = readBytes(receipt);
  const isReceipt = inner.headers.get(VDS) === RFC9162_SHA256 && inner.headers.size === 4;
  const proofs = inner.open.get(VDP);
  if (!isReceipt || inner.payload !== null || inner.open.size !== 1) throw none();
  if (!(proofs instanceof Map) || proofs.size !== 1) throw none();
  const [proof] = onlyOne(proofs.get(INCLUSION));
  if (!(proof instanceof Uint8Array)) throw none();
  const place = placeOf(decodeCbor(proof));
  if (inner.headers.get(SIZE) !== place.size) throw none();
  return { outer, inner, text: textOf(outer.payload), place };
}

function placeOf(proof: Cbor): Place {
  if (!Array.isArray(proof) || proof.length !== 3) throw none();
  const [size, index, path] = proof as Cbor[];
  const hashes = Array.isArray(path) ? path as Cbor[] : [null];
  const good = typeof size === "number" && typeof index === "number" &&
    hashes.every((hash) => hash instanceof Uint8Array && hash.length === HASH_BYTES);
  if (!good) throw none();
  return { size, index, path: hashes as Bytes[] };
}

function onlyOne(value: Cbor | undefined): readonly Cbor[] {
  if (!Array.isArray(value) || value.length !== 1) throw none();
  return value;
}

function textOf(payload: Bytes): string {
  try {
    return utf8Decode(payload);
  } catch {
    throw none();
  }
}

function none(): SyntaxError {
  return new SyntaxError("not a receipt");
}
