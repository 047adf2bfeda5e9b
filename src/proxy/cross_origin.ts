/**
 * Pages that may use the proxy. Desktop programs show their window as a page (Electron's, Tauri's, VS Code's): their origins
 * have schemes of their own, which no web page can have, and they are programs of the user's, who may call anyway. Web pages
 * are let in by their exact origin where the operator named it. The listener has refused every other origin before.
 */
import type { MiddlewareHandler } from "hono";
import { errorResponse } from "../api/errors.ts";
import { IGNORED_HEADER } from "../api/ignored.ts";
import { type Kind, routeOf } from "../api/routes.ts";
import { TRUNCATED_HEADER } from "../api/truncated.ts";
import { SecLlamaError } from "../errors.ts";

/** The schemes that Ollama lets in as well. Not `file` and no browser extension's: those may be anyone's page. */
export const DESKTOP_SCHEMES = ["app", "tauri", "vscode-webview", "vscode-file"];

const PREFLIGHT_SECONDS = "600";
const HEADER_LIST = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:, *[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;
/** What an answer says of itself that a page could not read else. */
const EXPOSED = [
  "request-id",
  "x-request-id",
  "retry-after",
  "secllama-sealed",
  "secllama-encryption",
  "secllama-isolation",
  TRUNCATED_HEADER,
  IGNORED_HEADER,
].join(", ");
/** What a web page may do at most: it is no program of the user's, so no models are made or deleted by it. */
const FOR_PAGES: readonly Kind[] = ["inference", "metadata", "security"];

/** What lets pages of this origin read an answer. */
export function readableBy(origin: string): Record<string, string> {
  return {
    "access-control-allow-origin": origin,
    "access-control-expose-headers": EXPOSED,
    "vary": "Origin",
  };
}

/**
 * Answers their preflights (Fetch standard, section 3.2), and lets them read what they get.
 * @param pages Exact origins of web pages, as browsers write them.
 */
export function crossOrigin(pages: readonly string[] = []): MiddlewareHandler {
  const allowed = new Set(pages.map((origin) => origin.toLowerCase()));
  return async (c, next) => {
    const origin = c.req.header("origin");
    const page = origin !== undefined && allowed.has(origin.toLowerCase());
    // Without one, or with our own, it is no request across origins.
    if (origin === undefined || (/^https?:/i.test(origin) && !page)) return await next();
    const route = routeOf(c.req.path);
    if (page && route !== undefined && !FOR_PAGES.includes(route.kind)) {
      const refused = new SecLlamaError(
        "origin-refused",
        "web pages may ask models, and not manage them",
        { hint: "use a program of this machine: secllama help models" },
      );
      return errorResponse(refused, c.req.path, c.req.method);
    }
    const headers = readableBy(origin);
    if (c.req.method === "OPTIONS") {
      const asked = c.req.header("access-control-request-headers") ?? "";
      const fromAfar = c.req.header("access-control-request-private-network") === "true";
      return c.body(null, 204, {
        ...headers,
        "access-control-allow-methods": (route?.methods ?? []).join(", "),
        // What of them goes further than this machine is decided elsewhere: almost nothing.
        ...(HEADER_LIST.test(asked) ? { "access-control-allow-headers": asked } : {}),
        // Chromium asks so before a page of a public site may speak to this machine.
        ...(fromAfar ? { "access-control-allow-private-network": "true" } : {}),
        "access-control-max-age": PREFLIGHT_SECONDS,
      });
    }
    await next();
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
  };
}
