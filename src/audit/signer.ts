/** What authenticates the audit log under one master key: the key of its heads, and that of its lines. */
import type { Bytes } from "../bytes.ts";
import type { AuditKeys, AuditSource } from "../keys/mod.ts";
import { SigningKey } from "./cose.ts";
import { HmacSha256 } from "./sha256.ts";
import { HASH_BYTES, sameHash } from "./tree.ts";

/** Bytes of a line's tag. */
const TAG_BYTES = 16;

/** Signs heads and tags lines. The key of the lines is wiped when it is disposed of; the other is the runtime's. */
export class AuditSigner implements Disposable {
  /** The master key's id. */
  readonly kid: string;
  /** Signs heads. */
  readonly signing: SigningKey;
  readonly #line: HmacSha256;
  /**
   * What is authenticated of a line: the log's id, the line's number, its leaf. A number has seven bytes, which every safe integer
   * fits: with an eighth it would be two blocks of SHA-256 and not one.
   */
  readonly #tagged = new Uint8Array(16 + 7 + 32);
  readonly #made = new Uint8Array(HASH_BYTES);
  readonly #view = new DataView(this.#tagged.buffer);

  /** Over these keys. @param keys Stay the caller's to wipe. */
  constructor(keys: AuditKeys) {
    this.kid = keys.kid;
    this.signing = new SigningKey(keys.seed);
    this.#line = new HmacSha256(keys.line);
  }

  /** Of the active master key, or of `kid`. @throws {SecLlamaError} See {@link AuditSource.auditKeys}. */
  static async of(source: AuditSource, kid?: string): Promise<AuditSigner> {
    using keys = await source.auditKeys(kid);
    return new AuditSigner(keys);
  }

  /** The tag of line `n` of the log `id`: nobody without the key can change, move or add a line. */
  tag(id: Uint8Array, n: number, leaf: Uint8Array): Bytes {
    return this.#hash(id, n, leaf).slice(0, TAG_BYTES);
  }

  /** Whether it is {@link AuditSigner.tag}'s. */
  isTag(tag: Uint8Array, id: Uint8Array, n: number, leaf: Uint8Array): boolean {
    return sameHash(this.#hash(id, n, leaf), tag, TAG_BYTES);
  }

  #hash(id: Uint8Array, n: number, leaf: Uint8Array): Bytes {
    const high = Math.floor(n / 2 ** 32);
    this.#tagged.set(id);
    this.#view.setUint8(16, high >>> 16);
    this.#view.setUint16(17, high);
    this.#view.setUint32(19, n);
    this.#tagged.set(leaf, 23);
    return this.#line.of(this.#tagged, this.#made);
  }

  /** Wipes the key of the lines. */
  [Symbol.dispose](): void {
    this.#line[Symbol.dispose]();
  }
}
