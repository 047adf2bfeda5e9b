/**
 * What passages of documents are found by: their words, and what a model made of them. Both lie sealed beside the passages, so
 * that a start makes neither anew, and are in memory from the first question on.
 */
import { createHash } from "node:crypto";
import { bestOf, scoresByWords, SEGMENT, Segment, segmentOf } from "../documents/bm25.ts";
import { fused } from "../documents/fusion.ts";
import { nearest, type Placed } from "../documents/nearest.ts";
import { MODEL_BYTES, packVectors, questionOf, VectorPack } from "../documents/vectors.ts";
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { breath } from "./breath.ts";
import type { Database } from "./database.ts";
import type { Opened } from "./entries.ts";
import { KIND, openLarge, seal } from "./seal.ts";

/** Passages of one record, and vectors of one. */
export const PACK = 64;
/** Of each ranking, as many are looked at when two become one. */
const CANDIDATES = 50;

type Document = Opened<{ readonly name: string; readonly passages: number }>;

/** A question, as a model made a vector of it. */
export interface QuestionVector {
  /** The digest of the model. */
  readonly model: string;
  readonly vector: Float32Array;
}

/** A document's own. */
interface Kept {
  readonly segments: Segment[];
  /** By pack; not there: none was made, or none that can be read. */
  readonly vectors: Map<number, VectorPack>;
}

/** Of one load: whether something could not be written, after which nothing more is tried. */
interface Writing {
  failed: boolean;
}

/** Where a passage is; `at` from 0. */
interface Found<D> {
  readonly document: D;
  readonly at: number;
  readonly score: number;
}

/** The index of a database's documents. */
export class PassageIndex<D extends Document> implements Disposable {
  readonly #db: Database;
  /** The texts of a pack; none if it is damaged. */
  readonly #texts: (document: D, pack: number) => readonly string[];
  readonly #kept = new Map<string, Kept>();
  #changes = "";
  #loading: Promise<void> = Promise.resolve();

  constructor(db: Database, texts: (document: D, pack: number) => readonly string[]) {
    this.#db = db;
    this.#texts = texts;
  }

  /** The words of a new document, from {@link wordsOfDocument}; within a transaction. */
  add({ bytes, opened: { key } }: D, words: readonly Bytes[]): void {
    for (const [at, segment] of words.entries()) this.#write("words", bytes, at, key, segment);
  }

  /** All of a document; within a transaction. */
  delete({ id, bytes }: Pick<Document, "id" | "bytes">): void {
    for (const table of ["words", "vectors"]) {
      this.#db.run(`DELETE FROM ${table} WHERE document = ?`, bytes);
    }
    this.#forget(id);
  }

