/**
 * CORS for the sealed endpoints, for the origins that the operator named. The listener has refused all others before. What
 * such a page sends is sealed, so being let in gives it no more than any client without a key has; the endpoints that are
 * not sealed stay closed to it.
 */
import type { MiddlewareHandler } from "hono";
import { routeOf } from "../api/routes.ts";
import { SecLlamaError } from "../errors.ts";

const PREFLIGHT_SECONDS = "600";

/** Lets pages of `origins` use the sealed endpoints; answers their preflights (Fetch standard, section 3.2). */
export function crossOrigin(origins: readonly string[]): MiddlewareHandler {
  const allowed = new Set(origins.map((origin) => origin.toLowerCase()));
  return async (c, next) => {
    const origin = c.req.header("origin");
    // Without one, or with our own, it is no request across origins.
    if (origin === undefined || !allowed.has(origin.toLowerCase())) return await next();
    const route = routeOf(c.req.path);
    if (!route?.crossOrigin) {
      throw new SecLlamaError("origin-refused", "web pages may use the sealed endpoints only", {
        hint: "send the request through sealedFetch of secllama-client",
      });
    }
    const headers = {
      "Access-Control-Allow-Origin": origin,
      "Access-Control-Expose-Headers":
        "secllama-now, secllama-runner, secllama-member, secllama-host",
      "Vary": "Origin",
    };
    if (c.req.method === "OPTIONS") {
      return c.body(null, 204, {
        ...headers,
        "Access-Control-Allow-Methods": route.methods.join(", "),
        "Access-Control-Allow-Headers": "content-type, secllama-proof, secllama-runner",
        "Access-Control-Max-Age": PREFLIGHT_SECONDS,
      });
    }
    await next();
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
  };
}
