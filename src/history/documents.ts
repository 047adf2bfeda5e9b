/**
 * Documents, sealed like conversations: each under a key of its own, which a key of the vault seals. In the clear are ids and
 * sizes. The index of words is made in memory from the opened passages at the first question, and is on no disk.
 */
import type { DocumentSummary, DocumentType, Passage } from "../api/documents.ts";
import { utf8, utf8Decode } from "../bytes.ts";
import { Bm25 } from "../documents/bm25.ts";
import type { Piece } from "../documents/chunks.ts";
import { parseDocument } from "../documents/parse.ts";
import { SecLlamaError } from "../errors.ts";
import { secret } from "../secret.ts";
import type { Database } from "./database.ts";
import { DOCUMENTS, Entries, type Entry, type Opened } from "./entries.ts";
import { KIND, open, seal } from "./seal.ts";
import type { VaultKey } from "./vault.ts";

/** What is sealed of a document beside its passages. */
type Head = Omit<DocumentSummary, "id" | "damaged">;

/** Passages of one record. */
const PACK = 64;
/** Passages of all documents that are searched: beyond, the index would take too much memory. */
const MOST_PASSAGES = 200_000;

/** Where a passage is. Its text is opened when it is shown. */
interface Place {
  readonly document: Opened<Head>;
  /** From 0. */
  readonly at: number;
}

const DAMAGED = { name: "", type: "text", size: 0, pages: null, passages: 0, added: 0 } as const;

/** The documents of a database. */
export class Documents implements Disposable {
  readonly #db: Database;
  readonly #entries: Entries<Head>;
  /** The file that is read now: one thread at a time, whoever sends how many. */
  #reading: Promise<unknown> = Promise.resolve();
  #index:
    | { readonly changes: string; readonly words: Bm25; readonly places: Place[] }
    | undefined;

  constructor(db: Database, vault: readonly VaultKey[]) {
    this.#db = db;
    this.#entries = new Entries(db, vault, DOCUMENTS);
  }

  /** The newest first. */
  list(): DocumentSummary[] {
    return [...this.#entries.all().values()].map(({ id, opened }): DocumentSummary =>
      opened === undefined ? { id, ...DAMAGED, damaged: true } : { id, ...opened.head }
    ).sort((a, b) => b.added - a.added);
  }

  /**
   * Reads a file in a thread without permissions, and adds it.
   * @param now Gives unix ms, once it was read.
   * @throws {SecLlamaError} As parseDocument, and as {@link add}.
   */
  async addFile(
    name: string,
    bytes: Uint8Array<ArrayBuffer>,
    now: () => number,
  ): Promise<DocumentSummary> {
    this.#db.claim();
    const size = bytes.length;
    const reading = this.#reading.then(() => parseDocument(name, bytes));
    this.#reading = reading.catch(() => {});
    const parsed = await reading;
    return this.add({ name, size, added: now(), ...parsed });
  }

  /**
   * Adds a document; one of the same name takes the older one's place.
   * @throws {SecLlamaError} `bad-request` if it has no text or there are too many, `history-busy`, `disk-full`.
   */
  add(
    o: {
      name: string;
      type: DocumentType;
      size: number;
      pages: number | null;
      passages: readonly Piece[];
      added: number;
    },
  ): DocumentSummary {
    const { passages, ...rest } = o;
    if (passages.length === 0) {
      throw new SecLlamaError("bad-request", "there is no text in this document", {
        hint: "pages that were scanned are pictures: have their text recognised first",
      });
    }
    this.#db.claim();
    const all = this.#entries.readable();
    const older = all.filter(({ opened }) => opened.head.name === o.name);
    const count = all.reduce((sum, { opened }) => sum + opened.head.passages, 0);
    if (count + passages.length > MOST_PASSAGES) {
      throw new SecLlamaError(
        "bad-request",
        `all documents together are over ${MOST_PASSAGES} passages`,
        {
          hint: "remove some: secllama docs list",
        },
      );
    }
    const head: Head = { ...rest, passages: passages.length };
    const id = this.#db.transaction(() => {
      for (const one of older) this.#delete(one);
      const { id, bytes, opened: { key } } = this.#entries.add(head);
      for (let at = 0; at < passages.length; at += PACK) {
        this.#db.run(
          "INSERT INTO passages (document, position, sealed) VALUES (?, ?, ?)",
          bytes,
          at / PACK,
          seal(
            key,
            place(KIND.passages, bytes, at / PACK),
            utf8(JSON.stringify(passages.slice(at, at + PACK))),
          ),
        );
      }
      return id;
    });
    this.#index = undefined;
    if (older.length > 0) this.#db.forget();
    return { id, ...head };
  }

  /** Erases a document for good. @throws {SecLlamaError} `not-found`, `history-busy`. */
  remove(id: string): void {
    this.#db.claim();
    const entry = this.#entries.find(id);
    this.#db.transaction(() => this.#delete(entry));
    this.#index = undefined;
    this.#db.forget();
  }

  /**
   * The passages that share the most telling words with a question, the best first.
   * @param of Ids of the documents to look in; default: all.
   */
  search(question: string, limit: number, of?: readonly string[]): Passage[] {
    const { words, places } = this.#indexed();
    const packs = new Map<string, Piece[]>();
    const counts = (id: number) => of?.includes(places[id]!.document.id) ?? true;
    return words.search(question, limit, counts).flatMap(({ id, score }) => {
      const { document, at } = places[id]!;
      const pack = Math.floor(at / PACK);
      const name = `${document.id} ${pack}`;
      const pieces = packs.get(name) ?? this.#pack(document, pack);
      packs.set(name, pieces);
      const piece = pieces[at % PACK];
      return piece === undefined ? [] : [{
        document: document.id,
        name: document.opened.head.name,
        page: piece.page,
        passage: at + 1,
        text: piece.text,
        score: Math.round(score * 1000) / 1000,
      }];
    });
  }

  /** Seals the documents' keys anew, within a transaction. */
  rekey(next: VaultKey): void {
    this.#entries.rekey(next);
  }

  #delete(entry: Entry<Head>): void {
    this.#db.run("DELETE FROM passages WHERE document = ?", entry.bytes);
    this.#entries.delete(entry);
  }

  #indexed() {
    const { changes } = this.#db;
    if (this.#index?.changes === changes) return this.#index;
    const index = { changes, words: new Bm25(), places: [] as Place[] };
    for (const document of this.#entries.readable()) {
      const { name, passages } = document.opened.head;
      for (let at = 0; at < passages; at += PACK) {
        for (const [i, { text }] of this.#pack(document, at / PACK).entries()) {
          index.words.add(`${name} ${text}`);
          index.places.push({ document, at: at + i });
        }
      }
    }
    this.#index = index;
    return index;
  }

  /** Some passages of a document; none if they are damaged, and the others are still found. */
  #pack({ bytes, opened: { key } }: Opened<Head>, position: number): Piece[] {
    const row = this.#db.row(
      "SELECT sealed FROM passages WHERE document = ? AND position = ?",
      bytes,
      position,
    );
    try {
      const at = place(KIND.passages, bytes, position);
      using plain = secret(open(key, at, row!["sealed"] as Uint8Array));
      return JSON.parse(utf8Decode(plain)) as Piece[];
    } catch {
      return [];
    }
  }

  [Symbol.dispose](): void {
    this.#index = undefined;
    this.#entries[Symbol.dispose]();
  }
}

function place(kind: typeof KIND[keyof typeof KIND], conversation: Uint8Array, position = 0) {
  return { kind, conversation, position };
}
