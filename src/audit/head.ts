/** The signed head of the log: how many lines there are, the root of their tree, and when that was. */
import { AUDIT_HEAD_TYPE } from "../api/media_types.ts";
import { type Bytes, toHex } from "../bytes.ts";
import type { Cbor } from "./cbor.ts";
import { type CoseStatement, type PublicKey, readCose, signCose, type SigningKey } from "./cose.ts";
import { HASH_BYTES } from "./tree.ts";

const LOG_ID_BYTES = 16;
const KID_DIGITS = 16;
const FIELD = { log: 1, size: 2, root: 3, time: 4 } as const;

/** What a head says. */
interface Head {
  /** The log's id, 16 bytes. */
  readonly log: Bytes;
  readonly size: number;
  readonly root: Bytes;
  /** Unix ms. */
  readonly timeMs: number;
}

/** A head that was read; `statement` tells whose it is. */
export interface SignedHead extends Head {
  readonly statement: CoseStatement;
}

/** A COSE_Sign1 of the head. */
export function signHead(key: SigningKey, { log, size, root, timeMs }: Head): Bytes {
  return signCose(
    key,
    AUDIT_HEAD_TYPE,
    new Map<number, Cbor>([
      [FIELD.log, log],
      [FIELD.size, size],
      [FIELD.root, root],
      [FIELD.time, timeMs],
    ]),
  );
}

/** @throws {SyntaxError} If it is no signed head. */
export function readHead(cose: Uint8Array): SignedHead {
  const statement = readCose(cose);
  const { payload } = statement;
  if (statement.contentType !== AUDIT_HEAD_TYPE || !(payload instanceof Map)) {
    throw new SyntaxError("not a head of an audit log");
  }
  const [log, size, root, timeMs] = Object.values(FIELD).map((key) => payload.get(key));
  if (
    payload.size !== 4 || !(log instanceof Uint8Array) || !(root instanceof Uint8Array) ||
    root.length !== HASH_BYTES || typeof size !== "number" || typeof timeMs !== "number"
  ) throw new SyntaxError("not a head of an audit log");
  return { log: new Uint8Array(log), size, root: new Uint8Array(root), timeMs, statement };
}

/** What a head names, whoever signed it. */
export interface HeadNames {
  /** The log's id, hexadecimal. */
  readonly log: string;
  /** The key that it says has signed it, 16 hexadecimal digits. */
  readonly kid: string;
  /** Lines that it counts. */
  readonly size: number;
  /** Of the tree of these lines, hexadecimal. */
  readonly root: string;
  /** Whether this key signed it. */
  isSignedBy(key: PublicKey): boolean;
}

/**
 * What a head names.
 * @throws {SyntaxError} If it is no signed head, or one that no log of ours could have.
 */
export function headNames(cose: Uint8Array): HeadNames {
  const { log, size, root, statement } = readHead(cose);
  const { kid } = statement;
  if (log.length !== LOG_ID_BYTES || kid.length !== KID_DIGITS || !Number.isSafeInteger(size)) {
    throw new SyntaxError("not a head of an audit log");
  }
  return {
    ...{ log: toHex(log), kid, size, root: toHex(root) },
    isSignedBy: (key) => statement.verify(key),
  };
}

/** Whether two hashes are the same; they are no secrets. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return toHex(a) === toHex(b);
}
