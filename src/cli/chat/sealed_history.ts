/**
 * What a user typed in conversations, kept for the next one because the user asked for it: one file in the data folder, sealed.
 *
 *   "SLH1" | length of the wrapped key, u16 big-endian | wrapped key | nonce[12] | AES-256-GCM of the lines as JSON | tag[16]
 *
 * The file's key is random and new at each write, and is wrapped by the storage key of the active master key.
 */
import { concat, u16, utf8, utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { refuseNewer } from "../../newer_file.ts";
import { secret } from "../../secret.ts";
import { writeFileAtomically } from "../../keys/mod.ts";

const MAGIC = utf8("SLH1");
const NEWER = /^SLH([2-9])/;
const CONTEXT = "run history";
const NONCE_BYTES = 12;
const MAX_LINES = 1000;

/** The part of the key manager that wraps. */
export interface Wrapper {
  wrap(secret: Uint8Array, context: string): Promise<Uint8Array>;
  unwrap(wrapped: Uint8Array, context: string): Promise<Uint8Array>;
}

export class SealedHistory {
  readonly #path: string;
  readonly #keys: () => Promise<Wrapper>;

  /** `keys` is called when something is to be read or written, not before: a locked key store is not asked for nothing. */
  constructor(path: string, keys: () => Promise<Wrapper>) {
    this.#path = path;
    this.#keys = keys;
  }

  /**
   * The lines, newest first; none if nothing is kept. @throws {SecLlamaError} `decrypt-failed`, `key-corrupt` for a newer
   * version's, or what the key store throws.
   */
  async read(): Promise<readonly string[]> {
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await Deno.readFile(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
    const [, v] = NEWER.exec(String.fromCharCode(...bytes.subarray(0, MAGIC.length))) ?? [];
    refuseNewer(this.#path, { v: Number(v) }, 1);
    try {
      const length = new DataView(bytes.buffer).getUint16(MAGIC.length);
      const start = MAGIC.length + 2 + length;
      const wrapped = bytes.subarray(MAGIC.length + 2, start);
      const key = await fileKey(await (await this.#keys()).unwrap(wrapped, CONTEXT), "decrypt");
      const iv = bytes.subarray(start, start + NONCE_BYTES);
      const additionalData = bytes.subarray(0, start);
      const plain = await crypto.subtle.decrypt(
        { name: "AES-GCM", iv, additionalData },
        key,
        bytes.subarray(start + NONCE_BYTES),
      );
      const lines: unknown = JSON.parse(utf8Decode(new Uint8Array(plain)));
      return Array.isArray(lines) ? lines.filter((line) => typeof line === "string") : [];
    } catch (cause) {
      if (cause instanceof SecLlamaError && cause.code !== "decrypt-failed") throw cause;
      throw new SecLlamaError("decrypt-failed", `${this.#path} cannot be opened with this key`, {
        hint: "to begin again, remove the file; it holds nothing but lines typed in secllama run",
        cause,
      });
    }
  }

  /** Keeps the newest lines. @throws {SecLlamaError} What the key store throws. */
  async write(lines: readonly string[]): Promise<void> {
    using made = secret(crypto.getRandomValues(new Uint8Array(32)));
    const wrapped = await (await this.#keys()).wrap(made, CONTEXT);
    const key = await fileKey(made, "encrypt");
    const head = concat(MAGIC, u16(wrapped.length), wrapped);
    const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const sealed = await crypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData: head },
      key,
      utf8(JSON.stringify(lines.slice(0, MAX_LINES))),
    );
    await writeFileAtomically(this.#path, concat(head, iv, new Uint8Array(sealed)));
  }

  async forget(): Promise<void> {
    try {
      await Deno.remove(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Takes `taken` over: it is zeroed once the key is made. */
async function fileKey(taken: Uint8Array, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
  using _taken = secret(taken);
  using bytes = secret(new Uint8Array(taken));
  return await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, [use]);
}
