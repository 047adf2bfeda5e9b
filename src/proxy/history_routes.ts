/** The proxy's own paths below the history: this user's conversations, kept on this machine. None of it goes to a gateway. */
import { collect, readJson } from "../api/body.ts";
import {
  type ConversationFields,
  LIST_DEFAULT,
  LIST_MOST,
  type NewMessage,
  QUERY_CHARACTERS,
} from "../api/history.ts";
import { refusedRequestBody } from "../api/listener_rules.ts";
import { notServed, parameterOf, type Route, routeOf, ROUTES } from "../api/routes.ts";
import { SecLlamaError } from "../errors.ts";
import type { HistoryCalls } from "../history/calls.ts";
import { readFields, readMessage } from "../history/shapes.ts";

/**
 * Answers requests to the history's rows. A row's `HEAD` is its `GET`, without the body.
 * @returns A function that throws `bad-request` and what the history throws.
 */
export function makeHistoryRoutes(
  history: HistoryCalls,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const { method } = request;
    const route = routeOf(new URL(request.url).pathname);
    if (route === undefined) throw notServed(method, route);
    const refused = method === "GET" || method === "HEAD"
      ? undefined
      : refusedRequestBody(request, route);
    if (refused) throw refused;
    const answer = await answerOf(history, request, route, method === "HEAD" ? "GET" : method);
    const headers = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
    const response = Response.json(answer, { headers });
    return method === "HEAD" ? new Response(null, response) : response;
  };
}

async function answerOf(
  history: HistoryCalls,
  request: Request,
  route: Route,
  method: string,
): Promise<unknown> {
  const url = new URL(request.url);
  const query = (name: string) => url.searchParams.get(name) ?? undefined;
  const id = parameterOf(route, url.pathname) ?? "";
  switch (route) {
    case ROUTES.history: {
      if (method === "POST") return await history.create(await fields(request, route));
      return await history.list({
        query: textOf(query("query"), "query"),
        limit: countOf(query("limit"), LIST_DEFAULT, LIST_MOST),
        before: query("before"),
      });
    }
    case ROUTES.historySearch: {
      // What is searched for is content, and stands in no URL where the program can help it.
      const asked = method === "POST"
        ? await readJson(request, route)
        : { query: query("query"), limit: query("limit") };
      const words = textOf(asked["query"], "query");
      if (words === undefined) throw bad("query", "a text");
      return { hits: await history.search(words, countOf(asked["limit"], 50, 1000)) };
    }
    case ROUTES.conversation:
      if (method === "GET") return await history.get(id);
      if (method === "PATCH") await history.update(id, await fields(request, route));
      else await history.remove(id);
      return {};
    case ROUTES.messages:
      return await history.append(id, await message(request, route));
    case ROUTES.undelete:
      await noBody(request, route);
      await history.undelete(id);
      return {};
    case ROUTES.erase:
      await noBody(request, route);
      await history.erase([id]);
      return {};
    default:
      throw notServed(method, undefined);
  }
}

async function fields(request: Request, route: Route): Promise<ConversationFields> {
  return readFields(await readJson(request, route));
}

async function message(request: Request, route: Route): Promise<NewMessage> {
  return readMessage(await readJson(request, route));
}

/** Whatever was sent is read within the limit and means nothing. */
async function noBody(request: Request, route: Route): Promise<void> {
  await collect(request.body, route.maxBytes);
}

function bad(field: string, what: string): SecLlamaError {
  return new SecLlamaError("bad-request", `${field} must be ${what}`, { field });
}

function textOf(value: unknown, field: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw bad(field, "a text");
  if (value.length > QUERY_CHARACTERS) throw bad(field, `at most ${QUERY_CHARACTERS} characters`);
  return value;
}

function countOf(value: unknown, otherwise: number, most: number): number {
  if (value === undefined) return otherwise;
  const count = typeof value === "string" && /^\d{1,6}$/.test(value) ? Number(value) : value;
  if (typeof count === "number" && Number.isInteger(count) && count >= 1 && count <= most) {
    return count;
  }
  throw bad("limit", `a whole number from 1 to ${most}`);
}
