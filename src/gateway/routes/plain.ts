/**
 * Inference paths in plaintext: refused with 426 while encryption is on; with `SECLLAMA_ENABLE_ENCRYPTION=false`, an
 * operator's choice that every answer, the banner and the status repeat, passed to the runner unsealed.
 */
import type { Hono } from "hono";
import { collect, parseJsonObject, requiredModel } from "../../api/body.ts";
import { brokenInWords } from "../../api/broken_stream.ts";
import { refusedRequestBody } from "../../api/listener_rules.ts";
import { INFERENCE_BYTES, type Route, routes } from "../../api/routes.ts";
import { wantedContext } from "../../api/wanted_context.ts";
import { SecLlamaError } from "../../errors.ts";
import { label } from "../../log.ts";
import { countUsed, recordedExchange } from "../audit.ts";
import type { GatewayContext } from "../context.ts";
import type { ManagementEnv } from "../management.ts";
import { askedModel } from "../asked_model.ts";
import { relay } from "../relay.ts";
import { PLAIN_CLIENT, shareOf } from "../share.ts";

/** Where plaintext belongs, for hints. */
export function proxyOf({ config }: GatewayContext): string {
  return `secllama proxy, on ${
    config.proxyPort === 0 ? "the port that serve printed" : `127.0.0.1:${config.proxyPort}`
  }`;
}

export function plainRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  for (const route of routes("inference")) {
    app.post(route.path, async (c) => {
      if (context.config.enableEncryption) {
        void c.req.raw.body?.cancel().catch(() => {});
        throw new SecLlamaError(
          "plaintext-refused",
          "plaintext requests are refused: encryption is on",
          {
            hint: `send them to the proxy, which seals them: ${proxyOf(context)}`,
          },
        );
      }
      return await plain(context, c.req.raw, route, shareOf(c.env, PLAIN_CLIENT));
    });
  }
}

async function plain(
  context: GatewayContext,
  request: Request,
  route: Route,
  client: string,
): Promise<Response> {
  const refused = refusedRequestBody(request, route);
  if (refused) throw refused;
  const asked = await collect(request.body, INFERENCE_BYTES);
  const fields = parseJsonObject(asked);
  await context.audit?.admit();
  const { model, waitedMs } = await context.supervisor.acquire(
    askedModel(requiredModel(fields)),
    { client, contextLength: wantedContext(route.path, fields) },
  );
  const headers: Record<string, string> = {};
  for (const name of ["content-type", "accept", "anthropic-version"]) {
    const value = request.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  const { exchange, ...on } = model.open(
    { kind: "plain", client, method: request.method, path: route.path, headers, waitedMs },
    { client, shared: false },
  );
  const answer = await relay(exchange, {
    kind: "plain",
    body: null,
    first: asked,
    signal: request.signal,
    ...on,
    ...recordedExchange(context, {
      who: { client: label(PLAIN_CLIENT) },
      model,
      kind: "plain",
      used: countUsed(context, model, exchange),
    }),
  });
  const { status, headers: given } = answer;
  const type = given.get("content-type");
  const body = answer.body && brokenInWords(answer.body, {
    type,
    path: route.path,
    requestId: given.get("request-id"),
  });
  return new Response(body, { status, headers: given });
}
