/**
 * What the history keeps in memory of its conversations: their keys, and the heads that a list shows. Opened at the first
 * question and again after another process has written; beyond a bound, opened for each question and not kept.
 */
import { toHex, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { secret, wipe } from "../secret.ts";
import type { Database, Row } from "./database.ts";
import { KEY_BYTES, KIND, open, seal } from "./seal.ts";
import type { VaultKey } from "./vault.ts";

/** What is sealed of a conversation beside its settings and messages. */
export interface Head {
  readonly title: string;
  readonly model: string;
  /** Unix milliseconds. */
  readonly created: number;
  readonly updated: number;
  readonly pinned: boolean;
  readonly folder: string;
  /** Positions given to messages so far: all must be there. */
  readonly messages: number;
  /** Bytes of the messages, sealed. */
  readonly size: number;
  /** Texts for the search, of which the last may grow. */
  readonly texts: number;
  /** When it was deleted: it is erased UNDO_MS after that; null: it was not. */
  readonly deleted: number | null;
}

/** A conversation that was opened, or could not be. */
export interface Entry {
  readonly id: string;
  readonly bytes: Uint8Array;
  /** Undefined: damaged. */
  readonly opened: { readonly key: Uint8Array; readonly head: Head } | undefined;
}

/** Conversations whose heads are kept in memory, some 700 bytes each. */
const MOST_KEPT = 50_000;

/** The conversation's key under a key of the vault. */
export function sealKey(vault: VaultKey, conversation: Uint8Array, key: Uint8Array): Uint8Array {
  return seal(vault.key, { kind: KIND.key, conversation, position: 0 }, key);
}

/** The head, for its place in the database. */
export function sealHead(key: Uint8Array, conversation: Uint8Array, head: Head): Uint8Array {
  return seal(
    key,
    { kind: KIND.head, conversation, position: 0 },
    utf8(JSON.stringify(head)),
  );
}

/** All conversations of a database. */
export class Entries implements Disposable {
  readonly #db: Database;
  readonly #vault: ReadonlyMap<string, VaultKey>;
  #kept: Map<string, Entry> | undefined;
  #changes = -1;

  /** @param vault By their ids. */
  constructor(db: Database, vault: ReadonlyMap<string, VaultKey>) {
    this.#db = db;
    this.#vault = vault;
  }

  /** All of them, by id. */
  all(): ReadonlyMap<string, Entry> {
    const { changes } = this.#db;
    if (this.#kept !== undefined && changes === this.#changes) return this.#kept;
    this.forget();
    const found = new Map<string, Entry>();
    for (const row of this.#db.each("SELECT id, vault, key, head FROM conversations")) {
      const entry = this.#open(row);
      found.set(entry.id, entry);
    }
    if (found.size <= MOST_KEPT) {
      this.#kept = found;
      this.#changes = changes;
    }
    return found;
  }

  /**
   * One that can be read.
   * @throws {SecLlamaError} `not-found`, `decrypt-failed` if it is damaged.
   */
  get(id: string): Entry & { readonly opened: NonNullable<Entry["opened"]> } {
    const entry = this.all().get(id);
    if (entry === undefined) {
      throw new SecLlamaError("not-found", "the history has no such conversation");
    }
    const { opened } = entry;
    if (opened === undefined) {
      throw new SecLlamaError("decrypt-failed", "this conversation of the history is damaged", {
        hint: "put the history back from a backup, or erase it: secllama history erase ID",
      });
    }
    return { ...entry, opened };
  }

  /** After a change of this process's own. */
  set(entry: Entry): void {
    this.#kept?.set(entry.id, entry);
  }

  /** After one was erased: its key ends. */
  delete(id: string): void {
    wipe(this.#kept?.get(id)?.opened?.key);
    this.#kept?.delete(id);
  }

  /** Drops all that is kept. */
  forget(): void {
    for (const { opened } of this.#kept?.values() ?? []) wipe(opened?.key);
    this.#kept = undefined;
  }

  #open(row: Row): Entry {
    const bytes = row["id"] as Uint8Array;
    const id = toHex(bytes);
    const damaged: Entry = { id, bytes, opened: undefined };
    const vault = this.#vault.get(toHex(row["vault"] as Uint8Array));
    if (vault === undefined) return damaged;
    try {
      const place = { conversation: bytes, position: 0 };
      const key = open(vault.key, { ...place, kind: KIND.key }, row["key"] as Uint8Array);
      if (key.length !== KEY_BYTES) return damaged;
      using plain = secret(open(key, { ...place, kind: KIND.head }, row["head"] as Uint8Array));
      return { id, bytes, opened: { key, head: JSON.parse(utf8Decode(plain)) as Head } };
    } catch {
      return damaged;
    }
  }

  [Symbol.dispose](): void {
    this.forget();
  }
}
