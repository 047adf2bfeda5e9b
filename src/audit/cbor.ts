/**
 * CBOR (RFC 8949), what COSE needs of it: whole numbers, bytes, texts, arrays, maps and tags, in the deterministic encoding of
 * section 4.2.1 alone. Small enough to be read: a general package would decode much that nothing here may contain.
 */
import { type Bytes, concat, utf8, utf8Decode } from "../bytes.ts";

/** A tagged item: `Tagged(18, …)` is a COSE_Sign1. */
export class Tagged {
  /** The number, and what it is said of. */
  constructor(readonly tag: number, readonly value: Cbor) {}
}

/** What can be written and read. Maps keep the order of their bytes, not of insertion. */
export type Cbor =
  | number
  | string
  | Bytes
  | boolean
  | null
  | readonly Cbor[]
  | ReadonlyMap<number | string, Cbor>
  | Tagged;

const MAX_DEPTH = 16;

/** @throws {TypeError} For a number that is not a safe integer, or anything that is no {@link Cbor}. */
export function encodeCbor(value: Cbor): Bytes {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new TypeError("not a safe whole number");
    return value >= 0 ? head(0, value) : head(1, -1 - value);
  }
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === "boolean") return Uint8Array.of(value ? 0xf5 : 0xf4);
  if (typeof value === "string") {
    const bytes = utf8(value);
    return concat(head(3, bytes.length), bytes);
  }
  if (value instanceof Uint8Array) return concat(head(2, value.length), value);
  if (value instanceof Tagged) return concat(head(6, value.tag), encodeCbor(value.value));
  if (Array.isArray(value)) return concat(head(4, value.length), ...value.map(encodeCbor));
  if (value instanceof Map) {
    const rows = [...value].map(([key, item]) => [encodeCbor(key), encodeCbor(item)] as const);
    rows.sort(([a], [b]) => compare(a, b));
    return concat(head(5, rows.length), ...rows.flat());
  }
  throw new TypeError("not a value of this CBOR");
}

/** Bytewise order, the shorter first where one begins the other (section 4.2.1). */
function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}

function head(major: number, n: number): Bytes {
  const type = major << 5;
  if (n < 24) return Uint8Array.of(type | n);
  if (n < 0x100) return Uint8Array.of(type | 24, n);
  const size = n < 0x1_0000 ? 2 : n < 0x1_0000_0000 ? 4 : 8;
  const out = new Uint8Array(1 + size);
  out[0] = type | (size === 2 ? 25 : size === 4 ? 26 : 27);
  for (let i = size, rest = n; i > 0; i--, rest = Math.floor(rest / 256)) out[i] = rest % 256;
  return out;
}

/**
 * The one item that `bytes` are.
 * @throws {SyntaxError} For what {@link encodeCbor} does not write: another encoding of the same, lengths that are not said,
 * floats, keys twice or out of order, bytes after the item, more than 16 levels.
 */
export function decodeCbor(bytes: Uint8Array): Cbor {
  const reader = new Reader(bytes);
  const value = reader.item(0);
  if (reader.at !== bytes.length) throw new SyntaxError("bytes after the item");
  return value;
}

class Reader {
  at = 0;
  constructor(readonly bytes: Uint8Array) {}

  item(depth: number): Cbor {
    if (depth > MAX_DEPTH) throw new SyntaxError("nested too deeply");
    const first = this.#take(1)[0]!;
    const major = first >> 5;
    if (major === 7) {
      if (first === 0xf4) return false;
      if (first === 0xf5) return true;
      if (first === 0xf6) return null;
      throw new SyntaxError("a float, or a simple value that is not known");
    }
    const n = this.#number(first & 31);
    switch (major) {
      case 0:
        return n;
      case 1:
        if (!Number.isSafeInteger(-1 - n)) throw new SyntaxError("the number is too large");
        return -1 - n;
      case 2:
        return new Uint8Array(this.#take(n));
      case 3:
        return this.#text(n);
      case 4:
        return this.#array(n, depth);
      case 5:
        return this.#map(n, depth);
      default:
        return new Tagged(n, this.item(depth + 1));
    }
  }

  #text(n: number): string {
    const bytes = this.#take(n);
    try {
      return utf8Decode(bytes);
    } catch {
      throw new SyntaxError("the text is not UTF-8");
    }
  }

  #array(n: number, depth: number): Cbor[] {
    const items: Cbor[] = [];
    for (let i = 0; i < n; i++) items.push(this.item(depth + 1));
    return items;
  }

  #map(n: number, depth: number): Map<number | string, Cbor> {
    const map = new Map<number | string, Cbor>();
    let before: Uint8Array | undefined;
    for (let i = 0; i < n; i++) {
      const start = this.at;
      const key = this.item(depth + 1);
      if (typeof key !== "number" && typeof key !== "string") {
        throw new SyntaxError("a key must be a number or a text");
      }
      const written = this.bytes.subarray(start, this.at);
      if (before && compare(before, written) >= 0) throw new SyntaxError("keys out of order");
      before = written;
      map.set(key, this.item(depth + 1));
    }
    return map;
  }

  #number(info: number): number {
    if (info < 24) return info;
    if (info > 27) throw new SyntaxError("a length that is not said");
    const size = 1 << (info - 24);
    const n = this.#take(size).reduce((sum, byte) => sum * 256 + byte, 0);
    const least = [24, 0x100, 0x1_0000, 0x1_0000_0000][info - 24]!;
    if (n < least) throw new SyntaxError("a number in more bytes than it needs");
    if (!Number.isSafeInteger(n)) throw new SyntaxError("the number is too large");
    return n;
  }

  #take(n: number): Uint8Array {
    if (n > this.bytes.length - this.at) throw new SyntaxError("it ends too early");
    this.at += n;
    return this.bytes.subarray(this.at - n, this.at);
  }
}
