/**
 * The proxy's routes: the plain API on loopback, sealed from here on. Holds a request's plaintext only while it seals it, and
 * logs none of it.
 */
import { Hono } from "hono";
import { concat } from "../bytes.ts";
import type { SealedFetch } from "../client/mod.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import { errorResponse } from "../http/api_errors.ts";
import { canonicalPath, MANAGEMENT_HINT } from "../http/api_paths.ts";
import { DEFAULT_LIMITS } from "../http/mod.ts";
import { label, type Logger } from "../log.ts";
import { desktopOrigins } from "./desktop.ts";
import { kindOfPath, methodsOf } from "./paths.ts";

export interface ProxyAppOptions {
  /** Address of the gateway. */
  readonly gateway: string;
  /** Seals: `sealedFetch` of src/client. */
  readonly fetch: (input: string, init: RequestInit) => Promise<Response>;
  /** Asks the gateway for metadata, with a proof of who asks: `sealedFetch(…).metadata`. */
  readonly metadata: SealedFetch["metadata"];
  readonly logger: Logger;
  /** Model management is passed on to the gateway, which decides; without this it is refused here. */
  readonly management?: { readonly maxBytes: number };
}

/** Headers of a request that mean something to the API. What else a client sends stays on this machine. */
const REQUEST_HEADERS = ["content-type", "accept", "anthropic-version", "anthropic-beta"];
/** Headers of an answer that are passed on. */
const ANSWER_HEADERS = [
  "content-type",
  "retry-after",
  "allow",
  "secllama-encryption",
  "secllama-isolation",
  "secllama-model-management",
  "hint",
];

/** The proxy's HTTP application. */
export function makeProxyApp(options: ProxyAppOptions): Hono {
  const app = new Hono({ getPath: (request) => canonicalPath(new URL(request.url).pathname) });
  app.use("*", desktopOrigins(methodsOf));
  app.all("*", async (c) => {
    const { method } = c.req.raw;
    const pathname = c.req.path;
    try {
      switch (kindOfPath(method, pathname)) {
        case "sealed":
          return await sealed(options, c.req.raw, pathname);
        case "metadata":
          return await metadata(options, c.req.raw, pathname);
        case "management":
          if (options.management) return await forward(options, c.req.raw, pathname);
          throw new SecLlamaError(
            "management-refused",
            "model management over the network is off",
            { hint: MANAGEMENT_HINT },
          );
        case "options":
          return new Response(null, { status: 204, headers: { allow: allowed(pathname) } });
        case "method-not-allowed":
          return new Response(JSON.stringify({ error: "method not allowed" }), {
            status: 405,
            headers: { "content-type": "application/json", "allow": allowed(pathname) },
          });
        case "unknown":
          throw new SecLlamaError("not-found", "not found");
      }
    } catch (error) {
      const e = toSecLlamaError(error);
      if (c.req.raw.signal.aborted) return new Response(null, { status: 499 });
      if (e.code === "internal") {
        options.logger.error("proxy-error", { cause: label((e.cause as Error)?.name ?? "") });
      }
      return errorResponse(e, pathname);
    }
  });
  return app;
}

function allowed(path: string): string {
  return [...methodsOf(path) ?? [], "OPTIONS"].join(", ");
}

async function sealed(options: ProxyAppOptions, request: Request, path: string): Promise<Response> {
  // A page can post these without asking first; JSON clients never send them. A form, curl's default, names its origin
  // when a browser sends it, and the listener has checked that.
  if (/^(text\/plain|multipart\/)/i.test(request.headers.get("content-type") ?? "")) {
    throw new SecLlamaError("unsupported-media-type", "this content type is not taken", {
      hint: "send the header content-type: application/json",
    });
  }
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    throw new SecLlamaError("unsupported-media-type", "compressed requests are not taken", {
      hint: "send the body without content-encoding",
    });
  }
  const answer = await options.fetch(at(options.gateway, path).href, {
    method: "POST",
    headers: { ...pick(request.headers, REQUEST_HEADERS), "content-type": "application/json" },
    body: await readBody(request),
    signal: request.signal,
  });
  const headers = pick(answer.headers, ANSWER_HEADERS);
  return new Response(answer.body, {
    status: answer.status,
    headers: { ...headers, "secllama-sealed": "1" },
  });
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
      ? { body: await readBody(request), headers: { "content-type": "application/json" } }
      : {}),
  });
  return passOn(answer);
}

/** Management: a body may be a whole model, and is passed on as it comes. Without a proof, it is for this machine only. */
async function forward(
  options: ProxyAppOptions,
  request: Request,
  path: string,
): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(at(options.gateway, path), {
      method: request.method,
      redirect: "manual",
      signal: request.signal,
      ...(request.body === null
        ? {}
        : { body: request.body, headers: { "content-type": "application/json" } }),
    });
  } catch (cause) {
    throw new SecLlamaError("gateway-unreachable", "the gateway does not answer", {
      hint: "check that it runs: secllama serve",
      cause,
    });
  }
  return passOn(answer);
}

function passOn(answer: Response): Response {
  return new Response(answer.body, {
    status: answer.status,
    headers: pick(answer.headers, ANSWER_HEADERS),
  });
}

/** A body that is held as a whole: no larger than the listener lets in where nothing larger is wanted. */
async function readBody(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += part.length;
    if (size > DEFAULT_LIMITS.bodyBytes) {
      throw new SecLlamaError("too-large", "the request's body is too large");
    }
    parts.push(part);
  }
  return concat(...parts);
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
