/**
 * What lies in one table, each thing under a random key of its own, which a key of the vault seals: conversations, documents. Their
 * heads are opened once and kept in memory, so that a list needs nothing else.
 */
import { fromHex, toHex, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { secret, wipe } from "../secret.ts";
import type { Database, Row } from "./database.ts";
import { KEY_BYTES, KIND, type Kind, open, seal } from "./seal.ts";
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
  /** The last message of each of them: the version of the text and of its filter. */
  readonly through?: readonly number[];
  /** What it was imported from, as originOf() of import/take_up.ts has it; none: it was made here. */
  readonly origin?: string;
  /** When it was deleted: it is erased UNDO_MS after that; null: it was not. */
  readonly deleted: number | null;
}

/** One that was opened, or could not be. */
export interface Entry<H = Head> {
  readonly id: string;
  readonly bytes: Uint8Array;
  /** Undefined: damaged. */
  readonly opened: { readonly key: Uint8Array; readonly head: H } | undefined;
}

/** One that can be read. */
export type Opened<H = Head> = Entry<H> & { readonly opened: NonNullable<Entry<H>["opened"]> };

/** A table with the columns id, vault, key and head, and what its errors call what is in it. */
interface Shelf {
  readonly table: "conversations" | "documents";
  readonly key: Kind;
  readonly head: Kind;
  readonly noSuch: string;
  readonly list: string;
}

export const CONVERSATIONS: Shelf = {
  table: "conversations",
  key: KIND.key,
  head: KIND.head,
  noSuch: "the history has no such conversation",
  list: "secllama history list",
};
export const DOCUMENTS: Shelf = {
  table: "documents",
  key: KIND.documentKey,
  head: KIND.document,
  noSuch: "there is no such document",
  list: "secllama docs list",
};

/** As {@link Register} of register.ts has them. */
interface KnownHeads<H> {
  headOf(row: Row): Opened<H>["opened"] | undefined;
  forgetHeads(): void;
}

/** Entries whose heads are kept in memory, some 700 bytes each. */
const MOST_KEPT = 50_000;

/** All entries of a table. */
export class Entries<H> implements Disposable {
  readonly #db: Database;
  readonly #vault: readonly VaultKey[];
  readonly #shelf: Shelf;
  readonly #register: KnownHeads<H> | undefined;
  #kept: Map<string, Entry<H>> | undefined;
  /** Those that were opened so far, in the order of their ids, and the last of them. */
  #partial: { found: Map<string, Entry<H>>; after: Uint8Array; changes: string } | undefined;
  /** There are too many to keep them. */
  #many = false;
  #changes = "";

  /** @param vault The key for new ones first. @param register What is known of rows without opening each. */
  constructor(
    db: Database,
    vault: readonly VaultKey[],
    shelf: Shelf,
    register?: KnownHeads<H>,
  ) {
    this.#db = db;
    this.#vault = vault;
    this.#shelf = shelf;
    this.#register = register;
  }

  /** All of them, by id. */
  all(): ReadonlyMap<string, Entry<H>> {
    const { changes } = this.#db;
    if (this.#kept !== undefined && changes === this.#changes) return this.#kept;
    this.#forget();
    this.#openSome();
    const { found } = this.#partial!;
    this.#partial = undefined;
    this.#many = found.size > MOST_KEPT;
    if (!this.#many) {
      this.#kept = found;
      this.#changes = changes;
    }
    return found;
  }

  /** Whether there are too many to keep: each time that all are asked for, all are opened. */
  get tooMany(): boolean {
    return this.#many;
  }

  /** Opens some more of them, so that {@link all} need not open them in one piece. Says whether that was the last of them. */
  warm(count: number): boolean {
    if (this.#many || this.#kept !== undefined && this.#db.changes === this.#changes) return true;
    if (!this.#openSome(count)) return false;
    this.all();
    return true;
  }

  /** Goes on with what was opened already, if nobody else has written since. Says whether these are all. */
  #openSome(count?: number): boolean {
    const { changes } = this.#db;
    if (this.#partial?.changes !== changes) {
      this.#forgetPartial();
      // What was kept is out of date; a key that is added from now on must not be in both.
      this.#forget();
      this.#partial = { found: new Map(), after: new Uint8Array(), changes };
    }
    const partial = this.#partial!;
    let seen = 0;
    const rows = this.#db.each(
      `SELECT id, vault, key, head FROM ${this.#shelf.table} WHERE id > ? ORDER BY id LIMIT ?`,
      partial.after,
      count ?? -1,
    );
    for (const row of rows) {
      const entry = this.#known(row) ?? this.#open(row);
      partial.found.set(entry.id, entry);
      partial.after = entry.bytes;
      seen++;
    }
    // It holds keys of conversations that may be erased next.
    this.#register?.forgetHeads();
    return count === undefined || seen < count;
  }

  /** Those that can be read. */
  readable(): Opened<H>[] {
    return [...this.all().values()].filter((entry): entry is Opened<H> =>
      entry.opened !== undefined
    );
  }

  /** One of them, damaged or not. @throws {SecLlamaError} `not-found`. */
  find(id: string): Entry<H> {
    const entry = this.#many ? this.#one(id) : this.all().get(id);
    if (entry !== undefined) return entry;
    throw new SecLlamaError("not-found", this.#shelf.noSuch, {
      hint: `to see them: ${this.#shelf.list}`,
    });
  }

