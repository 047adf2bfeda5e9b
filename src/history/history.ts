/**
 * The sealed history: conversations in one SQLite file, each under a random key of its own. What returns is on the disk.
 * Synchronous: it runs in a worker (worker_main.ts) or in a command, not in the proxy's own loop.
 */
import {
  type Conversation,
  type ConversationFields,
  type ConversationList,
  type ImportReport,
  type NewMessage,
  type Prompt,
  type SearchHit,
  UNDO_MS,
} from "../api/history.ts";
import type { DocumentSummary, Passage, Scan } from "../api/documents.ts";
import { SecLlamaError } from "../errors.ts";
import { wipe } from "../secret.ts";
import { Database } from "./database.ts";
import { Documents, type Unembedded } from "./documents.ts";
import { Drawers } from "./drawers.ts";
import { Embedding, type EmbeddingModel, type EmbeddingState } from "./embedding.ts";
import { CONVERSATIONS, Entries, type Head, type Opened } from "./entries.ts";
import { historyFolder } from "./folder.ts";
import { readImport } from "./import/formats.ts";
import { takeUp } from "./import/take_up.ts";
import { messagesOf, sealMessage, writeMessage } from "./message.ts";
import { Register } from "./register.ts";
import { Filters, newestOf, Searcher, TextWriter } from "./search.ts";
import { settingsOf, writeSettings } from "./settings.ts";
import { listOf, type ListOptions, summary, titleFor } from "./summaries.ts";
import { refuseOldVault, type VaultKey } from "./vault.ts";
import { writeMessages } from "./whole.ts";

/** Conversations of one breath: some ten milliseconds. */
const WARM = 200;
const WARM_HEADS = 500;

/** The conversations of one data folder. */
export class History implements Disposable {
  readonly #db: Database;
  readonly #vault: readonly VaultKey[];
  readonly #entries: Entries<Head>;
  readonly #drawers: Drawers;
  readonly #documents: Documents;
  readonly #embedding: Embedding;
  readonly #register: Register;
  readonly #filters: Filters;
  readonly #now: () => number;
  /** The file that is taken up now. */
  #importing: Promise<unknown> = Promise.resolve();

  /**
   * Opens the history, and makes it where there is none.
   * @param o `vault`: from vault.ts, the key for new conversations first; taken over, overwritten at the end.
   * @throws {SecLlamaError} `history-corrupt`, `not-supported`, `disk-full`.
   */
  constructor(o: { dataDir: string; vault: readonly VaultKey[]; now?: () => number }) {
    const folder = historyFolder(o.dataDir);
    const verify = () => refuseOldVault(folder, o.vault);
    this.#vault = o.vault;
    try {
      verify();
      this.#db = Database.open(folder, verify);
    } catch (error) {
      this.#wipe();
      throw error;
    }
    this.#register = new Register(this.#db, o.vault);
    this.#entries = new Entries(this.#db, o.vault, CONVERSATIONS, this.#register);
    this.#drawers = new Drawers(this.#db, o.vault);
    this.#documents = new Documents(this.#db, o.vault);
    this.#embedding = new Embedding(this.#db, this.#drawers, this.#documents);
    this.#filters = new Filters(this.#db, this.#register);
    this.#now = o.now ?? Date.now;
  }

  /** Uses the files that are there now. @throws {SecLlamaError} `history-io` where they were moved away, and as it is opened. */
  inPlace(): void {
    this.#db.inPlace();
  }

