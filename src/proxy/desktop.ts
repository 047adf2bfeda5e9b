/**
 * Desktop programs that show their window as a page: Electron's, Tauri's, VS Code's. Their pages have origins of their own
 * schemes, which no web page can have, and ask for CORS like any page. They are programs of the user's, who may call
 * anyway; this only lets their pages read the answers.
 */
import type { MiddlewareHandler } from "hono";

/** The schemes that Ollama lets in as well. Not `file` and no browser extension's: those may be anyone's page. */
export const DESKTOP_SCHEMES = ["app", "tauri", "vscode-webview", "vscode-file"];

const PREFLIGHT_SECONDS = "600";
const HEADER_LIST = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:, *[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;

/** Answers their preflights (Fetch standard, section 3.2) with `methodsOf` the path, and lets them read what they get. */
export function desktopOrigins(
  methodsOf: (path: string) => readonly string[] | undefined,
): MiddlewareHandler {
  return async (c, next) => {
    const origin = c.req.header("origin");
    // The listener has refused all but our own origin and these schemes.
    if (origin === undefined || /^https?:/i.test(origin)) return await next();
    const headers: Record<string, string> = {
      "access-control-allow-origin": origin,
      "vary": "Origin",
    };
    if (c.req.method === "OPTIONS") {
      const asked = c.req.header("access-control-request-headers") ?? "";
      return c.body(null, 204, {
        ...headers,
        "access-control-allow-methods": (methodsOf(c.req.path) ?? []).join(", "),
        // What of them goes further than this machine is decided elsewhere: almost nothing.
        ...(HEADER_LIST.test(asked) ? { "access-control-allow-headers": asked } : {}),
        "access-control-max-age": PREFLIGHT_SECONDS,
      });
    }
    await next();
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
  };
}
