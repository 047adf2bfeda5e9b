/**
 * The proxy's routes: the plain API on loopback, sealed from here on. Holds a request's plaintext only while it seals it, and
 * logs none of it.
 */
import { Hono } from "hono";
import { collect, parseJsonObject } from "../api/body.ts";
import { brokenInWords } from "../api/broken_stream.ts";
import { errorResponse } from "../api/errors.ts";
import { HINTS } from "../hints.ts";
import { INFLATED, inflated } from "../api/inflate.ts";
import { refusedRequestBody } from "../api/listener_rules.ts";
import {
  APP_HEADER,
  limitHeaders,
  LIMITS_HEADER,
  readLimits,
  TOKEN_TAKEN_BACK,
} from "../api/limits.ts";
import { JSON_TYPE } from "../api/media_types.ts";
import { readChallenge } from "../api/proxy_identity.ts";
import {
  allowed,
  bodyLimit,
  canonicalPath,
  notServed,
  type Route,
  routeOf,
  ROUTES,
  takes,
} from "../api/routes.ts";
import { RECEIPT_HEADER, RECEIPT_SECRET_HEADER } from "../api/receipt.ts";
import { IGNORED_HEADER, readIgnored, writeIgnored } from "../api/ignored.ts";
import { readTruncated, TRUNCATED_HEADER, writeTruncated } from "../api/truncated.ts";
import { MANAGEMENT_HINT } from "../api/texts.ts";
import { type Bytes, toBase64Url } from "../bytes.ts";
import type { SealedFetch } from "../client/mod.ts";
import { ERROR_TABLE, SecLlamaError, toSecLlamaError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { crossOrigin } from "./cross_origin.ts";
import type { Page } from "./page.ts";
import { logFailure } from "./failure.ts";
import { pullOfPresent } from "./present.ts";
import { standingHeaders } from "./standing.ts";
import { type GateEnv, shownTokens, tokenGate, type TokenGateOptions } from "./token_gate.ts";

/** What the proxy passes requests to, and by what. */
export interface ProxyAppOptions {
  /** Address of the gateway. */
  readonly gateway: string;
  /** Seals: `sealedFetch` of src/client. */
  readonly fetch: (input: string, init: RequestInit) => Promise<Response>;
  /** Asks the gateway for metadata, with a proof of who asks: `sealedFetch(…).metadata`. */
  readonly metadata: SealedFetch["metadata"];
  /** What the gateway said of itself, outside of any seal: `sealedFetch(…).outer`. */
  readonly outer: SealedFetch["outer"];
  /** Gets refusals as events. */
  readonly logger: Logger;
  /** Proves to this user's programs that this is their proxy. */
  readonly identity?: { sign(challenge: Bytes): Promise<Bytes | undefined> };
  /** Answers on the paths of this user's history. */
  readonly history?: (request: Request) => Promise<Response>;
  /** The page for this user's browser; without it nothing below `/secllama/page/` is there. */
  readonly page?: Page;
  /** Lets in only who shows a token; without it nobody is asked for one. */
  readonly gate?: TokenGateOptions;
  /**
   * Where nobody is asked for a token: what one that is shown all the same claims, for the gateway; undefined: it is none of ours.
   * Whoever has a role shows it by their token, and their limits hold here too.
   */
  readonly claim?: (token: string) => string | undefined;
  /** Model management is passed on to the gateway, which decides; without this it is refused here. */
  readonly management?: { readonly maxBytes: number };
  /** Exact origins of web pages that may use the proxy, as browsers write them; none by default. */
  readonly allowedOrigins?: readonly string[];
}

/** Headers of a request that mean something to the API. What else a client sends stays on this machine. */
const REQUEST_HEADERS = [
  "content-type",
  "accept",
  "anthropic-version",
  "anthropic-beta",
  RECEIPT_HEADER,
];
/** Headers that a runner may set in a sealed reply. It has no word on what protects the reply, nor on what to do about it. */
const REPLY_HEADERS = ["content-type", "retry-after", "request-id", "x-request-id"];
/** Headers of the gateway's own answers that are passed on. */
const ANSWER_HEADERS = [...REPLY_HEADERS, "allow", "secllama-model-management", "hint"];

const [OTHER_HOST] = ERROR_TABLE["other-host"];

/** So long an answer waits to learn what protects it, if the gateway has said nothing yet. */
const STANDING_MS = 1_000;

/** The proxy's HTTP application. */
export function makeProxyApp(options: ProxyAppOptions): Hono<GateEnv> {
  const app = new Hono<GateEnv>({
    getPath: (request) => canonicalPath(new URL(request.url).pathname),
  });
  app.use("*", async (c, next) => {
    await next();
    const said = await standing(options, c.req.raw.signal);
    for (const [name, value] of Object.entries(said)) c.res.headers.set(name, value);
    c.res.headers.set("X-Content-Type-Options", "nosniff");
    if (!c.res.headers.has("Cache-Control")) c.res.headers.set("Cache-Control", "no-store");
  });
  app.use("*", crossOrigin(options.allowedOrigins));
  if (options.gate) app.use("*", tokenGate(options.gate));
  app.all("*", async (c) => {
    const { method } = c.req.raw;
    const pathname = c.req.path;
    try {
      const page = await options.page?.answer(c.req.raw, pathname);
      if (page) return page;
      const route = served(options, pathname);
      if (route && method === "OPTIONS") {
        return new Response(null, { status: 204, headers: { allow: allowed(route) } });
      }
      if (route?.kind === "management" && !options.management) {
        const present = route === ROUTES.pull && method === "POST"
          ? await pullOfPresent(c.req.raw, options.metadata)
          : undefined;
        if (present) return present;
        throw new SecLlamaError("management-refused", "model management over the network is off", {
          hint: MANAGEMENT_HINT,
        });
      }
      if (!route || !takes(route, method)) throw notServed(method, route);
      switch (route.kind) {
        case "inference":
          return await sealed(
            options,
            c.req.raw,
            route,
            c.get("app") ?? claimed(options, c.req.raw),
          );
        case "identity":
          return await identity(options, c.req.raw, route);
        case "history":
          return await options.history!(c.req.raw);
        case "management":
          return await forward(options, c.req.raw, pathname);
        default:
          return await metadata(options, c.req.raw, pathname);
      }
    } catch (error) {
      const e = toSecLlamaError(error);
      if (c.req.raw.signal.aborted) return new Response(null, { status: 499 });
      logFailure(options.logger, e);
      return errorResponse(e, pathname, method);
    }
  });
  return app;
}

/** On every answer, also of the proxy's own: the gateway's word, and "unknown" where it has said nothing that is one. */
async function standing(
  options: ProxyAppOptions,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  if (options.outer() === undefined) {
    // A gateway that is behind a network that is down answers nothing for minutes; what is answered here must not wait for it.
    const soon = AbortSignal.any([signal, AbortSignal.timeout(STANDING_MS)]);
    await options.metadata(ROUTES.health.path.slice(1), { method: "HEAD", signal: soon })
      .catch(() => {});
  }
  return standingHeaders(options.outer());
}

/**
 * The row of a path that is served here: sealed requests are made here and not taken, and what is this user's own is only there
 * where the proxy was given it. Nothing unknown is passed on.
 */
function served(options: ProxyAppOptions, path: string): Route | undefined {
  const route = routeOf(path);
  switch (route?.kind) {
    case "sealed":
      return undefined;
    case "identity":
    case "history":
    case "page":
      return options[route.kind] && route;
    case "owner":
      // Who may use the page may ask for it, nobody else.
      return options.page && route;
  }
  return route;
}

/** Of whom it says to be, where no gate has looked. */
function claimed({ gate, claim }: ProxyAppOptions, { headers }: Request): string | undefined {
  if (gate !== undefined || claim === undefined) return undefined;
  return shownTokens(headers).map(claim).find((found) => found !== undefined);
}

async function sealed(
  options: ProxyAppOptions,
  request: Request,
  route: Route,
  app: string | undefined,
): Promise<Response> {
  const refused = refusedRequestBody(request, route, INFLATED);
  if (refused) throw refused;
  const answer = await options.fetch(at(options.gateway, route.path).href, {
    method: "POST",
    headers: {
      ...pick(request.headers, REQUEST_HEADERS),
      "content-type": JSON_TYPE,
      ...(app === undefined ? {} : { [APP_HEADER]: app }),
    },
    body: await collect(inflated(request), route.maxBytes),
    signal: request.signal,
  });
  const headers = pick(answer.headers, REPLY_HEADERS);
  Object.assign(headers, pick(answer.headers, [RECEIPT_HEADER, RECEIPT_SECRET_HEADER]));
  const limits = readLimits(answer.headers.get(LIMITS_HEADER));
  if (limits !== undefined) Object.assign(headers, limitHeaders(limits, route.dialect));
  const cut = readTruncated(answer.headers);
  if (cut !== undefined) {
    headers[TRUNCATED_HEADER] = writeTruncated(cut);
    options.logger.warn("prompt-truncated", cut);
  }
  const ignored = readIgnored(answer.headers);
  if (ignored.length > 0) headers[IGNORED_HEADER] = writeIgnored(ignored);
  const type = answer.headers.get("content-type");
  return new Response(
    answer.body && brokenInWords(answer.body, {
      type,
      path: route.path,
      requestId: answer.headers.get("request-id"),
      why: (error) => takenBack(options, app) ?? error,
    }),
    {
      status: answer.status,
      headers: { ...headers, "secllama-sealed": "1" },
    },
  );
}

/** Why a reply broke off that was under way under this token, which was revoked: the gateway ends its connection, and can say no more. */
function takenBack({ gate }: ProxyAppOptions, app: string | undefined): SecLlamaError | undefined {
  if (gate === undefined || app === undefined) return undefined;
  try {
    if (!gate.tokens.wasRevoked(app)) return undefined;
  } catch {
    return undefined;
  }
  return new SecLlamaError("token-refused", TOKEN_TAKEN_BACK);
}

/** @throws {SecLlamaError} `bad-request` for what is no challenge, `not-found` where nothing can be proven. */
async function identity(
  { identity }: ProxyAppOptions,
  request: Request,
  route: Route,
): Promise<Response> {
  const refused = refusedRequestBody(request, route, INFLATED);
  if (refused) throw refused;
  const body = parseJsonObject(await collect(inflated(request), route.maxBytes));
  const challenge = readChallenge(body);
  if (challenge === undefined) {
    throw new SecLlamaError("bad-request", "challenge must be 32 bytes in base64url", {
      field: "challenge",
    });
  }
  const signature = await identity!.sign(challenge);
  if (signature === undefined) throw new SecLlamaError("not-found", "not found");
  return Response.json({ signature: toBase64Url(signature) });
}

async function metadata(
  options: ProxyAppOptions,
  request: Request,
  path: string,
): Promise<Response> {
  const answer = await options.metadata(path.slice(1), {
    method: request.method,
    signal: request.signal,
    ...(request.method === "POST"
      ? {
        body: await collect(inflated(request), bodyLimit(request.method, path)),
        headers: { "content-type": JSON_TYPE },
      }
      : {}),
  });
  if (answer.status === OTHER_HOST) {
    // Each host of a fleet named another one, to the last: the one that has the model has just gone, or does not come to be asked.
    await answer.body?.cancel();
    throw new SecLlamaError("busy", "the host of the fleet that is to answer does not answer now", {
      hint: "try again in a moment",
    });
  }
  return passOn(answer);
}

/** Management: a model's file is passed on as it comes, all else as a whole. Without a proof, it is for this machine only. */
async function forward(
  options: ProxyAppOptions,
  request: Request,
  path: string,
): Promise<Response> {
  const { body } = request;
  let failure: unknown;
  const bytes = body === null
    ? undefined
    : routeOf(path) === ROUTES.blob && !request.headers.has("content-encoding")
    ? ReadableStream.from(noting(body, (error) => failure = error))
    : await collect(inflated(request), bodyLimit(request.method, path));
  let answer: Response;
  try {
    answer = await fetch(at(options.gateway, path), {
      method: request.method,
      redirect: "manual",
      signal: request.signal,
      ...(bytes === undefined ? {} : { body: bytes, headers: { "content-type": JSON_TYPE } }),
    });
  } catch (cause) {
    // What was wrong with the body is not the gateway's fault.
    if (failure !== undefined) throw failure;
    throw new SecLlamaError("gateway-unreachable", "the gateway does not answer", {
      hint: HINTS.serveRuns,
      cause,
    });
  }
  return passOn(answer);
}

/** A stream as it is; why it breaks off is told to `note` besides. */
async function* noting<T>(
  stream: AsyncIterable<T>,
  note: (error: unknown) => void,
): AsyncGenerator<T> {
  try {
    yield* stream;
  } catch (error) {
    note(error);
    throw error;
  }
}

function passOn(answer: Response): Response {
  return new Response(answer.body, {
    status: answer.status,
    headers: pick(answer.headers, ANSWER_HEADERS),
  });
}

/** A path of the gateway. Set as a path, so that none can name another host. */
function at(gateway: string, path: string): URL {
  const url = new URL(gateway);
  url.pathname = path;
  return url;
}

function pick(headers: Headers, names: readonly string[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null) out[name] = value;
  }
  return out;
}
