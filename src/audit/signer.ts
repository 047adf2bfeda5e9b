/** What authenticates the audit log under one master key: the key of its heads, and that of its lines. */
import { type Bytes, concat, u64 } from "../bytes.ts";
import type { AuditKeys, AuditSource } from "../keys/mod.ts";
import { SigningKey } from "./cose.ts";
import { HmacSha256 } from "./sha256.ts";

/** Bytes of a line's tag. */
const TAG_BYTES = 16;

/** Signs heads and tags lines. The key of the lines is wiped when it is disposed of; the other is the runtime's. */
export class AuditSigner implements Disposable {
  /** The master key's id. */
  readonly kid: string;
  /** Signs heads. */
  readonly signing: SigningKey;
  readonly #line: HmacSha256;

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
    return this.#line.of(concat(id, u64(n), leaf)).slice(0, TAG_BYTES);
  }

  /** Wipes the key of the lines. */
  [Symbol.dispose](): void {
    this.#line[Symbol.dispose]();
  }
}
