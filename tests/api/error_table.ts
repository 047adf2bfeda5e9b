/**
 * The faults, what an answer to each must be, and the processes that answer. The shapes are written here a second time, from the
 * dialects' own documents, and not taken from the renderer.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { listenerRules } from "../../src/api/listener_rules.ts";
import { dialectOf, type Route } from "../../src/api/routes.ts";
import { sealedFetch } from "../../src/client/mod.ts";
import { loadConfig } from "../../src/config/config.ts";
import type { ErrorCode, SecLlamaError } from "../../src/errors.ts";
import { Activity } from "../../src/gateway/activity.ts";
import { makeGatewayApp } from "../../src/gateway/app.ts";
import { noLimits } from "../../src/gateway/testing.ts";
import type { GatewayContext } from "../../src/gateway/context.ts";
import { serveHardened } from "../../src/http/mod.ts";
import { Raw } from "../../src/http/testing.ts";
import { makeLogger, silentLogger } from "../../src/log.ts";
import { ModelStore } from "../../src/models/store.ts";
import { startProxy } from "../../src/proxy/mod.ts";
import { toPem } from "../../src/pem.ts";
import { issue, makeAuthority } from "../../src/tls/certificate.ts";

export const BUSY = "server busy, please try again.  maximum pending requests exceeded";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What an answer must be. `text`: the message in the dialects that have one, without the hint. */
export interface Wanted {
  readonly status: number;
  readonly code: ErrorCode;
  readonly openai: string | null;
  readonly anthropic: string;
  readonly text?: string;
}

export const FAULTS = {
  notFound: ["not-found", 404, "unknown_url", "not_found_error"],
  method: ["method-not-allowed", 405, "method_not_supported", "invalid_request_error"],
  unknownMethod: ["bad-request", 501, null, "api_error"],
  mediaType: ["unsupported-media-type", 415, "unsupported_content_type", "invalid_request_error"],
  tooLarge: ["too-large", 413, "request_too_large", "request_too_large"],
  badHead: ["bad-request", 400, null, "invalid_request_error"],
  longHead: ["bad-request", 431, null, "invalid_request_error"],
  host: ["host-refused", 403, null, "permission_error"],
  origin: ["origin-refused", 403, null, "permission_error"],
  badBody: ["bad-request", 400, null, "invalid_request_error"],
  badChunks: ["bad-request", 400, null, "invalid_request_error"],
  noModelField: ["bad-request", 400, "missing_required_parameter", "invalid_request_error"],
  tooMany: ["bad-request", 400, "integer_above_max_value", "invalid_request_error"],
  noModel: ["model-not-found", 404, "model_not_found", "not_found_error"],
  plaintext: ["plaintext-refused", 426, null, "invalid_request_error"],
  management: ["management-refused", 403, null, "permission_error"],
  stranger: ["auth", 401, "invalid_api_key", "authentication_error"],
  slow: ["timeout", 408, null, "timeout_error"],
  noGateway: ["gateway-unreachable", 502, null, "api_error"],
  busy: ["busy", 503, "rate_limit_exceeded", "overloaded_error"],
  tooLong: ["context-too-long", 400, "context_length_exceeded", "invalid_request_error"],
} as const satisfies Record<string, readonly [ErrorCode, number, string | null, string]>;

export function wanted(fault: keyof typeof FAULTS, text?: string): Wanted {
  const [code, status, openai, anthropic] = FAULTS[fault];
  return { code, status, openai, anthropic, ...(text === undefined ? {} : { text }) };
}

/** Judges by the dialect's own shape. */
export function check(answer: Answer, path: string, want: Wanted, at: string): void {
  at = `${at} ${path}: ${answer.text}`;
  assert.equal(answer.status, want.status, at);
  const json = JSON.parse(answer.text);
  const type = answer.headers.get("content-type");
  const dialect = dialectOf(path);
  if (dialect === "sealed") {
    assert.equal(type, "application/problem+json", at);
    assert.equal(json.type, `urn:secllama:sealed:${want.code}`, at);
    assert.equal(json.status, want.status, at);
    return;
  }
  assert.equal(type, "application/json", at);
  assert.equal(json.code, want.code, at);
  if (want.status === 503) assert.equal(answer.headers.get("retry-after"), "1", at);
  const said = (text: string) => {
    assert.equal(typeof text, "string", at);
    assert.ok(text.length > 0, at);
    if (want.text !== undefined) {
      const whole = json.hint === undefined || dialect === "ollama"
        ? want.text
        : `${want.text} (${json.hint})`;
      assert.equal(text.replace(/^prompt is too long: /, ""), whole, at);
    }
  };
  switch (dialect) {
    case "ollama":
      assert.deepEqual(Object.keys(json).filter((key) => key !== "hint"), ["error", "code"], at);
      return said(json.error);
    case "openai":
      assert.deepEqual(Object.keys(json.error), ["message", "type", "param", "code"], at);
      assert.equal(json.error.code, want.openai, at);
      assert.match(json.error.type, /^[a-z_]+$/, at);
      return said(json.error.message);
    case "anthropic":
      assert.equal(json.type, "error", at);
      assert.deepEqual(Object.keys(json.error), ["type", "message"], at);
      assert.equal(json.error.type, want.anthropic, at);
      assert.match(json.request_id, /^req_/, at);
      assert.equal(answer.headers.get("request-id"), json.request_id, at);
      return said(json.error.message);
  }
}

