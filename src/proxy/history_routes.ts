/** The proxy's own paths below the history: this user's conversations, kept on this machine. None of it goes to a gateway. */
import { collect, readJson } from "../api/body.ts";
import {
  type ConversationFields,
  FOLDER_CHARACTERS,
  LIST_DEFAULT,
  LIST_MOST,
} from "../api/history.ts";
import { refusedRequestBody } from "../api/listener_rules.ts";
import { JSON_TYPE, MARKDOWN_TYPE } from "../api/media_types.ts";
import { notServed, parameterOf, type Route, routeOf, ROUTES } from "../api/routes.ts";
import type { HistoryBytes, HistoryCalls } from "../history/calls.ts";
import { allOf, joined, listAll } from "../history/export.ts";
import { readFields, readPrompts } from "../history/shapes.ts";
import { documentsAnswer, type DocumentsService } from "./documents_routes.ts";
import { bad, countOf, noBody, textOf } from "./fields.ts";

const HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

/**
 * Answers requests to the history's rows. A row's `HEAD` is its `GET`, without the body.
 * @returns A function that throws `bad-request` and what the history throws.
 */
export function makeHistoryRoutes(
  bytes: HistoryBytes & { readonly history: HistoryCalls },
  embeddings: DocumentsService["embeddings"],
): (request: Request) => Promise<Response> {
  const { history } = bytes;
  const documents = { history, embeddings, bytes, uploads: { now: 0 } };
  return async (request) => {
    const { method } = request;
    const route = routeOf(new URL(request.url).pathname);
    if (route === undefined) throw notServed(method, route);
    const refused = method === "GET" || method === "HEAD"
      ? undefined
      : refusedRequestBody(request, route);
    if (refused) throw refused;
    const exported = method === "POST" ? undefined : await exportOf(bytes, request, route);
    if (exported && method === "HEAD") {
      await exported.body?.cancel();
      return new Response(null, exported);
    }
    if (exported) return exported;
    const large = method === "POST" ? undefined : await largeOf(bytes, request, route);
    if (large && method === "HEAD") return new Response(null, large);
    if (large) return large;
    const answer = await answerOf(documents, request, route, method === "HEAD" ? "GET" : method);
    const response = Response.json(answer, { headers: HEADERS });
    return method === "HEAD" ? new Response(null, response) : response;
  };
}

async function answerOf(
  documents: DocumentsService & { readonly bytes: HistoryBytes },
  request: Request,
  route: Route,
  method: string,
): Promise<unknown> {
  const { history, bytes } = documents;
  const url = new URL(request.url);
  const query = (name: string) => url.searchParams.get(name) ?? undefined;
  const id = parameterOf(route, url.pathname) ?? "";
  switch (route) {
    case ROUTES.history: {
      return await history.create(await fields(request, route));
    }
    case ROUTES.historySearch: {
      // What is searched for is content, and stands in no URL where the program can help it.
      const asked = method === "POST"
        ? await readJson(request, route)
        : { query: query("query"), limit: query("limit") };
      const words = textOf(asked["query"], "query");
      if (words === undefined) throw bad("query", "a text");
      const folder = method === "POST"
        ? textOf(asked["folder"], "folder", FOLDER_CHARACTERS)
        : undefined;
      return { hits: await history.search(words, countOf(asked["limit"], 50, 1000), folder) };
    }
    case ROUTES.historyImport:
      return await history.importFile(await collect(request.body, route.maxBytes));
    case ROUTES.prompts:
      if (method === "GET") return { prompts: await history.prompts() };
      await history.setPrompts(readPrompts(await readJson(request, route)));
      return {};
    case ROUTES.conversation:
      if (method === "PATCH") await history.update(id, await fields(request, route));
      else await history.remove(id);
      return {};
    case ROUTES.messages:
      return await bytes.appendJson(id, await collect(request.body, route.maxBytes));
    case ROUTES.undelete:
      await noBody(request, route);
      await history.undelete(id);
      return {};
    case ROUTES.erase:
      await noBody(request, route);
      await history.erase([id]);
      return {};
    default:
      return await documentsAnswer(documents, request, route, method);
  }
}

/** A list, or a conversation: it may be large, and goes through this loop as bytes. */
async function largeOf(
  { written }: HistoryBytes,
  request: Request,
  route: Route,
): Promise<Response | undefined> {
  const { pathname, searchParams } = new URL(request.url);
  const query = (name: string) => searchParams.get(name) ?? undefined;
  const get = request.method === "GET" || request.method === "HEAD";
  if (!get || (route !== ROUTES.history && route !== ROUTES.conversation)) return undefined;
  const bytes = route === ROUTES.history
    ? await written("json", "list", {
      query: textOf(query("query"), "query"),
      limit: countOf(query("limit"), LIST_DEFAULT, LIST_MOST),
      before: query("before"),
    })
    : await written("json", "get", parameterOf(route, pathname) ?? "");
  return new Response(bytes, { headers: { ...HEADERS, "content-type": JSON_TYPE } });
}

/** One conversation, or all of them: `?format=json` or `markdown`. */
async function exportOf(
  { history, written }: HistoryBytes & { readonly history: HistoryCalls },
  request: Request,
  route: Route,
): Promise<Response | undefined> {
  if (route !== ROUTES.historyExport && route !== ROUTES.conversationExport) return undefined;
  const url = new URL(request.url);
  const format = url.searchParams.get("format") ?? "json";
  if (format !== "json" && format !== "markdown") throw bad("format", "json or markdown");
  const get = (id: string) => written(format, "get", id);
  const found = route === ROUTES.conversationExport
    ? one(await get(parameterOf(route, url.pathname) ?? ""))
    : allOf(get, await listAll(history));
  const body = ReadableStream.from(joined(format, found));
  return new Response(body, {
    headers: {
      ...HEADERS,
      "content-type": format === "json" ? JSON_TYPE : MARKDOWN_TYPE,
      "content-disposition": `attachment; filename="history.${format === "json" ? "json" : "md"}"`,
    },
  });
}

async function* one<T>(value: T): AsyncGenerator<T> {
  yield await Promise.resolve(value);
}

async function fields(request: Request, route: Route): Promise<ConversationFields> {
  return readFields(await readJson(request, route));
}
