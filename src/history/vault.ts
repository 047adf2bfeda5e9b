/**
 * The vault: the random key under which the keys of all conversations lie in the database. Its file holds it wrapped by the
 * storage key of the active master key (src/keys/keyset/wrap.ts), so a rotation rewraps this one record, whoever has the database open.
 *
 *     history/key.json    {"v": 1, "keys": [{"id": "16 hex digits", "wrapped": "base64"}]}     the first one seals what is new
 *
 * There are two keys only while `erase --everywhere` moves the conversations from one to the other.
 */
import { join } from "node:path";
import { type Bytes, fromBase64, toBase64, toHex } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { ioError, type ManifestFile, type StorageKeys, writeFileAtomically } from "../keys/mod.ts";
import { secret, wipe } from "../secret.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import { KEY_BYTES } from "./seal.ts";

/** One key of the vault. Whoever gets it overwrites `key` in the end. */
export interface VaultKey {
  /** 16 hexadecimal digits; not secret. */
  readonly id: string;
  readonly key: Bytes;
}

interface Wrapped {
  readonly id: string;
  readonly wrapped: Uint8Array;
}

const FILE_NAME = "key.json";
/** Far more than two records take. */
const MOST_BYTES = 16 * 1024;

/** The vault of one data folder. */
export class Vault {
  readonly #file: ManifestFile;
  readonly #storage: () => Promise<StorageKeys>;
  readonly #path: string;

  /** @param storage Called when something is to be wrapped or unwrapped, not before: a locked key store is not asked for nothing. */
  constructor(file: ManifestFile, storage: () => Promise<StorageKeys>) {
    this.#file = file;
    this.#storage = storage;
    this.#path = join(historyFolder(file.dataDir), FILE_NAME);
  }

  /**
   * The keys, the one for new conversations first. The first call ever makes one.
   * @throws {SecLlamaError} `key-locked` and what else the key store throws; `key-lost` if there are conversations and no key
   * that opens them.
   */
  async open(): Promise<VaultKey[]> {
    const found = await this.#read();
    if (found !== undefined) return await this.#unwrapAll(found);
    return await this.#file.withLock(async () => {
      const again = await this.#read();
      if (again !== undefined) return await this.#unwrapAll(again);
      if (await size(join(historyFolder(this.#file.dataDir), DATABASE_NAME)) > 0) {
        throw lost(`${this.#path} is missing`, "put that file back from a backup");
      }
      const made = newVaultKey();
      await this.#write([made]);
      return [made];
    });
  }

  /** Whether there is one; asks no key store. */
  async exists(): Promise<boolean> {
    return await size(this.#path) > 0;
  }

  /**
   * The same keys under the active master key, so that older master keys can be destroyed.
   * @returns Whether anything had to be done. @throws As {@link open}.
   */
  async rewrap(): Promise<boolean> {
    if (!await this.exists()) return false;
    return await this.#file.withLock(async () => {
      const found = await this.#read() ?? [];
      const storage = await this.#storage();
      const renewed: Wrapped[] = [];
      for (const { id, wrapped } of found) {
        renewed.push({ id, wrapped: await storage.rewrap(wrapped, context(id)) });
      }
      if (renewed.every(({ wrapped }, i) => wrapped === found[i]!.wrapped)) return false;
      await this.#store(renewed);
      await storage.flush();
      return true;
    });
  }

  /** Replaces the keys in the file: new ones first, old ones while something is sealed under them. */
  async replace(keys: readonly VaultKey[]): Promise<void> {
    await this.#file.withLock(() => this.#write(keys));
  }

