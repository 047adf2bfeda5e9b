/** The proxy's sealed documents, as the page asks them. */
import {
  type DocumentSummary,
  type EmbeddingReport,
  NAME_HEADER,
  type Passage,
  type PassageList,
  QUESTION_CHARACTERS,
  type Scan,
} from "../api/documents.ts";
import { pathOf, ROUTES } from "../api/routes.ts";
import { ask, refuseLarge } from "./api.ts";
import type { Attachment } from "./types.ts";

/** Documents that are shown of it. */
const MOST_SHOWN = 30;
/** Passages that go with a question. */
const PASSAGES = 5;

/** What the proxy reads in a thread without rights, rather than this page. */
export function isDocument(name: string): boolean {
  return /\.(?:pdf|docx)$/i.test(name);
}

/** Has a file read and kept, sealed, under a name. @throws {ApiError} Why it cannot be. */
export async function addDocument(file: File, name: string): Promise<DocumentSummary> {
  refuseLarge(file, ROUTES.documents);
  const headers = { [NAME_HEADER]: encodeURIComponent(name) };
  return await ask(ROUTES.documents.path, { method: "POST", body: file, headers });
}

/** The first pages of a PDF that are pictures. Nothing of it is kept. @throws {ApiError} Why there are none. */
export async function scanOf(file: File): Promise<Scan> {
  return await ask(ROUTES.documentScan.path, { method: "POST", body: file });
}

/** The newest first. */
export async function documents(): Promise<readonly DocumentSummary[]> {
  return (await ask<{ documents: DocumentSummary[] }>(ROUTES.documents.path)).documents;
}

/** For good. */
export function eraseDocument(id: string): Promise<void> {
  return ask(pathOf(ROUTES.document, id), { method: "DELETE" });
}

/** The model that makes embeddings of documents, and how far it is. */
export function embedding(): Promise<EmbeddingReport> {
  return ask(ROUTES.documentModel.path);
}

/** Names another one; null: none. @throws {ApiError} Why it cannot be. */
export function setEmbedding(model: string | null): Promise<EmbeddingReport> {
  return ask(ROUTES.documentModel.path, { method: "PUT", body: { model } });
}

/** Passages of all documents with a search's words, of whichever document the best one of each. No model is asked. */
export async function passagesWith(query: string): Promise<Passage[]> {
  const { passages } = await ask<PassageList>(ROUTES.documentSearch.path, {
    method: "POST",
    body: {
      query: query.slice(0, QUESTION_CHARACTERS),
      limit: MOST_SHOWN,
      words: true,
      each: true,
    },
  });
  return [...passages];
}

/** The passages of these documents that fit a question, as they go with it, and what they were not found by. */
export async function passagesFor(
  query: string,
  of: readonly string[],
): Promise<{ readonly found: Attachment[]; readonly note?: string | undefined }> {
  const { passages, note } = await ask<PassageList>(ROUTES.documentSearch.path, {
    method: "POST",
    body: { query: query.slice(0, QUESTION_CHARACTERS), limit: PASSAGES, documents: of },
  });
  const found = passages.map(({ name, page, passage, text }) => ({
    name,
    text,
    where: page === null ? `passage ${passage}` : `page ${page}`,
  }));
  return { found, note };
}
