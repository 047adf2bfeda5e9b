/**
 * Documents, sealed like conversations: each under a key of its own, which a key of the vault seals. In the clear are ids and
 * sizes. The index of words is made in memory from the opened passages at the first question, and is on no disk.
 */
import type { DocumentSummary, DocumentType, Passage } from "../api/documents.ts";
import { fromHex, toHex, utf8, utf8Decode } from "../bytes.ts";
import { Bm25 } from "../documents/bm25.ts";
import type { Piece } from "../documents/chunks.ts";
import { SecLlamaError } from "../errors.ts";
import { wipe } from "../secret.ts";
import type { Database, Row } from "./database.ts";
import { KEY_BYTES, KIND, open, seal } from "./seal.ts";
import type { VaultKey } from "./vault.ts";

/** What is sealed of a document beside its passages. */
type Head = Omit<DocumentSummary, "id" | "damaged">;

interface Opened {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly key: Uint8Array;
  readonly head: Head;
}

/** Passages of one record. */
const PACK = 64;
/** Passages of all documents that are searched: beyond, the index would take too much memory. */
const MOST_PASSAGES = 200_000;

/** The documents of a database. */
export class Documents {
  readonly #db: Database;
  readonly #vault: readonly VaultKey[];
  #index:
    | { readonly changes: number; readonly words: Bm25; readonly places: Passage[] }
    | undefined;

  constructor(db: Database, vault: readonly VaultKey[]) {
    this.#db = db;
    this.#vault = vault;
  }

  /** The newest first. */
  list(): DocumentSummary[] {
    return this.#all().map((one): DocumentSummary =>
      "head" in one ? { id: one.id, ...one.head } : {
        id: one.id,
        name: "",
        type: "text",
        size: 0,
        pages: null,
        passages: 0,
        added: 0,
        damaged: true,
      }
    ).sort((a, b) => b.added - a.added);
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
    const all = this.#all();
    const older = all.filter((one) => "head" in one && one.head.name === o.name);
    const count = all.reduce((sum, one) => sum + ("head" in one ? one.head.passages : 0), 0);
    if (count + passages.length > MOST_PASSAGES) {
      throw new SecLlamaError(
        "bad-request",
        `all documents together are over ${MOST_PASSAGES} passages`,
        {
          hint: "remove some: secllama docs list",
        },
      );
    }
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    const vault = this.#vault[0]!;
    const head: Head = { ...rest, passages: passages.length };
    this.#db.transaction(() => {
      for (const one of older) this.#delete(one.bytes);
      this.#db.run(
        "INSERT INTO documents (id, vault, key, head) VALUES (?, ?, ?, ?)",
        bytes,
        fromHex(vault.id),
        seal(vault.key, place(KIND.documentKey, bytes), key),
        seal(key, place(KIND.document, bytes), utf8(JSON.stringify(head))),
      );
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
    });
    wipe(key);
    if (older.length > 0) this.#db.forget();
    this.#index = undefined;
    return { id: toHex(bytes), ...head };
  }

  /** Erases a document for good. @throws {SecLlamaError} `not-found`, `history-busy`. */
  remove(id: string): void {
    this.#db.claim();
    const bytes = fromHex(id);
    if (this.#db.row("SELECT id FROM documents WHERE id = ?", bytes) === undefined) {
      throw new SecLlamaError("not-found", "there is no such document", {
        hint: "to see them: secllama docs list",
      });
    }
    this.#db.transaction(() => this.#delete(bytes));
    this.#db.forget();
    this.#index = undefined;
  }

  /** The passages that share the most telling words with a question, the best first. */
  search(question: string, limit: number): Passage[] {
    const { words, places } = this.#indexed();
    return words.search(question, limit).map(({ id, score }) => ({
      ...places[id]!,
      score: Math.round(score * 1000) / 1000,
    }));
  }

  /** Seals the documents' keys anew, within a transaction. */
  rekey(next: VaultKey): void {
    for (const one of this.#all()) {
      if (!("head" in one)) continue;
      this.#db.run(
        "UPDATE documents SET vault = ?, key = ? WHERE id = ?",
        fromHex(next.id),
        seal(next.key, place(KIND.documentKey, one.bytes), one.key),
        one.bytes,
      );
    }
  }

  #delete(bytes: Uint8Array): void {
    this.#db.run("DELETE FROM passages WHERE document = ?", bytes);
    this.#db.run("DELETE FROM documents WHERE id = ?", bytes);
  }

  #indexed() {
    const { changes } = this.#db;
    if (this.#index?.changes === changes) return this.#index;
    const index = { changes, words: new Bm25(), places: [] as Passage[] };
    for (const one of this.#all()) {
      if (!("head" in one)) continue;
      let passage = 0;
      for (const { page, text } of this.#passages(one)) {
        passage++;
        index.words.add(`${one.head.name} ${text}`);
        index.places.push({ document: one.id, name: one.head.name, page, passage, text, score: 0 });
      }
    }
    this.#index = index;
    return index;
  }

  *#passages({ bytes, key }: Opened): Generator<Piece> {
    const rows = this.#db.rows(
      "SELECT position, sealed FROM passages WHERE document = ? ORDER BY position",
      bytes,
    );
    for (const row of rows) {
      try {
        const at = place(KIND.passages, bytes, Number(row["position"]));
        yield* JSON.parse(utf8Decode(open(key, at, row["sealed"] as Uint8Array))) as Piece[];
      } catch { /* damaged: the others are still found */ }
    }
  }

  #all(): (Opened | { readonly id: string; readonly bytes: Uint8Array })[] {
    return this.#db.rows("SELECT id, vault, key, head FROM documents").map((row) =>
      this.#open(row)
    );
  }

  #open(row: Row): Opened | { readonly id: string; readonly bytes: Uint8Array } {
    const bytes = row["id"] as Uint8Array;
    const id = toHex(bytes);
    const vault = this.#vault.find((one) => one.id === toHex(row["vault"] as Uint8Array));
    try {
      const key = open(vault!.key, place(KIND.documentKey, bytes), row["key"] as Uint8Array);
      const head = open(key, place(KIND.document, bytes), row["head"] as Uint8Array);
      return { id, bytes, key, head: JSON.parse(utf8Decode(head)) as Head };
    } catch {
      return { id, bytes };
    }
  }
}

function place(kind: typeof KIND[keyof typeof KIND], conversation: Uint8Array, position = 0) {
  return { kind, conversation, position };
}
