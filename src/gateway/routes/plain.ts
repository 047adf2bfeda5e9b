/**
 * Inference paths in plaintext: refused with 426 while encryption is on; with `SECLLAMA_ENABLE_ENCRYPTION=false`, an
 * operator's choice that every answer, the banner and the status repeat, passed to the runner unsealed.
 */
import type { Hono } from "hono";
import { concat, utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { INFERENCE_PATHS } from "../../http/api_paths.ts";
import type { GatewayContext } from "../app.ts";
import type { ManagementEnv } from "../management.ts";
import { relay } from "../relay.ts";

/** All who send plaintext are one client: nothing tells them apart. */
const PLAIN_CLIENT = "plain";
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Where plaintext belongs, for hints. */
export function proxyOf({ config }: GatewayContext): string {
  return `secllama proxy, on ${
    config.proxyPort === 0 ? "the port that serve printed" : `127.0.0.1:${config.proxyPort}`
  }`;
}

export function plainRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  for (const path of INFERENCE_PATHS) {
    app.post(path, async (c) => {
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
      return await plain(context, c.req.raw, path);
    });
  }
}

async function plain(context: GatewayContext, request: Request, path: string): Promise<Response> {
  // A browser page can post text/plain anywhere without asking first; JSON it cannot.
  if (
    !/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? "application/json")
  ) {
    throw new SecLlamaError("bad-request", "the content type must be application/json");
  }
  const body = await readAll(request);
  const { model, waitedMs } = await context.supervisor.acquire(modelOf(body), PLAIN_CLIENT);
  const headers: Record<string, string> = {};
  for (const name of ["content-type", "accept", "anthropic-version"]) {
    const value = request.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  const { exchange, done } = model.open(
    { kind: "plain", method: request.method, path, headers, waitedMs },
    { client: PLAIN_CLIENT, shared: false },
  );
  return await relay(exchange, { body: null, first: body, signal: request.signal, done });
}

async function readAll(request: Request): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += part.length;
    if (size > MAX_BODY_BYTES) {
      throw new SecLlamaError("too-large", "the request's body is over 64 MiB");
    }
    parts.push(part);
  }
  return concat(...parts);
}

function modelOf(body: Uint8Array): string {
  let value: unknown;
  try {
    value = JSON.parse(utf8Decode(body));
  } catch {
    throw new SecLlamaError("bad-request", "the request's body is not JSON");
  }
  const model = typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)["model"]
    : undefined;
  if (typeof model !== "string" || model === "") {
    throw new SecLlamaError("bad-request", "model is required", { field: "model" });
  }
  return model;
}
