/**
 * A key store in one passphrase-wrapped file (envelope.ts), for machines without a key store. The passphrase is asked for
 * once, and only its derived key is kept. The keyset's lock keeps other writers away.
 */
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { FileTooLong, readAtMost } from "../../read_up_to.ts";
import { secret, SecretMap, wipe } from "../../secret.ts";
import {
  type Box,
  deriveBoxKey,
  ENVELOPE_CAP_BYTES,
  type KdfParameters,
  newKdf,
  openBox,
  parseBox,
  sealBox,
} from "./envelope.ts";
import { checkAccess } from "./access.ts";
import { checkNewPassphrase } from "./new_passphrase.ts";
import { ioError, writeFileAtomically } from "../keyset/manifest_file.ts";
import type { KeyStore, StoreStatus } from "./store.ts";

interface FileStoreOptions {
  readonly path: string;
  /**
   * Asks for the passphrase, twice with `confirm`; undefined when nobody is there to answer. `wrong`: the last one did not open it;
   * undefined if it cannot be asked for again. The bytes are zeroed after use.
   */
  readonly passphrase: (
    question: { confirm: boolean; wrong?: SecLlamaError },
  ) => Promise<Bytes | undefined>;
}

/** As often a passphrase may be typed. */
const TRIES = 3;

export class FileStore implements KeyStore {
  readonly backend = "file";
  /** About who may read the file, once it was read. */
  warnings: readonly string[] = [];
  readonly #path: string;
  readonly #ask: FileStoreOptions["passphrase"];
  #unlocked: { kdf: KdfParameters; key: CryptoKey } | undefined;
  /** A wrong or missing passphrase: not asked for again by this process. */
  #refusal: SecLlamaError | undefined;

  constructor(options: FileStoreOptions) {
    this.#path = options.path;
    this.#ask = options.passphrase;
  }

  async probe(): Promise<StoreStatus> {
    const good: StoreStatus = {
      reachable: true,
      locked: false,
      writable: true,
      encryptedAtRest: "yes",
    };
    try {
      using _items = await this.#load();
      return good;
    } catch (error) {
      const e = error instanceof SecLlamaError ? error : ioError("read", this.#path, error);
      const locked = e.code === "key-locked" || e.code === "key-cancelled";
      return {
        ...good,
        reachable: locked,
        locked,
        writable: false,
        reason: e.message,
        ...(e.hint === undefined ? {} : { hint: e.hint }),
      };
    }
  }

  async get(account: string): Promise<Bytes | undefined> {
    using items = await this.#load();
    return items?.get(account)?.slice();
  }

  async put(account: string, value: Uint8Array): Promise<void> {
    using items = await this.#load() ?? new SecretMap();
    wipe(items.get(account));
    items.set(account, new Uint8Array(value));
    await this.#save(items);
  }

  async remove(account: string): Promise<void> {
    using items = await this.#load();
    if (!items?.has(account)) return;
    wipe(items.get(account));
    items.delete(account);
    await this.#save(items);
  }

  async list(): Promise<string[]> {
    using items = await this.#load();
    return [...items?.keys() ?? []];
  }

  async missingFile(): Promise<string | undefined> {
    return await this.#read() === undefined ? this.#path : undefined;
  }

  /** The items, or undefined if there is no file yet. */
  async #load(): Promise<SecretMap | undefined> {
    const bytes = await this.#read();
    if (bytes === undefined) return undefined;
    const what = this.#path;
    const box = parseBox(bytes, what);
    if (JSON.stringify(this.#unlocked?.kdf) === JSON.stringify(box.kdf)) {
      return await openBox(box, this.#unlocked!.key, what);
    }
    if (this.#refusal) throw this.#refusal;
    try {
      using passphrase = secret(await this.#passphrase(false));
      return await this.#open(box, passphrase);
    } catch (error) {
      if (error instanceof SecLlamaError) this.#refusal = error;
      throw error;
    }
  }

  /** @throws {SecLlamaError} `key-locked` if no passphrase that was given opens it. */
  async #open(box: Box, first: Uint8Array): Promise<SecretMap> {
    let wrong: SecLlamaError;
    for (let left = TRIES, given = first;; left--) {
      try {
        const key = await deriveBoxKey(given, box.kdf);
        const items = await openBox(box, key, this.#path);
        this.#unlocked = { kdf: box.kdf, key };
        return items;
      } catch (error) {
        if (!(error instanceof SecLlamaError) || error.code !== "key-locked") throw error;
        wrong = error;
      } finally {
        wipe(given);
      }
      const next = left > 1 ? await this.#ask({ confirm: false, wrong }) : undefined;
      if (next === undefined) throw wrong;
      given = next;
    }
  }

  async prepare(): Promise<void> {
    using items = await this.#load();
    if (items === undefined) await this.#choosePassphrase();
  }

  /** Of a file that is not there yet. */
  async #choosePassphrase(): Promise<{ kdf: KdfParameters; key: CryptoKey }> {
    if (this.#unlocked === undefined) {
      const kdf = newKdf();
      using passphrase = secret(await this.#passphrase(true));
      checkNewPassphrase(passphrase);
      this.#unlocked = { kdf, key: await deriveBoxKey(passphrase, kdf) };
    }
    return this.#unlocked;
  }

  async #save(items: SecretMap): Promise<void> {
    const { kdf, key } = await this.#choosePassphrase();
    await writeFileAtomically(this.#path, await sealBox(items, key, kdf));
  }

  async #passphrase(confirm: boolean): Promise<Bytes> {
    const passphrase = await this.#ask({ confirm });
    if (passphrase !== undefined && passphrase.length > 0) return passphrase;
    if (confirm) {
      throw new SecLlamaError("key-locked", `there is no key file ${this.#path}`, {
        hint:
          `correct the path; or make one there: secllama key init --key-file FILE --passphrase-fd N`,
      });
    }
    throw new SecLlamaError("key-locked", `no passphrase was given for ${this.#path}`, {
      hint: "give it on a file descriptor, --passphrase-fd N, or run on a terminal",
    });
  }

  async #read(): Promise<Uint8Array | undefined> {
    try {
      this.warnings = await checkAccess(this.#path, "the key file");
      return await readAtMost(this.#path, ENVELOPE_CAP_BYTES);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (error instanceof FileTooLong) {
        throw new SecLlamaError("key-corrupt", `${this.#path} ${error.message}: it is no key file`);
      }
      throw ioError("read", this.#path, error);
    }
  }
}