  async #write(keys: readonly VaultKey[]): Promise<void> {
    const storage = await this.#storage();
    const wrapped: Wrapped[] = [];
    for (const { id, key } of keys) {
      wrapped.push({ id, wrapped: await storage.wrap(key, context(id)) });
    }
    await this.#store(wrapped);
    await storage.flush();
  }

  async #store(keys: readonly Wrapped[]): Promise<void> {
    const folder = historyFolder(this.#file.dataDir);
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const text = JSON.stringify({
      v: 1,
      keys: keys.map(({ id, wrapped }) => ({ id, wrapped: toBase64(wrapped) })),
    });
    await writeFileAtomically(this.#path, new TextEncoder().encode(text + "\n"));
  }

  async #read(): Promise<Wrapped[] | undefined> {
    let text: string;
    try {
      const { size } = await Deno.stat(this.#path);
      if (size > MOST_BYTES) throw new RangeError("too long");
      text = await Deno.readTextFile(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (error instanceof RangeError) throw this.#damaged();
      throw ioError("read", this.#path, error);
    }
    try {
      const { v, keys } = Object(JSON.parse(text)) as Record<string, unknown>;
      if (typeof v === "number" && v > 1) {
        throw new SecLlamaError("not-supported", `${this.#path} is of a newer SecLlama`, {
          hint: "use that version, or newer, to read this history",
        });
      }
      if (v !== 1 || !Array.isArray(keys) || keys.length === 0) throw new TypeError("no keys");
      return keys.map((entry) => {
        const { id, wrapped } = Object(entry) as Record<string, unknown>;
        if (typeof id !== "string" || !/^[0-9a-f]{16}$/.test(id)) throw new TypeError("no id");
        return { id, wrapped: fromBase64(String(wrapped)) };
      });
    } catch (error) {
      if (error instanceof SecLlamaError) throw error;
      throw this.#damaged();
    }
  }

  #damaged(): SecLlamaError {
    return lost(`${this.#path} is damaged`, "put that file back from a backup");
  }

  async #unwrapAll(found: readonly Wrapped[]): Promise<VaultKey[]> {
    const keys: VaultKey[] = [];
    try {
      const storage = await this.#storage();
      for (const { id, wrapped } of found) {
        using opened = secret(await storage.unwrap(wrapped, context(id)));
        if (opened.length !== KEY_BYTES) throw this.#damaged();
        keys.push({ id, key: opened.slice() });
      }
      return keys;
    } catch (error) {
      wipe(...keys.map(({ key }) => key));
      if (!(error instanceof SecLlamaError) || error.code !== "decrypt-failed") throw error;
      throw lost(
        "the master key that the history's key is wrapped under is not here",
        "restore it from an export: secllama key import FILE",
        error,
      );
    }
  }
}

/**
 * Refuses keys that are not those of the file: `erase --everywhere` has moved the conversations under others since this process
 * got them, and what it wrote under these could never be read.
 * @throws {SecLlamaError} `key-refused`.
 */
export function refuseOldVault(folder: string, vault: readonly VaultKey[]): void {
  let text: string;
  try {
    text = Deno.readTextFileSync(join(folder, FILE_NAME));
  } catch (error) {
    // Without the file nothing was ever moved.
    if (error instanceof Deno.errors.NotFound) return;
    throw ioError("read", join(folder, FILE_NAME), error);
  }
  if (vault.every(({ id }) => text.includes(`"${id}"`))) return;
  throw new SecLlamaError(
    "key-refused",
    "the history is under another key since this proxy began",
    {
      hint: "it was erased from backups meanwhile; end the proxy, or serve, and start it again",
    },
  );
}

/** A new key of the vault. */
export function newVaultKey(): VaultKey {
  return {
    id: toHex(crypto.getRandomValues(new Uint8Array(8))),
    key: crypto.getRandomValues(new Uint8Array(KEY_BYTES)),
  };
}

function context(id: string): string {
  return `history ${id}`;
}

function lost(why: string, what: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("key-lost", `no conversation of the history can be opened: ${why}`, {
    hint: `${what}; to give the conversations up and begin anew: secllama history erase --all`,
    cause,
  });
}

async function size(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw ioError("read", path, error);
  }
}