/** A path that belongs to the row. */
export function pathOf(row: Route): string {
  return row.path.replace("{model}", "none").replace("{digest}", `sha256:${"a".repeat(64)}`)
    .replace("{id}", "a".repeat(32));
}

/** Sends bytes as they are and reads one answer. */
export async function raw(
  port: number,
  text: string,
  open?: () => Promise<Deno.Conn>,
): Promise<Answer> {
  if (!open) {
    using connection = await Raw.open(port);
    await connection.send(text).catch(() => {});
    await connection.end(10_000);
    return parse(connection.text);
  }
  using connection = await open();
  await connection.write(new TextEncoder().encode(text));
  let got = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  for (let n; (n = await connection.read(buffer).catch(() => null)) !== null;) {
    got += decoder.decode(buffer.subarray(0, n));
  }
  return parse(got);
}

export function parse(text: string): Answer {
  const [head, ...rest] = text.split("\r\n\r\n");
  const [line, ...fields] = head!.split("\r\n");
  const body = rest.join("\r\n\r\n");
  return {
    status: Number(line!.split(" ")[1]),
    headers: new Headers(
      fields.map((field) => field.split(/: (.*)/s).slice(0, 2) as [string, string]),
    ),
    text: body,
  };
}

export interface World {
  readonly proxy: number;
  readonly gateway: number;
  /** Connects with TLS to a listener with the gateway's app. */
  readonly tls: () => Promise<Deno.Conn>;
  /** Thrown by the proxy's sealing fetch instead of sealing; undefined: it seals. */
  fault: SecLlamaError | undefined;
  /** Thrown by what the gateway asks of its runners; undefined: it answers. */
  gatewayFault: SecLlamaError | undefined;
  /** Lines of the gateway and the proxy that are no news. */
  readonly logged: string[];
}

/**
 * Starts it all, and ends it.
 * @param as `remote`: the gateway is for other machines. `gateway`: "gone" before the first request comes.
 */
export async function withWorld(
  use: (world: World) => Promise<void>,
  as: { readonly remote?: boolean; readonly gateway?: "gone" } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const models = await ModelStore.open(join(folder, "models"));
  const stop = new AbortController();
  const logged: string[] = [];
  const logger = makeLogger({ role: "test", level: "error", write: (line) => logged.push(line) });
  const context = {
    config: loadConfig({ env: {} }),
    supervisor: {
      loaded: () => {
        if (world.gatewayFault) throw world.gatewayFault;
        return [];
      },
      keys: {
        knows: () => Promise.resolve(true),
        proofKey: () => Promise.resolve(undefined),
      },
      acquire: (name: string) => models.resolve(name),
      dropReplaced: () => Promise.resolve(),
      byRecipient: () => undefined,
    },
    models,
    logger,
    version: "0",
    keys: { backend: "memory", active: { kid: "0".repeat(16), createdMs: null }, warnings: [] },
    activity: new Activity(),
    limits: noLimits(),
    remote: as.remote ?? false,
  } as unknown as GatewayContext;
  const app = makeGatewayApp(context);
  const listener = {
    rules: listenerRules(),
    hostname: "127.0.0.1",
    port: 0,
    handler: (request: Request) => app.fetch(request),
    logger: silentLogger,
    signal: stop.signal,
  };
  const gone = new AbortController();
  const gateway = await serveHardened({
    ...listener,
    signal: as.gateway === "gone" ? gone.signal : stop.signal,
  });
  gone.abort();
  const url = `http://127.0.0.1:${gateway.addr.port}`;
  const authority = await makeAuthority(new Date());
  const authorityPem = toPem("CERTIFICATE", authority.certificate);
  const spki = new X509Certificate(authorityPem).publicKey.export({ type: "spki", format: "der" });
  const leaf = await issue(authority, new Uint8Array(spki), ["127.0.0.1"], new Date());
  const cert = toPem("CERTIFICATE", leaf.certificate);
  const overTls = await serveHardened({
    ...listener,
    tls: { cert, key: toPem("PRIVATE KEY", leaf.pkcs8) },
  });
  const pskId = "local.0011223344556677";
  const seal = sealedFetch({
    gateway: url,
    credentials: () => Promise.resolve({ psk: new Uint8Array(32), pskId, hid: new Uint8Array(16) }),
  });
  const world = {
    fault: undefined as SecLlamaError | undefined,
    gatewayFault: undefined as SecLlamaError | undefined,
    logged,
    gateway: gateway.addr.port,
    proxy: 0,
    tls: () =>
      Deno.connectTls({
        hostname: "127.0.0.1",
        port: overTls.addr.port,
        caCerts: [authorityPem],
      }),
  };
  const proxy = await startProxy({
    gateway: url,
    hostname: "127.0.0.1",
    port: 0,
    fetch: (input, init) => world.fault ? Promise.reject(world.fault) : seal(input, init),
    metadata: seal.metadata,
    outer: seal.outer,
    logger,
    signal: stop.signal,
  });
  world.proxy = proxy.addr.port;
  try {
    await use(world);
  } finally {
    stop.abort();
    await Promise.all([gateway.finished, overTls.finished, proxy.finished]);
    await Deno.remove(folder, { recursive: true });
  }
}

export const HOST = "Host: 127.0.0.1\r\n";

export const END = "Connection: close\r\n\r\n";

export const JSON_TYPE = "Content-Type: application/json\r\n";

export function posted(method: string, path: string, body: string, fields = JSON_TYPE): string {
  return `${method} ${path} HTTP/1.1\r\n${HOST}${fields}Content-Length: ${body.length}\r\n${END}${body}`;
}
