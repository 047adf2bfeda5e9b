/**
 * The API inside the runner: a hono app over an engine. It opens nothing, logs nothing, and knows nothing of sealing;
 * the session hands it requests that are authenticated already.
 */
import { type Context, Hono } from "hono";
import { errorResponse, newRequestId, requestIdHeader } from "../../src/api/errors.ts";
import { type CallTerms, checkCallKind } from "../../src/api/call_terms.ts";
import type { UsedTokens } from "../../src/api/pipe_messages.ts";
import { dialectOf, notServed, routeOf, ROUTES } from "../../src/api/routes.ts";
import { IGNORED_HEADER, writeIgnored } from "../../src/api/ignored.ts";
import { TRUNCATED_HEADER, writeTruncated } from "../../src/api/truncated.ts";
import { RUNNING_TEXT } from "../../src/api/texts.ts";
import type { Engine } from "../engine/types.ts";
import { readJsonObject } from "./body.ts";
import { Turns } from "../turns.ts";
import type { Fields } from "./fields.ts";
import { makeService } from "./inference.ts";
import { readAhead } from "./read_ahead.ts";
import type { Call, ModelDefaults, Service } from "./request.ts";
import { ollamaChat } from "./ollama/chat.ts";
import { ollamaEmbed, ollamaEmbeddings } from "./ollama/embed.ts";
import { ollamaGenerate } from "./ollama/generate.ts";
import { readArguments } from "./openai/call_arguments.ts";
import { openaiChat } from "./openai/chat.ts";
import { openaiCompletions } from "./openai/completions.ts";
import { openaiEmbeddings } from "./openai/embeddings.ts";
import { openaiRerank } from "./openai/rerank.ts";
import { openaiResponses } from "./openai/responses.ts";
import { applyTemplate, chatInputTokens, detokenize, tokenize } from "./openai/tokens.ts";
import { anthropicCountTokens, anthropicMessages } from "./anthropic/messages.ts";

/** Clients give up on a silent connection after 30 s at the earliest, as far as is known; most after minutes. */
const LIFE_SIGN_MS = 10_000;

/** What one runner serves, and to whom it says so. */
export interface ApiOptions {
  /** The loaded model. */
  readonly engine: Engine;
  /** Canonical name of the model, "demo:latest": requests for another are 404. */
  readonly model: string;
  /** Told for each request with `keep_alive`: milliseconds from the end of the request, 0 to unload after it; and whose it was. */
  onKeepAlive(value: number | "forever", client: string): void;
  /** Told by `GET /api/version`. */
  readonly version: string;
  /** From the model's Modelfile. */
  readonly defaults?: ModelDefaults;
  /** Whether the prompts of `/v1/completions` go through the template, as in Ollama. Default false: they are taken as they are. */
  readonly templateCompletions?: boolean;
  /** Milliseconds of silence after which a stream gives a sign of life. Default 10 s; a test may want less. */
  readonly lifeSignMs?: number;
}

/** What the gateway knows of a request, and its body does not say. */
export interface CallContext {
  /** Whose request it is: prefixes are reused for the same client only. */
  readonly client: string;
  /** Milliseconds this request waited for the model to load, if it did. Default 0. */
  readonly waitedMs?: number;
  /** Told how many tokens it cost, in parts that add up, each before the bytes that follow from it. */
  readonly used?: (tokens: UsedTokens) => void;
  /** What its client's role lets it be; absent: anything. */
  readonly terms?: CallTerms;
  /** Told that it is something else, before the answer says so. */
  readonly refused?: (code: "role-refused") => void;
}

/** The API of one model, without a listener. */
export interface Api {
  /**
   * Never throws: errors are responses. Aborting `request.signal`, or cancelling the response's body, ends the
   * generation at once.
   */
  fetch(request: Request, context: CallContext): Promise<Response>;
}

/** One route of a dialect: a parsed body to a response. `cancel` ends what `call.signal` watches. */
export type Handler = (
  service: Service,
  body: Fields,
  call: Call,
  cancel: AbortController,
) => Promise<Response>;

