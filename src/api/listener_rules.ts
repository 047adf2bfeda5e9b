/** What the listeners of gateway and proxy are handed, since src/http knows no API. */
import type { SecLlamaError } from "../errors.ts";
import { tooLarge } from "./body.ts";
import { render } from "./errors.ts";
import { refusedBody } from "./media_types.ts";
import { bodyLimit, type Route, routeOf } from "./routes.ts";

type BodyHeaders = Parameters<typeof refusedBody>[0];

/**
 * @param modelBytes What the operator lets an uploaded model's file have; 0: uploads are off.
 * @param inflated Codings that the handlers undo.
 */
export function listenerRules(modelBytes = 0, inflated: readonly string[] = []) {
  return {
    maxBodyBytes: (method: string, path: string) => bodyLimit(method, path, modelBytes),
    tooLarge,
    refusedBody: (path: string, headers: BodyHeaders) =>
      refusedBody(headers, routeOf(path)?.body ?? "bytes", inflated),
    render,
  };
}

/** As the listener's rule, for a request that has come as far as a handler. */
export function refusedRequestBody(
  request: Request,
  route: Route,
  inflated: readonly string[] = [],
): SecLlamaError | undefined {
  const header = (name: string) => request.headers.get(name);
  return refusedBody(
    { type: header("content-type"), encoding: header("content-encoding") },
    route.body,
    inflated,
  );
}
