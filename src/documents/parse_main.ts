/** The thread that reads one file that a stranger made. It has no permission at all, and ends with the file. */
import type { DocumentType } from "../api/documents.ts";
import { chunksOf, pagesOf } from "./chunks.ts";
import { textOf } from "./text_of.ts";
import { answerOnce } from "./thread_side.ts";

answerOnce(async ({ type, bytes, whole }) => ({
  pages: null,
  passages: (whole ? pagesOf : chunksOf)(await textOf(type as Exclude<DocumentType, "pdf">, bytes)),
}));