  /**
   * Takes up what is not in memory yet.
   * @param documents Those that there are: called again after each pause, since some may come and go.
   */
  async load(documents: () => readonly D[]): Promise<void> {
    const writing: Writing = { failed: false };
    for (;;) {
      // Of several who waited for it, the first goes on with the next.
      const before = this.#loading;
      await before;
      if (before !== this.#loading) continue;
      const missing = this.#missing(documents());
      if (missing === undefined) return;
      const now = () => documents().find(({ id }) => id === missing.id);
      const loading = this.#loadOne(missing, now, writing);
      this.#loading = loading.catch(() => {});
      await loading;
    }
  }

  /** One that is to be loaded. After it said that there is none, nothing may be waited for before the index is used. */
  #missing(documents: readonly D[]): D | undefined {
    const { changes } = this.#db;
    if (changes !== this.#changes) { for (const id of this.#kept.keys()) this.#forget(id); }
    this.#changes = changes;
    return documents.find(({ id }) => !this.#kept.has(id));
  }

  /** @param now The document as it is after a pause, in which it may be erased, or its key overwritten and opened anew. */
  async #loadOne(document: D, now: () => D | undefined, writing: Writing): Promise<void> {
    const { id, opened: { head: { passages } } } = document;
    const kept: Kept = { segments: [], vectors: new Map() };
    const [words, vectors] = await Promise.all([
      this.#read("words", document),
      this.#read("vectors", document),
    ]);
    for (const [pack, bytes] of vectors) kept.vectors.set(pack, new VectorPack(bytes));
    for (let at = 0; at < Math.ceil(passages / SEGMENT); at++) {
      let bytes = words.get(at);
      if (bytes === undefined) {
        await breath();
        const there = now();
        if (there === undefined) break;
        bytes = this.#makeSegment(there, at, writing);
      }
      kept.segments.push(new Segment(bytes));
    }
    this.#forget(id);
    this.#kept.set(id, kept);
    // It was erased meanwhile.
    if (now() === undefined) this.#forget(id);
  }

  /** Documents of earlier versions have none, and one may be damaged. It is kept if this process writes. */
  #makeSegment(document: D, at: number, writing: Writing): Bytes {
    const { bytes, opened: { key, head: { name, passages } } } = document;
    const count = Math.min(SEGMENT, passages - at * SEGMENT);
    const texts: string[] = [];
    for (let pack = at * SEGMENT / PACK; texts.length < count; pack++) {
      const found = this.#texts(document, pack);
      const wanted = Math.min(PACK, count - texts.length);
      for (let i = 0; i < wanted; i++) texts.push(`${name} ${found[i] ?? ""}`);
    }
    const made = segmentOf(texts);
    if (writing.failed) return made;
    try {
      this.#db.transaction(() => {
        const there = this.#db.row("SELECT id FROM documents WHERE id = ?", bytes);
        if (there !== undefined) this.#write("words", bytes, at, key, made);
      });
    } catch (error) {
      // A reader keeps it in memory only, and so does who has no room: what is taken back has all be loaded anew.
      if (!(error instanceof SecLlamaError)) throw error;
      writing.failed = true;
    }
    return made;
  }

  /** What can be read of a document's records, by position. */
  async #read(table: "words" | "vectors", { bytes, opened: { key } }: D) {
    const known = this.#db.row("SELECT 1 FROM sqlite_schema WHERE name = ?", table);
    // A database of an earlier version that another process writes has no such table yet.
    const rows = known === undefined
      ? []
      : this.#db.rows(`SELECT position, sealed FROM ${table} WHERE document = ?`, bytes);
    const found = new Map<number, Bytes>();
    await Promise.all(rows.map(async (row) => {
      const position = Number(row["position"]);
      const at = { kind: KIND[table], conversation: bytes, position };
      const opened = await openLarge(key, at, row["sealed"] as Uint8Array).catch(() => {});
      if (opened !== undefined) found.set(position, opened);
    }));
    return found;
  }

  #write(
    table: "words" | "vectors",
    document: Uint8Array,
    position: number,
    key: Uint8Array,
    plain: Bytes,
  ): void {
    this.#db.run(
      `INSERT OR REPLACE INTO ${table} (document, position, sealed) VALUES (?, ?, ?)`,
      document,
      position,
      seal(key, { kind: KIND[table], conversation: document, position }, plain),
    );
  }

  /**
   * The best passages, once the documents are loaded: by words, and by the vector too where there is one.
   * @param documents All of them: what a word is worth is learnt from all.
   * @param counts Which of them are looked at.
   * @param each Of each document its best passage by words alone: many that fit leave room for other documents.
   */
  rank(
    documents: readonly D[],
    question: { readonly text: string; readonly vector?: QuestionVector | undefined },
    limit: number,
    counts: (document: D) => boolean,
    each = false,
  ): Found<D>[] {
    const places = documents.flatMap((document) => {
      const kept = this.#kept.get(document.id);
      return kept === undefined ? [] : [{ document, kept }];
    });
    const words = scoresByWords(places.flatMap(({ kept }) => kept.segments), question.text);
    const starts: number[] = [];
    const vectors: Placed[] = [];
    const asked = question.vector && questionOf(question.vector.vector);
    const model = question.vector && idOf(question.vector.model);
    let first = 0;
    for (const { document, kept } of places) {
      starts.push(first);
      const last = first + document.opened.head.passages;
      if (!counts(document)) words.set(new Float64Array(last - first), first);
      else if (model) {
        for (const [at, pack] of kept.vectors) {
          if (pack.isOf(model)) vectors.push({ pack, first: first + at * PACK });
        }
      }
      if (each) keepBest(words.subarray(first, last));
      first = last;
    }
    const most = Math.max(limit, CANDIDATES);
    const byWords = bestOf(words, asked ? most : limit);
    const best = asked === undefined ? byWords : fused(
      [byWords.map(({ id }) => id), nearest(vectors, asked, most, words.length)],
    );
    return best.slice(0, limit).map(({ id, score }) => {
      const at = starts.findLastIndex((start) => start <= id);
      return { document: places[at]!.document, at: id - starts[at]!, score };
    });
  }

  /** How many passages have vectors of that model; the documents are loaded. */
  countOf(documents: readonly D[], model: string): number {
    const id = idOf(model);
    return documents.reduce((sum, document) => {
      const packs = this.#kept.get(document.id)?.vectors.values() ?? [];
      return sum + [...packs].reduce((all, one) => all + (one.isOf(id) ? one.count : 0), 0);
    }, 0);
  }

  /** The first pack without vectors of that model; undefined: all have them, or are damaged. */
  without(documents: readonly D[], model: string) {
    const id = idOf(model);
    for (const document of documents) {
      const vectors = this.#kept.get(document.id)?.vectors;
      for (let pack = 0; vectors && pack * PACK < document.opened.head.passages; pack++) {
        if (vectors.get(pack)?.isOf(id)) continue;
        const texts = this.#texts(document, pack);
        if (texts.length > 0) return { document: document.id, pack, texts };
      }
    }
    return undefined;
  }

  /**
   * Keeps what a model made of a pack.
   * @throws {SecLlamaError} `bad-request` if these are not as many vectors as the pack has passages.
   */
  addVectors(document: D, pack: number, model: string, vectors: readonly Float32Array[]): void {
    const { id, bytes, opened: { key, head: { passages } } } = document;
    let made: Bytes;
    try {
      const wanted = Math.min(PACK, passages - pack * PACK);
      if (vectors.length !== wanted) throw new RangeError(`${wanted} vectors are wanted`);
      made = packVectors(idOf(model), vectors);
    } catch (cause) {
      throw new SecLlamaError("bad-request", "the model made no vectors of the passages", {
        cause,
      });
    }
    this.#db.transaction(() => this.#write("vectors", bytes, pack, key, made));
    this.#kept.get(id)?.vectors.get(pack)?.wipe();
    this.#kept.get(id)?.vectors.set(pack, new VectorPack(made));
  }

  /** All vectors, of whatever model; within a transaction. */
  deleteVectors(): void {
    this.#db.run("DELETE FROM vectors");
    for (const { vectors } of this.#kept.values()) {
      for (const one of vectors.values()) one.wipe();
      vectors.clear();
    }
  }

  #forget(id: string): void {
    const kept = this.#kept.get(id);
    for (const one of [...kept?.segments ?? [], ...kept?.vectors.values() ?? []]) one.wipe();
    this.#kept.delete(id);
  }

  [Symbol.dispose](): void {
    for (const id of [...this.#kept.keys()]) this.#forget(id);
  }
}

/** Leaves the largest, of equal ones the first; the others become 0. */
function keepBest(scores: Float64Array): void {
  const [best] = bestOf(scores, 1);
  scores.set(new Float64Array(scores.length));
  if (best !== undefined) scores[best.id] = best.score;
}

/** The words of a document of that name, as {@link PassageIndex.add} takes them; made in breaths. */
export async function wordsOfDocument(name: string, texts: readonly string[]): Promise<Bytes[]> {
  const made: Bytes[] = [];
  for (let at = 0; at < texts.length; at += SEGMENT) {
    if (at > 0) await breath();
    made.push(segmentOf(texts.slice(at, at + SEGMENT).map((text) => `${name} ${text}`)));
  }
  return made;
}

/** A model in a pack: the first bytes of a hash of its digest. */
function idOf(model: string): Bytes {
  return new Uint8Array(createHash("sha256").update(model).digest().subarray(0, MODEL_BYTES));
}
