/** Documents that this user lets answers be looked up in, as the proxy serves them to programs of this user. */

/** Most bytes of one file. */
export const DOCUMENT_BYTES = 64 * 1024 * 1024;
/** The header with a file's name, percent-encoded: a name is content, and stands in no URL. */
export const NAME_HEADER = "secllama-name";
export const NAME_CHARACTERS = 300;
/** Characters of a question by which passages are looked up. */
export const QUESTION_CHARACTERS = 8000;
/** Documents that a search may be told to keep to. */
export const DOCUMENTS_NAMED = 1000;

/** Pages of a scanned PDF that are given at once, as pictures. */
export const SCANNED_PAGES = 8;

/** Of a folder, files of these names are taken; a file that is named itself is judged by what is in it. */
export const DOCUMENT_NAME = /\.(?:txt|text|md|markdown|html?|csv|tsv|docx|pdf|log|tex|rst)$/i;

/** A document that was taken up. */
export interface DocumentSummary {
  readonly id: string;
  readonly name: string;
  readonly type: DocumentType;
  /** Bytes of the file. */
  readonly size: number;
  /** Null: it has no pages. */
  readonly pages: number | null;
  readonly passages: number;
  /** Unix milliseconds. */
  readonly added: number;
  readonly damaged?: true;
}

export type DocumentType = "text" | "markdown" | "html" | "csv" | "docx" | "pdf";

/** A passage that fits a question. */
export interface Passage {
  /** The document's id and name. */
  readonly document: string;
  readonly name: string;
  /** From 1; null: the document has no pages. */
  readonly page: number | null;
  /** Which passage of the document, from 1. */
  readonly passage: number;
  readonly text: string;
  /** Higher is better; of one answer's passages only. */
  readonly score: number;
}

/** Pages of a PDF that are pictures, as a scanner makes it. Nothing of it is kept. */
export interface Scan {
  /** Of the whole file. */
  readonly pages: number;
  /** The page to go on with; null: there are no more. */
  readonly next: number | null;
  /** Pages among those looked at whose picture is packed in a way that is not read. */
  readonly unread: number;
  /** Each as PNG, in base64. */
  readonly scanned: readonly { readonly page: number; readonly image: string }[];
}

/** What goes along of a scan, in words. @param rest How the other pages are asked for. */
export function scanNote(
  { pages, next, unread, scanned }: Omit<Scan, "scanned"> & {
    readonly scanned: readonly { readonly page: number }[];
  },
  rest: (next: number) => string,
): string {
  const which = scanned.map(({ page }) => page).join(", ");
  const taken = pages === 1
    ? "its page goes along as a picture"
    : scanned.length === pages
    ? `its ${pages} pages go along as pictures`
    : scanned.length === 1
    ? `of its ${pages} pages, page ${which} goes along as a picture`
    : `of its ${pages} pages, pages ${which} go along as pictures`;
  const lost = unread === 0 ? "" : `; ${unread} of them cannot be read as pictures`;
  return `${taken}${lost}${next === null ? "" : `; ${rest(next)}`}`;
}

/** What a search answers. */
export interface PassageList {
  readonly passages: readonly Passage[];
  /** By words alone (BM25), or by words and by a model's vectors, as one ranking (reciprocal rank fusion). */
  readonly ranking: "bm25" | "hybrid";
  /** What it did not go by, in a sentence: a model that does not answer, passages without vectors. */
  readonly note?: string;
}

/** The model that makes vectors of the passages, and how far it is: what `GET` and `PUT` of its path answer. */
export interface EmbeddingReport {
  /** Null: none was named, and passages are found by their words alone. */
  readonly model: string | null;
  /** Passages of all documents, and those that have vectors of this model. */
  readonly passages: number;
  readonly embedded: number;
  /** Whether it is being made now. */
  readonly running: boolean;
  /** Why it stopped before all were done. It goes on with the next document or question. */
  readonly error?: string;
}
