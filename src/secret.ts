/**
 * Secrets in memory, and their end. Who owns a secret overwrites it with zeroes on every way out, a throw included:
 *
 *     using key = await readKey(store, kid);   // a `Secret`: zero once the block is left
 *     using line = secret(concat(…));          // makes one of any bytes
 *     wipe(old);                               // where its life is not a block's
 *
 * `deno lint` refuses `.fill(0)` everywhere else in the product (scripts/lint/house.ts). Out of reach are what V8 has copied
 * before, and texts. The client library runs where `using` does not (Node 20, browsers): what it is built from wipes in a
 * `finally`, and its build refuses a `using`.
 */
import type { Bytes } from "./bytes.ts";

/** Bytes that are zeroed at the end of the block whose `using` holds them. */
export type Secret = Bytes & Disposable;

/** Marks `bytes` themselves, no copy, as a secret for `using`; undefined stays undefined. */
export function secret<B extends Uint8Array>(bytes: B): B & Disposable;
/** As above, for what may be absent. */
export function secret<B extends Uint8Array>(bytes: B | undefined): (B & Disposable) | undefined;
export function secret(bytes: Uint8Array | undefined): (Uint8Array & Disposable) | undefined {
  if (bytes === undefined) return undefined;
  // Not enumerable: two secrets are equal if their bytes are.
  return Object.defineProperty(bytes, DISPOSE, { value: overwrite }) as Uint8Array & Disposable;
}

/** Where there is no such symbol yet, what compilers of `using` put in its place. */
const DISPOSE: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");

/** A Buffer's own takes twenty microseconds for a few bytes, and whoever replaces a method of an object keeps nothing alive. */
const { fill } = Uint8Array.prototype;

function overwrite(this: Uint8Array): void {
  fill.call(this, 0);
}

/** Overwrites each of them with zeroes now. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const bytes of secrets) if (bytes !== undefined) fill.call(bytes, 0);
}

/** Named secrets that end together: those that are in it when the block is left. */
export class SecretMap extends Map<string, Bytes> implements Disposable {
  /** Zeroes every value. */
  [Symbol.dispose](): void {
    wipe(...this.values());
  }
}
