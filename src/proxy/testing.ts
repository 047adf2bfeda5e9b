/** Shared by the tests of this folder: a proxy before a gateway and a runner in one. */
import { client, serve, type Server } from "../client/testing.ts";
import { makeLogger } from "../log.ts";
import { startProxy, type TokenGateOptions } from "./mod.ts";
import { openPage, type PageOptions } from "./page.ts";

interface Proxied {
  readonly server: Server;
  readonly url: string;
  /** Plain requests that the gateway saw. */
  readonly plain: { method: string; path: string; body: string; headers: Headers }[];
  readonly log: string[];
}

export const encoder = new TextEncoder();

/**
 * @param launch The page's launch secret; null: the kernel says who connects.
 * @param save Stands for the history.
 * @param gate Asks for tokens; the page's browser is let in.
 */
export async function withProxy(
  body: (o: Proxied) => Promise<void>,
  launch: string | null = null,
  save?: PageOptions["save"],
  gate?: TokenGateOptions,
): Promise<void> {
  await using server = await serve();
  const plain: Proxied["plain"] = [];
  server.intercept = async (_route, request) => {
    const path = new URL(request.url).pathname;
    if (path.startsWith("/sealed/")) return;
    plain.push({
      method: request.method,
      path,
      body: await request.text(),
      headers: request.headers,
    });
    return Response.json({ path }, {
      headers: { "secllama-encryption": "sealed", "x-inner": "1" },
    });
  };
  const log: string[] = [];
  const controller = new AbortController();
  const fetch = client(server);
  const logger = makeLogger({ role: "proxy", level: "debug", write: (line) => log.push(line) });
  const page = await openPage({
    fetch,
    logger,
    chatUrl: new URL("/api/chat", server.gateway).href,
    outer: fetch.outer,
    signal: controller.signal,
    launch,
    ...(save ? { save } : {}),
  });
  const proxy = await startProxy({
    page,
    ...(gate ? { gate: { ...gate, browser: (request: Request) => page.admits(request) } } : {}),
    gateway: server.gateway,
    hostname: "127.0.0.1",
    port: 0,
    fetch,
    metadata: fetch.metadata,
    outer: fetch.outer,
    logger,
    signal: controller.signal,
  });
  try {
    await body({ server, plain, log, url: `http://127.0.0.1:${proxy.addr.port}` });
  } finally {
    controller.abort();
    await proxy.finished;
  }
}

export const post = (json: unknown, init: RequestInit = {}): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: typeof json === "string" ? json : JSON.stringify(json),
  ...init,
});

export const SEALED = [
  "/api/chat",
  "/api/generate",
  "/api/embed",
  "/api/embeddings",
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/responses",
  "/v1/responses/input_tokens",
  "/v1/rerank",
  "/v1/chat/completions/input_tokens",
  "/tokenize",
  "/detokenize",
  "/apply-template",
  "/v1/messages",
  "/v1/messages/count_tokens",
];

/** The head of the answer to a POST that fetch would not send. */
export async function rawPost(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<string> {
  const { hostname, port, host } = new URL(url);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  const all = {
    host,
    "content-type": "application/json",
    "content-length": String(body.length),
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  await conn.write(encoder.encode(`POST /api/chat HTTP/1.1\r\n${head}\r\n${body}`));
  let text = "";
  const buffer = new Uint8Array(4096);
  while (!text.includes("\r\n\r\n")) {
    const n = await conn.read(buffer);
    if (n === null) break;
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  return text.toLowerCase().replace("http/1.1", "HTTP/1.1");
}