  /**
   * One that can be read.
   * @throws {SecLlamaError} `not-found`, `decrypt-failed` if it is damaged.
   */
  get(id: string): Opened<H> {
    const entry = this.find(id);
    if (entry.opened !== undefined) return entry as Opened<H>;
    throw new SecLlamaError("decrypt-failed", "this conversation of the history is damaged", {
      hint: "put the history back from a backup, or erase it: secllama history erase ID",
    });
  }

  /** A new one, under a new key; within a transaction. */
  add(head: H): Opened<H> {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    const vault = this.#vault[0]!;
    this.#db.run(
      `INSERT INTO ${this.#shelf.table} (id, vault, key, head) VALUES (?, ?, ?, ?)`,
      bytes,
      fromHex(vault.id),
      this.#sealKey(vault, bytes, key),
      this.#sealHead(key, bytes, head),
    );
    return this.#set({ id: toHex(bytes), bytes, opened: { key, head } });
  }

  /** Another head for one; within a transaction. */
  change({ id, bytes, opened: { key } }: Opened<H>, head: H): void {
    this.#db.run(
      `UPDATE ${this.#shelf.table} SET head = ? WHERE id = ?`,
      this.#sealHead(key, bytes, head),
      bytes,
    );
    this.#set({ id, bytes, opened: { key, head } });
  }

  /** Its row and its key end; within a transaction. */
  delete({ id, bytes, opened }: Entry<H>): void {
    this.#db.run(`DELETE FROM ${this.#shelf.table} WHERE id = ?`, bytes);
    wipe(opened?.key);
    this.#kept?.delete(id);
    this.#partial?.found.delete(id);
  }

  /** Seals the keys of all that can be read under `next`, within a transaction; says how many these are. */
  rekey(next: VaultKey): number {
    const entries = this.readable();
    for (const { bytes, opened: { key } } of entries) {
      this.#db.run(
        `UPDATE ${this.#shelf.table} SET vault = ?, key = ? WHERE id = ?`,
        fromHex(next.id),
        this.#sealKey(next, bytes, key),
        bytes,
      );
    }
    return entries.length;
  }

  /** A change of this process's own, which {@link all} takes back if the transaction is. */
  #set(entry: Opened<H>): Opened<H> {
    this.#kept?.set(entry.id, entry);
    this.#partial?.found.set(entry.id, entry);
    return entry;
  }

  #sealKey(vault: VaultKey, conversation: Uint8Array, key: Uint8Array): Uint8Array {
    return seal(vault.key, { kind: this.#shelf.key, conversation, position: 0 }, key);
  }

  #sealHead(key: Uint8Array, conversation: Uint8Array, head: H): Uint8Array {
    const place = { kind: this.#shelf.head, conversation, position: 0 };
    return seal(key, place, utf8(JSON.stringify(head)));
  }

  #one(id: string): Entry<H> | undefined {
    if (!/^[0-9a-f]{32}$/.test(id)) return undefined;
    const row = this.#db.row(
      `SELECT id, vault, key, head FROM ${this.#shelf.table} WHERE id = ?`,
      fromHex(id),
    );
    return row && this.#open(row);
  }

  #known(row: Row): Opened<H> | undefined {
    const opened = this.#register?.headOf(row);
    const bytes = row["id"] as Uint8Array;
    return opened && { id: toHex(bytes), bytes, opened };
  }

  #open(row: Row): Entry<H> {
    const conversation = row["id"] as Uint8Array;
    const entry = { id: toHex(conversation), bytes: conversation };
    const wanted = toHex(row["vault"] as Uint8Array);
    const vault = this.#vault.find(({ id }) => id === wanted);
    let key: Uint8Array | undefined;
    try {
      const place = { conversation, position: 0 };
      key = open(vault!.key, { ...place, kind: this.#shelf.key }, row["key"] as Uint8Array);
      if (key.length !== KEY_BYTES) throw new RangeError("no key");
      const sealed = row["head"] as Uint8Array;
      using plain = secret(open(key, { ...place, kind: this.#shelf.head }, sealed));
      return { ...entry, opened: { key, head: JSON.parse(utf8Decode(plain)) as H } };
    } catch {
      wipe(key);
      return { ...entry, opened: undefined };
    }
  }

  #forget(): void {
    for (const { opened } of this.#kept?.values() ?? []) wipe(opened?.key);
    this.#kept = undefined;
  }

  #forgetPartial(): void {
    for (const { opened } of this.#partial?.found.values() ?? []) wipe(opened?.key);
    this.#partial = undefined;
  }

  [Symbol.dispose](): void {
    this.#forget();
    this.#forgetPartial();
  }
}