  /** Pinned ones first, then the newest. */
  list(o: ListOptions = {}): ConversationList {
    return { ...listOf(this.#entries.all().values(), o), writable: this.#db.writable };
  }

  /** @throws {SecLlamaError} `history-busy`, `disk-full`. */
  create(fields: ConversationFields = {}, created = this.#now(), origin?: string): { id: string } {
    const head: Head = {
      title: fields.title ?? "",
      model: fields.model ?? "",
      created,
      updated: created,
      pinned: fields.pinned ?? false,
      folder: fields.folder ?? "",
      messages: 0,
      size: 0,
      texts: 0,
      through: [],
      ...(origin === undefined ? {} : { origin }),
      deleted: null,
    };
    return this.#db.transaction(() => {
      const entry = this.#entries.add(head);
      if (fields.settings !== undefined) writeSettings(this.#db, entry, fields.settings);
      return { id: entry.id };
    });
  }

  /**
   * A conversation with its messages, in the order in which they were saved. What is damaged of it says so.
   * @throws {SecLlamaError} `not-found`, `decrypt-failed`.
   */
  get(id: string): Conversation {
    const entry = this.#visible(id);
    const messages = messagesOf(this.#db, entry);
    const { messages: _count, ...shown } = summary(entry);
    const missing = entry.opened.head.messages - messages.length;
    return {
      ...shown,
      settings: settingsOf(this.#db, entry),
      messages,
      ...(missing > 0 ? { missing } : {}),
    };
  }

  /** Changes what `fields` names. @throws {SecLlamaError} As {@link get} and {@link create}. */
  update(id: string, fields: ConversationFields): void {
    this.#db.claim();
    const entry = this.#visible(id);
    const { settings, ...rest } = fields;
    this.#change(entry, { ...entry.opened.head, ...rest }, () => {
      if (settings !== undefined) writeSettings(this.#db, entry, settings);
    });
  }

  /**
   * Adds a message. A conversation without a title gets one from its first message of the user's.
   * @returns The message's id, once it is on the disk.
   * @throws {SecLlamaError} `bad-request` for a parent that is not there, and as {@link update}.
   */
  append(id: string, message: NewMessage, created = this.#now()): { id: string } {
    this.#db.claim();
    const entry = this.#visible(id);
    const { bytes, opened: { key, head } } = entry;
    const position = head.messages + 1;
    if (message.parent !== null && !(Number(message.parent) < position)) {
      throw new SecLlamaError("bad-request", "parent is no message of this conversation", {
        field: "parent",
      });
    }
    const sealed = sealMessage(key, bytes, position, message, created);
    const texts = new TextWriter(this.#db, entry);
    const next: Head = {
      ...head,
      title: titleFor(head.title, [message]),
      model: message.model || head.model,
      updated: Math.max(created, head.updated),
      messages: position,
      size: head.size + sealed.length,
      ...texts.headWith(position, message.content),
    };
    this.#change(entry, next, () => {
      writeMessage(this.#db, bytes, position, sealed);
      texts.add(position, message.content);
      this.#filters.forget(id);
    });
    return { id: String(position) };
  }

  /** Hides it; it is erased {@link UNDO_MS} later. @throws {SecLlamaError} As {@link update}. */
  remove(id: string): void {
    this.#db.claim();
    const entry = this.#visible(id);
    this.#change(entry, { ...entry.opened.head, deleted: this.#now() });
  }

  /** Takes {@link remove} back. @throws {SecLlamaError} `not-found` once it was erased. */
  undelete(id: string): void {
    this.#db.claim();
    const entry = this.#entries.get(id);
    this.#change(entry, { ...entry.opened.head, deleted: null });
  }

  /**
   * Erases conversations for good: their keys and records are overwritten, and the log is emptied.
   * @throws {SecLlamaError} `not-found` if one of them is not there; `history-busy`.
   */
  erase(ids: readonly string[]): void {
    this.#db.claim();
    const entries = ids.map((id) => this.#entries.find(id));
    this.#db.transaction(() => {
      for (const entry of entries) {
        this.#db.run("DELETE FROM messages WHERE conversation = ?", entry.bytes);
        this.#db.run("DELETE FROM texts WHERE conversation = ?", entry.bytes);
        this.#db.run("DELETE FROM filters WHERE conversation = ?", entry.bytes);
        this.#filters.forget(entry.id);
        this.#entries.delete(entry);
      }
    });
    this.#db.forget();
  }

  /**
   * Erases what was deleted {@link UNDO_MS} ago, and takes what was erased out of the log where that could not be done at once.
   * @returns Milliseconds until it is to be called again: when the next one is due, or at once, if heads are still to be opened;
   * undefined: none is due.
   * @throws {SecLlamaError} `history-busy`: to be called again.
   */
  sweep(): number | undefined {
    if (!this.#db.writable) return undefined;
    if (this.#db.traces) this.#db.forget();
    if (!this.#entries.warm(WARM_HEADS)) return 0;
    const deleted = this.#entries.readable().flatMap(({ id, opened: { head } }) =>
      head.deleted === null ? [] : [{ id, due: head.deleted + UNDO_MS - this.#now() }]
    );
    // A clock that was set back must not keep anything for years.
    const isDue = ({ due }: { due: number }) => due <= 0 || due > UNDO_MS;
    const due = deleted.filter(isDue).map(({ id }) => id);
    if (due.length > 0) this.erase(due);
    const waits = deleted.filter((one) => !isDue(one)).map((one) => one.due);
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  /**
   * Conversations with all the words in title and messages, the newest first.
   * @param folder Of this one alone; then no word means all of them.
   */
  search(query: string, limit = 50, folder?: string): SearchHit[] {
    const entries = this.#entries.readable().filter(({ opened: { head } }) =>
      head.deleted === null && (folder === undefined || head.folder === folder)
    );
    if (folder !== undefined && query.trim() === "") return newestOf(entries, limit);
    return new Searcher(this.#db, entries, this.#filters).find(query, limit);
  }

  /**
   * Opens a part of what the first list and the first search need, which then need not wait for it; and once all is open, keeps a
   * part of it for the next start.
   * @param at How much was opened. @returns How much is now; undefined: all, and all is kept, or there are too many.
   */
  warm(at: number): number | undefined {
    if (!this.#entries.warm(WARM_HEADS)) return at;
    // Of too many, each breath would open all once more.
    if (this.#entries.tooMany) return undefined;
    const all = this.#entries.readable();
    const part = all.slice(at, at + WARM);
    this.#filters.of(part);
    if (part.length === WARM) return at + WARM;
    const filtersOf = (entry: Opened) => this.#filters.of([entry]).get(entry.id) ?? [];
    return this.#register.keepSome(all, filtersOf) ? undefined : at;
  }

  #visible(id: string): Opened {
    const entry = this.#entries.get(id);
    if (entry.opened.head.deleted === null) return entry;
    throw new SecLlamaError("not-found", "the history has no such conversation", {
      hint: "it was deleted; that can be taken back for some seconds",
    });
  }

  /** The user's own prompts, as they were given; none at first. */
  prompts(): readonly Prompt[] {
    return (this.#drawers.read("prompts") ?? []) as readonly Prompt[];
  }

  /** Replaces all prompts. @throws {SecLlamaError} `history-busy`, `disk-full`. */
  setPrompts(prompts: readonly Prompt[]): void {
    this.#drawers.write("prompts", prompts);
  }

  /**
   * Takes up the conversations of a file, each whole or not at all, in breaths. Those that were taken up before, or are here whole, by
   * title, time and messages, are left out.
   * @throws {SecLlamaError} `bad-request` for a file that is none.
   */
  async importFile(bytes: Uint8Array): Promise<ImportReport> {
    this.#db.claim();
    // One after the other: what the one before takes up is known then.
    const importing = this.#importing.then(() => this.#takeUp(bytes));
    this.#importing = importing.catch(() => {});
    return await importing;
  }

  #takeUp(bytes: Uint8Array): Promise<ImportReport> {
    const known = this.#entries.readable().filter(({ opened: { head } }) => head.deleted === null);
    return takeUp(readImport(bytes), known, {
      messagesOf: (entry) => messagesOf(this.#db, entry),
      add: ({ messages, created, ...fields }, origin) =>
        this.#db.transaction(() => {
          const { id } = this.create(fields, created ?? this.#now(), origin);
          const entry = this.#entries.get(id);
          this.#entries.change(entry, writeMessages(this.#db, entry, messages));
        }),
    });
  }

  /**
   * Seals all keys anew under `next`, so that nothing here opens under an older key of the vault. What is damaged stays damaged.
   * @returns How many conversations were moved.
   */
  rekey(next: VaultKey): number {
    this.#db.claim();
    const moved = this.#db.transaction(() => {
      this.#drawers.rekey(next);
      this.#documents.rekey(next);
      this.#register.clear();
      return this.#entries.rekey(next);
    });
    this.#db.forget();
    return moved;
  }

  /** The documents, the newest first. */
  documents(): DocumentSummary[] {
    return this.#documents.list();
  }

  /** Reads a file, and keeps its passages. @throws As Documents.addFile. */
  async addDocument(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<DocumentSummary> {
    return await this.#documents.addFile(name, bytes, this.#now);
  }

  /** A PDF's pages that are pictures. Nothing of it is kept. As Documents.scan. */
  async scanDocument(bytes: Uint8Array<ArrayBuffer>, first: number): Promise<Scan> {
    return await this.#documents.scan(bytes, first);
  }

  /** Erases a document for good. */
  removeDocument(id: string): void {
    this.#documents.remove(id);
  }

  /** Passages that fit a question, the best first. As Documents.search. */
  searchDocuments(...asked: Parameters<Documents["search"]>): Promise<Passage[]> {
    return this.#documents.search(...asked);
  }

  /** As Embedding.state. */
  embedding(): Promise<EmbeddingState> {
    return this.#embedding.state();
  }

  /** As Embedding.choose. */
  setEmbedding(chosen: EmbeddingModel | null): void {
    this.#embedding.choose(chosen);
  }

  /** As Documents.unembedded. */
  unembedded(digest: string): Promise<Unembedded | null> {
    return this.#documents.unembedded(digest);
  }

  /** As Embedding.addVectors. */
  addVectors(...made: Parameters<Documents["addVectors"]>): void {
    this.#embedding.addVectors(...made);
  }

  #change(entry: Opened, head: Head, more: () => void = () => {}): void {
    this.#db.transaction(() => {
      this.#entries.change(entry, head);
      more();
    });
  }

  #wipe(): void {
    wipe(...this.#vault.map(({ key }) => key));
  }

  [Symbol.dispose](): void {
    this.#entries[Symbol.dispose]();
    this.#register[Symbol.dispose]();
    this.#filters[Symbol.dispose]();
    this.#documents[Symbol.dispose]();
    this.#wipe();
    this.#db[Symbol.dispose]();
  }
}
