/**
 * Documents, sealed like conversations: each under a key of its own, which a key of the vault seals. In the clear are ids and
 * sizes. What they are found by lies beside them (passage_index.ts).
 */
import {
  type DocumentSummary,
  type DocumentType,
  type Passage,
  type Scan,
  SCANNED_PAGES,
} from "../api/documents.ts";
import { utf8, utf8Decode } from "../bytes.ts";
import type { Piece } from "../documents/chunks.ts";
import { parseDocument, scannedPages } from "../documents/parse.ts";
import { SecLlamaError } from "../errors.ts";
import { secret } from "../secret.ts";
import type { Database } from "./database.ts";
import { DOCUMENTS, Entries, type Entry, type Opened } from "./entries.ts";
import { PACK, PassageIndex, type QuestionVector, wordsOfDocument } from "./passage_index.ts";
import { KIND, open, seal } from "./seal.ts";
import type { VaultKey } from "./vault.ts";

/** What is sealed of a document beside its passages. */
type Head = Omit<DocumentSummary, "id" | "damaged">;

/** Passages of all documents that are searched: beyond, the index would take too much memory. */
const MOST_PASSAGES = 200_000;

/** Passages that a model is to make vectors of. */
export interface Unembedded {
  /** The document's id, and which of its packs. */
  readonly document: string;
  readonly pack: number;
  readonly texts: readonly string[];
}

const DAMAGED = { name: "", type: "text", size: 0, pages: null, passages: 0, added: 0 } as const;

/** The documents of a database. */
export class Documents implements Disposable {
  readonly #db: Database;
  readonly #entries: Entries<Head>;
  /** The file that is read now: one thread at a time, whoever sends how many. */
  #reading: Promise<unknown> = Promise.resolve();
  readonly #index: PassageIndex<Opened<Head>>;

  constructor(db: Database, vault: readonly VaultKey[]) {
    this.#db = db;
    this.#entries = new Entries(db, vault, DOCUMENTS);
    this.#index = new PassageIndex(
      db,
      (document, pack) => this.#pack(document, pack).map(({ text }) => text),
    );
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
    return await this.add({ name, size, added: now(), ...parsed });
  }

  /**
   * The pages of a PDF that are pictures. Nothing of it is kept.
   * @param first The page to begin with, from 1.
   * @throws {SecLlamaError} As scannedPages.
   */
  async scan(bytes: Uint8Array<ArrayBuffer>, first: number): Promise<Scan> {
    const reading = this.#reading.then(() => scannedPages(bytes, { first, most: SCANNED_PAGES }));
    this.#reading = reading.catch(() => {});
    const { total, next, unread, pages } = await reading;
    const scanned = pages.map(({ page, png }) => ({ page, image: png.toBase64() }));
    return { pages: total, next, unread, scanned };
  }

  /**
   * Adds a document; one of the same name takes the older one's place.
   * @throws {SecLlamaError} `bad-request` if it has no text or there are too many, `history-busy`, `disk-full`.
   */
  async add(
    o: {
      name: string;
      type: DocumentType;
      size: number;
      pages: number | null;
      passages: readonly Piece[];
      added: number;
    },
  ): Promise<DocumentSummary> {
    const { passages, ...rest } = o;
    if (passages.length === 0) {
      throw new SecLlamaError("bad-request", "there is no text in this document", {
        hint: o.type === "pdf"
          ? "pages that were scanned are pictures: a model that sees takes the file in the page, or with " +
            "secllama run MODEL --image FILE; or have their text recognised first"
          : "it is empty, or what is in it is no text",
      });
    }
    const texts = passages.map(({ text }) => text);
    const words = passages.length > MOST_PASSAGES ? [] : await wordsOfDocument(o.name, texts);
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
      const entry = this.#entries.add(head);
      const { id, bytes, opened: { key } } = entry;
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
      this.#index.add(entry, words);
      return id;
    });
    if (older.length > 0) this.#db.forget();
    return { id, ...head };
  }

  /** Erases a document for good. @throws {SecLlamaError} `not-found`, `history-busy`. */
  remove(id: string): void {
    this.#db.claim();
    const entry = this.#entries.find(id);
    this.#db.transaction(() => this.#delete(entry));
    this.#db.forget();
  }

  /**
   * The passages that fit a question, the best first: those that share its most telling words, and, with a vector of it, those
   * whose own are nearest.
   * @param of Ids of the documents to look in; default: all.
   * @param each Of each document the best passage only; by words alone.
   */
  async search(
    text: string,
    limit: number,
    of?: readonly string[],
    vector?: QuestionVector,
    each = false,
  ): Promise<Passage[]> {
    await this.#index.load(() => this.#entries.readable());
    const packs = new Map<string, readonly Piece[]>();
    const counts = ({ id }: Opened<Head>) => of?.includes(id) ?? true;
    const asked = each ? { text } : { text, vector };
    const found = this.#index.rank(this.#entries.readable(), asked, limit, counts, each);
    return found.flatMap(({ document, at, score }) => {
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
        score: Math.round(score * 1e6) / 1e6,
      }];
    });
  }

  /** How many passages there are, and how many have vectors of the model of that digest. */
  async embedded(model: string | undefined): Promise<{ passages: number; embedded: number }> {
    const passages = this.#entries.readable().reduce(
      (sum, { opened }) => sum + opened.head.passages,
      0,
    );
    if (model === undefined) return { passages, embedded: 0 };
    await this.#index.load(() => this.#entries.readable());
    return { passages, embedded: this.#index.countOf(this.#entries.readable(), model) };
  }

  /** Passages of which that model has made no vectors yet; null: there are none. */
  async unembedded(model: string): Promise<Unembedded | null> {
    await this.#index.load(() => this.#entries.readable());
    return this.#index.without(this.#entries.readable(), model) ?? null;
  }

  /** Keeps vectors of {@link unembedded} passages. @throws {SecLlamaError} `not-found`, `bad-request`, `history-busy`. */
  addVectors(
    { document, pack }: Pick<Unembedded, "document" | "pack">,
    model: string,
    vectors: readonly Float32Array[],
  ): void {
    this.#db.claim();
    this.#index.addVectors(this.#entries.get(document), pack, model, vectors);
  }

  /** Erases all vectors, within a transaction. */
  deleteVectors(): void {
    this.#index.deleteVectors();
  }

  /** Seals the documents' keys anew, within a transaction. */
  rekey(next: VaultKey): void {
    this.#entries.rekey(next);
  }

  #delete(entry: Entry<Head>): void {
    this.#db.run("DELETE FROM passages WHERE document = ?", entry.bytes);
    this.#index.delete(entry);
    this.#entries.delete(entry);
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
    this.#index[Symbol.dispose]();
    this.#entries[Symbol.dispose]();
  }
}

function place(kind: typeof KIND[keyof typeof KIND], conversation: Uint8Array, position = 0) {
  return { kind, conversation, position };
}
