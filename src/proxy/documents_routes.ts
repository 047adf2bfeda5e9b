/** The proxy's own paths below the documents: this user's, kept on this machine. Passages go to the model that the user named, sealed. */
import { collect, readJson } from "../api/body.ts";
import {
  DOCUMENTS_NAMED,
  NAME_CHARACTERS,
  NAME_HEADER,
  QUESTION_CHARACTERS,
} from "../api/documents.ts";
import { CONVERSATION_ID } from "../api/history.ts";
import { notServed, parameterOf, type Route, ROUTES } from "../api/routes.ts";
import { SecLlamaError } from "../errors.ts";
import type { HistoryCalls } from "../history/calls.ts";
import type { Embeddings } from "./embeddings.ts";
import { bad, countOf, noBody, textOf } from "./fields.ts";

/** What answers about documents. */
export interface DocumentsService {
  readonly history: HistoryCalls;
  readonly embeddings: Pick<Embeddings, "choose" | "goOn" | "report" | "search">;
  /** Files that are being sent, or wait to be read: each is in memory as a whole. */
  readonly uploads: { now: number };
}

/** They are read one after the other; a program that sends more at once waits for some. */
const MOST_UPLOADS = 4;
const BUSY_TEXT = "other documents are being read";
const BUSY_HINT = { hint: "send it again in a moment, and a few at a time" };

/**
 * Answers one request.
 * @throws {SecLlamaError} `bad-request`, `not-found`, and what the history and the model throw.
 */
export async function documentsAnswer(
  { history, embeddings, uploads }: DocumentsService,
  request: Request,
  route: Route,
  method: string,
): Promise<unknown> {
  switch (route) {
    case ROUTES.documents: {
      if (method === "GET") return { documents: await history.documents() };
      const name = nameOf(request);
      return await upload(uploads, async () => {
        const added = await history.addDocument(name, await collect(request.body, route.maxBytes));
        embeddings.goOn();
        return added;
      });
    }
    case ROUTES.documentScan: {
      const first = new URL(request.url).searchParams.get("first") ?? "1";
      if (!/^[1-9]\d{0,6}$/.test(first)) throw bad("first", "a page's number, from 1");
      return await upload(uploads, async () => {
        const bytes = await collect(request.body, route.maxBytes);
        return await history.scanDocument(bytes, Number(first));
      });
    }
    case ROUTES.documentSearch: {
      const asked = await readJson(request, route);
      const question = textOf(asked["query"], "query", QUESTION_CHARACTERS);
      if (question === undefined) throw bad("query", "a text");
      const limit = countOf(asked["limit"], 5, 100);
      const of = idsOf(asked["documents"]);
      const [words, each] = [asked["words"] ?? false, asked["each"] ?? false];
      if (typeof words !== "boolean") throw bad("words", "true or false");
      if (typeof each !== "boolean") throw bad("each", "true or false");
      if (each && !words) throw bad("words", "true where each is: no model is asked for it");
      if (!words) return await embeddings.search(question, limit, of);
      const passages = await history.searchDocuments(question, limit, of, undefined, each);
      return { passages, ranking: "bm25" };
    }
    case ROUTES.documentModel: {
      if (method === "GET") return await embeddings.report();
      const { model } = await readJson(request, route);
      if (model !== null && typeof model !== "string") throw bad("model", "a name, or null");
      return await embeddings.choose(model);
    }
    case ROUTES.document:
      await noBody(request, route);
      await history.removeDocument(parameterOf(route, new URL(request.url).pathname) ?? "");
      return {};
    default:
      throw notServed(method, undefined);
  }
}

/** Takes a file up, or says that there are enough. */
async function upload<T>(
  uploads: DocumentsService["uploads"],
  take: () => Promise<T>,
): Promise<T> {
  if (uploads.now >= MOST_UPLOADS) throw new SecLlamaError("busy", BUSY_TEXT, BUSY_HINT);
  uploads.now++;
  try {
    return await take();
  } finally {
    uploads.now--;
  }
}

/** A file's name, from its header; of a file of a folder, with its path in it, since others may be called the same. */
function nameOf(request: Request): string {
  let name = "";
  try {
    name = decodeURIComponent(request.headers.get(NAME_HEADER) ?? "");
  } catch { /* said below */ }
  name = name.split(/[/\\]/).map((part) => part.trim())
    .filter((part) => !["", ".", ".."].includes(part)).join("/");
  if (name !== "" && name.length <= NAME_CHARACTERS) return name;
  throw bad(`the header ${NAME_HEADER}`, "the file's name, percent-encoded");
}

/** Ids of documents; undefined: all. */
function idsOf(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const fits = Array.isArray(value) && value.length <= DOCUMENTS_NAMED &&
    value.every((id) => typeof id === "string" && CONVERSATION_ID.test(id));
  if (fits) return value;
  throw bad("documents", `an array of at most ${DOCUMENTS_NAMED} ids`);
}
