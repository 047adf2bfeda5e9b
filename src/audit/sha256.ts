/**
 * SHA-256 (FIPS 180-4) in plain JavaScript, for many short inputs: a call of the runtime's costs ten times the work on the 65 bytes
 * of a tree's node, and a log of a million lines has two million of them. Of what it hashes nothing is secret but a line's key, whose
 * two blocks are hashed once ({@link HmacSha256}).
 */
import type { Bytes } from "../bytes.ts";
import { wipe } from "../secret.ts";

/** The first 32 bits of the fractional parts of `root` of the first `count` primes. */
function fractions(count: number, root: (prime: number) => number): Int32Array {
  const out = new Int32Array(count);
  for (let n = 2, at = 0; at < count; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) prime &&= n % d !== 0;
    if (prime) out[at++] = (root(n) % 1) * 2 ** 32;
  }
  return out;
}

const K = fractions(64, Math.cbrt);
const START = fractions(8, Math.sqrt);

const HASH_BYTES = 32;
const words = new Int32Array(64);
const block = new Uint8Array(64);

function sum0(x: number): number {
  return ((x >>> 2) | (x << 30)) ^ ((x >>> 13) | (x << 19)) ^ ((x >>> 22) | (x << 10));
}

function sum1(x: number): number {
  return ((x >>> 6) | (x << 26)) ^ ((x >>> 11) | (x << 21)) ^ ((x >>> 25) | (x << 7));
}

/** One block of `bytes` at `at` into `state`. */
function compress(state: Int32Array, bytes: Uint8Array, at: number): void {
  const w = words;
  for (let i = 0; i < 16; i++, at += 4) {
    w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]!;
    const y = w[i - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
  }
  let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!;
  let e = state[4]!, f = state[5]!, g = state[6]!, h = state[7]!;
  // Eight rounds at once: each variable comes back to its place, and none is moved.
  for (let i = 0; i < 64; i += 8) {
    h = (h + sum1(e) + (g ^ (e & (f ^ g))) + K[i + 0]! + w[i + 0]!) | 0;
    d = (d + h) | 0;
    h = (h + sum0(a) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    g = (g + sum1(d) + (f ^ (d & (e ^ f))) + K[i + 1]! + w[i + 1]!) | 0;
    c = (c + g) | 0;
    g = (g + sum0(h) + ((h & a) ^ (h & b) ^ (a & b))) | 0;
    f = (f + sum1(c) + (e ^ (c & (d ^ e))) + K[i + 2]! + w[i + 2]!) | 0;
    b = (b + f) | 0;
    f = (f + sum0(g) + ((g & h) ^ (g & a) ^ (h & a))) | 0;
    e = (e + sum1(b) + (d ^ (b & (c ^ d))) + K[i + 3]! + w[i + 3]!) | 0;
    a = (a + e) | 0;
    e = (e + sum0(f) + ((f & g) ^ (f & h) ^ (g & h))) | 0;
    d = (d + sum1(a) + (c ^ (a & (b ^ c))) + K[i + 4]! + w[i + 4]!) | 0;
    h = (h + d) | 0;
    d = (d + sum0(e) + ((e & f) ^ (e & g) ^ (f & g))) | 0;
    c = (c + sum1(h) + (b ^ (h & (a ^ b))) + K[i + 5]! + w[i + 5]!) | 0;
    g = (g + c) | 0;
    c = (c + sum0(d) + ((d & e) ^ (d & f) ^ (e & f))) | 0;
    b = (b + sum1(g) + (a ^ (g & (h ^ a))) + K[i + 6]! + w[i + 6]!) | 0;
    f = (f + b) | 0;
    b = (b + sum0(c) + ((c & d) ^ (c & e) ^ (d & e))) | 0;
    a = (a + sum1(f) + (h ^ (f & (g ^ h))) + K[i + 7]! + w[i + 7]!) | 0;
    e = (e + a) | 0;
    a = (a + sum0(b) + ((b & c) ^ (b & d) ^ (c & d))) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}

/** Goes on from `state`, into which `done` bytes have gone, a multiple of 64. Changes `state`. */
function finish(
  state: Int32Array,
  bytes: Uint8Array,
  done: number,
  out: Bytes = new Uint8Array(HASH_BYTES),
  outAt = 0,
): Bytes {
  let at = 0;
  for (; at + 64 <= bytes.length; at += 64) compress(state, bytes, at);
  const rest = bytes.length - at;
  for (let i = 0; i < rest; i++) block[i] = bytes[at + i]!;
  block[rest] = 0x80;
  for (let i = rest + 1; i < 64; i++) block[i] = 0;
  if (rest >= 56) {
    compress(state, block, 0);
    for (let i = 0; i < 56; i++) block[i] = 0;
  }
  const bits = (done + bytes.length) * 8;
  const high = Math.floor(bits / 2 ** 32);
  for (let i = 0; i < 4; i++) {
    block[56 + i] = high >>> (24 - 8 * i);
    block[60 + i] = bits >>> (24 - 8 * i);
  }
  compress(state, block, 0);
  for (let i = 0, o = outAt; i < 8; i++) {
    const word = state[i]!;
    out[o++] = word >>> 24;
    out[o++] = word >>> 16;
    out[o++] = word >>> 8;
    out[o++] = word;
  }
  return out;
}

const scratch = new Int32Array(8);
const between = new Uint8Array(HASH_BYTES);

/** SHA-256 of `bytes`, 32 bytes. @param out Where it goes, from `at` on; a new array by default, which costs half as much again. */
export function sha256(bytes: Uint8Array, out?: Bytes, at = 0): Bytes {
  scratch.set(START);
  return finish(scratch, bytes, 0, out, at);
}

/** HMAC-SHA256 (RFC 2104) under one key of at most 64 bytes. Holds what the key made of the hash until it is disposed of. */
export class HmacSha256 implements Disposable {
  readonly #inner = Int32Array.from(START);
  readonly #outer = Int32Array.from(START);

  /** Keeps no copy of `key`. @throws {RangeError} If it is longer than a block. */
  constructor(key: Uint8Array) {
    if (key.length > 64) throw new RangeError("the key is longer than 64 bytes");
    const padded = new Uint8Array(64);
    for (const [state, mask] of [[this.#inner, 0x36], [this.#outer, 0x5c]] as const) {
      for (let i = 0; i < 64; i++) padded[i] = (key[i] ?? 0) ^ mask;
      compress(state, padded, 0);
    }
    wipe(padded);
  }

  /** The tag of `message`, 32 bytes. @param out Where it goes. */
  of(message: Uint8Array, out?: Bytes): Bytes {
    scratch.set(this.#inner);
    const inner = finish(scratch, message, 64, between);
    scratch.set(this.#outer);
    return finish(scratch, inner, 64, out);
  }

  /** Overwrites what it holds. */
  [Symbol.dispose](): void {
    wipe(new Uint8Array(this.#inner.buffer), new Uint8Array(this.#outer.buffer));
  }
}