const routes = (responses = openaiResponses()): Readonly<Record<string, Handler>> => ({
  [ROUTES.chat.path]: ollamaChat,
  [ROUTES.generate.path]: ollamaGenerate,
  [ROUTES.embed.path]: ollamaEmbed,
  [ROUTES.embeddings.path]: ollamaEmbeddings,
  [ROUTES.openaiChat.path]: openaiChat,
  [ROUTES.openaiChatTokens.path]: chatInputTokens,
  [ROUTES.openaiCompletions.path]: openaiCompletions,
  [ROUTES.openaiEmbeddings.path]: openaiEmbeddings,
  [ROUTES.rerank.path]: openaiRerank,
  [ROUTES.openaiResponses.path]: responses.create,
  [ROUTES.openaiInputTokens.path]: responses.countTokens,
  [ROUTES.tokenize.path]: tokenize,
  [ROUTES.detokenize.path]: detokenize,
  [ROUTES.applyTemplate.path]: applyTemplate,
  [ROUTES.anthropicMessages.path]: anthropicMessages,
  [ROUTES.anthropicCountTokens.path]: anthropicCountTokens,
});

type Env = { Bindings: CallContext };

/**
 * The API in all its dialects, over one engine.
 *
 * @example What a runner does with a request that it has opened
 * ```ts
 * import type { Engine } from "../engine/types.ts";
 *
 * async function version(engine: Engine): Promise<string> {
 *   const api = makeApi({ engine, model: "demo:latest", version: "1.0.0", onKeepAlive() {} });
 *   const request = new Request("http://runner/api/version");
 *   const response = await api.fetch(request, { client: "me" });
 *   return (await response.json()).version;
 * }
 * ```
 * @throws {SecLlamaError} `bad-request`: `defaults` holds a wrong option.
 */
export function makeApi(o: ApiOptions): Api {
  const turns = new Turns();
  const { lifeSignMs = LIFE_SIGN_MS } = o;
  const service = makeService({ ...o, defaults: o.defaults ?? {}, turns });
  const app = new Hono<Env>();
  app.get(ROUTES.root.path, (c) => c.text(RUNNING_TEXT));
  app.get(ROUTES.version.path, (c) => c.json({ version: o.version }));
  for (const [path, handler] of Object.entries(routes())) {
    app.post(path, (c) => run(c, handler, { service, turns, lifeSignMs }));
  }
  app.notFound((c) => {
    const { method, path } = c.req;
    return errorResponse(notServed(method, routeOf(path)), path, method);
  });
  app.onError((error, c) => errorResponse(error, c.req.path, c.req.method));
  return {
    fetch: async (request, context) => await app.fetch(request, context),
  };
}

async function run(
  c: Context<Env>,
  handler: Handler,
  { service, turns, lifeSignMs }: { service: Service; turns: Turns; lifeSignMs: number },
): Promise<Response> {
  const startedAt = performance.now();
  const { terms } = c.env;
  try {
    checkCallKind(terms, routeOf(c.req.path)!.call!);
  } catch (error) {
    c.env.refused?.("role-refused");
    throw error;
  }
  const cancel = new AbortController();
  const request = c.req.raw;
  const signal = AbortSignal.any([request.signal, cancel.signal]);
  const requestId = newRequestId();
  const call: Call = {
    client: c.env.client,
    signal,
    startedAt,
    waitedMs: c.env.waitedMs ?? 0,
    lifeSignMs,
    notes: { ignored: [] },
    used: c.env.used ?? (() => {}),
    replyTokens: terms?.replyTokens ?? Infinity,
    requestId,
  };
  const body = await readJsonObject(request, turns, call);
  await turns.run(readArguments(body), call);
  await turns.run(readAhead(body), call);
  // What a handler does before it first waits is bounded, by what a body may hold.
  await turns.take(call);
  const response = await handler(service, body, call, cancel);
  const named = requestIdHeader(dialectOf(c.req.path), requestId);
  for (const [name, value] of Object.entries(named)) response.headers.set(name, value);
  const { cut, ignored } = call.notes;
  if (cut !== undefined) response.headers.set(TRUNCATED_HEADER, writeTruncated(cut));
  if (ignored.length > 0) response.headers.set(IGNORED_HEADER, writeIgnored(ignored));
  return response;
}
