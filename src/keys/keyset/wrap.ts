/**
 * Wrapping: sealing a short secret (the key of the TLS authority, of a history) under the storage key of the active master key.
 * Rotation re-wraps these and leaves what they encrypt as it is.
 *
 *   "SLW1" | kid[8] | nonce[12] | AES-256-GCM ciphertext | tag[16]      AAD = "SLW1" | kid | context
 *
 * The context says what the secret is for; a wrapped secret opens under no other. Nonces are
 * random: NIST SP 800-38D allows 2^32 of them under one key, which the reminder in reminder.ts stays far below.
 */
import { type Bytes, concat, fromHex, toHex, utf8 } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { type Secret, secret } from "../../secret.ts";
import { deriveStorage } from "../derive.ts";

const MAGIC = utf8("SLW1");
const KID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OVERHEAD_BYTES = MAGIC.length + KID_BYTES + NONCE_BYTES + TAG_BYTES;

/** Where a {@link StorageKeys} finds master keys. */
export interface MasterKeys {
  /** Generation and active kid now; cheap, called before each wrap. */
  current(): Promise<{ gen: number; active: string }>;
  /** The master key, for the caller's `using`. @throws {SecLlamaError} If there is none such that may still open. */
  masterKey(kid: string): Promise<Secret>;
  /** Adds to the count of secrets wrapped under `kid`; must not fail. */
  countWraps?(kid: string, count: number): Promise<unknown>;
}

/** Wraps between two writes of the counts. */
const FLUSH_AFTER_WRAPS = 256;

/** Storage keys by kid, as non-extractable CryptoKeys. One generation's keys are dropped when the next is seen. */
export class StorageKeys {
  readonly #source: MasterKeys;
  readonly #keys = new Map<string, CryptoKey>();
  readonly #wraps = new Map<string, number>();
  #gen = -1;

  /** Asks `source` for master keys as they are needed. */
  constructor(source: MasterKeys) {
    this.#source = source;
  }

  /**
   * Seals `secret` (at most 1 KiB) under the active key.
   * @throws {SecLlamaError} `key-not-initialised`, and what the key store throws.
   */
  async wrap(secret: Uint8Array, context: string): Promise<Bytes> {
    if (secret.length > 1024) {
      throw new RangeError(`secret has ${secret.length} bytes, at most 1024`);
    }
    return await this.#seal((await this.#current()).active, secret, context);
  }

  async #seal(active: string, secret: Uint8Array, context: string): Promise<Bytes> {
    const key = await this.#key(active);
    const head = concat(MAGIC, fromHex(active));
    const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const sealed = await crypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData: concat(head, utf8(context)) },
      key,
      new Uint8Array(secret),
    );
    const count = (this.#wraps.get(active) ?? 0) + 1;
    this.#wraps.set(active, count);
    if (count >= FLUSH_AFTER_WRAPS) await this.flush();
    return concat(head, iv, new Uint8Array(sealed));
  }

  /**
   * Opens what {@link wrap} made, under any key of the keyset that is not destroyed.
   * @throws {SecLlamaError} `decrypt-failed`, one message for every reason, with the reason as its cause.
   */
  async unwrap(wrapped: Uint8Array, context: string): Promise<Bytes> {
    await this.#current();
    return await this.#open(wrapped, context);
  }

  async #open(wrapped: Uint8Array, context: string): Promise<Bytes> {
    try {
      const kid = kidOfWrapped(wrapped);
      const key = await this.#key(kid);
      const head = wrapped.subarray(0, MAGIC.length + KID_BYTES);
      const at = head.length + NONCE_BYTES;
      const opened = await crypto.subtle.decrypt(
        {
          name: "AES-GCM",
          iv: wrapped.slice(head.length, at),
          additionalData: concat(head, utf8(context)),
        },
        key,
        wrapped.slice(at),
      );
      return new Uint8Array(opened);
    } catch (cause) {
      // A store that is locked or gone says so itself: nothing is wrong with what was wrapped.
      if (
        cause instanceof SecLlamaError &&
        ["key-locked", "key-cancelled", "key-store-unavailable"].includes(cause.code)
      ) throw cause;
      throw new SecLlamaError("decrypt-failed", "failed to decrypt message", {
        hint: "to see which keys there are, run: secllama key status",
        cause,
      });
    }
  }

  /** The same secret under the active key, or the input itself if it is already. @throws As wrap and unwrap. */
  async rewrap(wrapped: Uint8Array, context: string): Promise<Uint8Array> {
    const { active } = await this.#current();
    if (kidOfWrapped(wrapped) === active) return wrapped;
    using opened = secret(await this.#open(wrapped, context));
    return await this.#seal(active, opened, context);
  }

  /** Writes the counts of wrapped secrets that `key status` shows. Call it at the end; it never fails. */
  async flush(): Promise<void> {
    const counts = [...this.#wraps];
    this.#wraps.clear();
    for (const [kid, count] of counts) await this.#source.countWraps?.(kid, count);
  }

  async #current() {
    const current = await this.#source.current();
    if (current.gen !== this.#gen) {
      this.#keys.clear();
      this.#gen = current.gen;
    }
    return current;
  }

  async #key(kid: string): Promise<CryptoKey> {
    const known = this.#keys.get(kid);
    if (known) return known;
    using master = await this.#source.masterKey(kid);
    using raw = secret(await deriveStorage(master));
    const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    this.#keys.set(kid, key);
    return key;
  }
}

/** The kid a wrapped secret names. @throws {SecLlamaError} `decrypt-failed` if it is not one. */
export function kidOfWrapped(wrapped: Uint8Array): string {
  if (wrapped.length < OVERHEAD_BYTES || !MAGIC.every((byte, i) => wrapped[i] === byte)) {
    throw new SecLlamaError("decrypt-failed", "failed to decrypt message", {
      hint: "what should be a wrapped key is not one",
    });
  }
  return toHex(wrapped.subarray(MAGIC.length, MAGIC.length + KID_BYTES));
}
