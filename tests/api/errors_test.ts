/**
 * A table: each path × each fault × each layer that can meet it. Whoever answers, the answer has the shape and the words of the
 * path's dialect. The shapes are written here a second time, from the dialects' own documents, and not taken from the renderer.
 *
 * The listener, proxy and gateway are the product's, over sockets; the runner's API answers in this process. Only what stands
 * behind the gateway is made up: a supervisor that loads nothing.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { testApi } from "../../runner/api/testing.ts";
import { listenerRules } from "../../src/api/listener_rules.ts";
import { dialectOf, type Route, ROUTES, routes, takes } from "../../src/api/routes.ts";
import { sealedFetch } from "../../src/client/mod.ts";
import { loadConfig } from "../../src/config/config.ts";
import { ERROR_TABLE, type ErrorCode, SecLlamaError } from "../../src/errors.ts";
import { Activity } from "../../src/gateway/activity.ts";
import { makeGatewayApp } from "../../src/gateway/app.ts";
import type { GatewayContext } from "../../src/gateway/context.ts";
import { serveHardened } from "../../src/http/mod.ts";
import { Raw } from "../../src/http/testing.ts";
import { silentLogger } from "../../src/log.ts";
import { ModelStore } from "../../src/models/store.ts";
import { startProxy } from "../../src/proxy/mod.ts";
import { toPem } from "../../src/pem.ts";
import { issue, makeAuthority } from "../../src/tls/certificate.ts";

const BUSY = "server busy, please try again.  maximum pending requests exceeded";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What an answer must be. `text`: the message in the dialects that have one, without the hint. */
interface Wanted {
  readonly status: number;
  readonly code: ErrorCode;
  readonly openai: string | null;
  readonly anthropic: string;
  readonly text?: string;
}

const FAULTS = {
  notFound: ["not-found", 404, "unknown_url", "not_found_error"],
  method: ["method-not-allowed", 405, "method_not_supported", "invalid_request_error"],
  mediaType: ["unsupported-media-type", 415, "unsupported_content_type", "invalid_request_error"],
  tooLarge: ["too-large", 413, "request_too_large", "request_too_large"],
  badHead: ["bad-request", 400, null, "invalid_request_error"],
  longHead: ["bad-request", 431, null, "invalid_request_error"],
  host: ["host-refused", 403, null, "permission_error"],
  origin: ["origin-refused", 403, null, "permission_error"],
  badBody: ["bad-request", 400, null, "invalid_request_error"],
  noModelField: ["bad-request", 400, "missing_required_parameter", "invalid_request_error"],
  tooMany: ["bad-request", 400, "integer_above_max_value", "invalid_request_error"],
  noModel: ["model-not-found", 404, "model_not_found", "not_found_error"],
  plaintext: ["plaintext-refused", 426, null, "invalid_request_error"],
  management: ["management-refused", 403, null, "permission_error"],
  busy: ["busy", 503, "rate_limit_exceeded", "overloaded_error"],
  tooLong: ["context-too-long", 400, "context_length_exceeded", "invalid_request_error"],
} as const satisfies Record<string, readonly [ErrorCode, number, string | null, string]>;

function wanted(fault: keyof typeof FAULTS, text?: string): Wanted {
  const [code, status, openai, anthropic] = FAULTS[fault];
  return { code, status, openai, anthropic, ...(text === undefined ? {} : { text }) };
}

/** Judges by the dialect's own shape. */
function check(answer: Answer, path: string, want: Wanted, at: string): void {
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
function pathOf(row: Route): string {
  return row.path.replace("{model}", "none").replace("{digest}", `sha256:${"a".repeat(64)}`);
}

/** Sends bytes as they are and reads one answer. */
async function raw(port: number, text: string, open?: () => Promise<Deno.Conn>): Promise<Answer> {
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

function parse(text: string): Answer {
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

interface World {
  readonly proxy: number;
  readonly gateway: number;
  /** Connects with TLS to a listener with the gateway's app. */
  readonly tls: () => Promise<Deno.Conn>;
  /** Thrown by the proxy's sealing fetch instead of sealing; undefined: it seals. */
  fault: SecLlamaError | undefined;
}

async function withWorld(use: (world: World) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const models = await ModelStore.open(join(folder, "models"));
  const stop = new AbortController();
  const context = {
    config: loadConfig({ env: {} }),
    supervisor: {
      loaded: () => [],
      knowsPskId: () => Promise.resolve(true),
      proofKey: () => Promise.resolve(undefined),
      acquire: (name: string) => models.resolve(name),
      dropReplaced: () => Promise.resolve(),
      refreshIfChanged: () => Promise.resolve(),
      byRecipient: () => undefined,
    },
    models,
    logger: silentLogger,
    version: "0",
    keys: { backend: "memory", active: { kid: "0".repeat(16), createdMs: null }, warnings: [] },
    activity: new Activity(),
    remote: false,
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
  const gateway = await serveHardened(listener);
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
    logger: silentLogger,
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

const HOST = "Host: 127.0.0.1\r\n";
const END = "Connection: close\r\n\r\n";
const JSON_TYPE = "Content-Type: application/json\r\n";

function posted(method: string, path: string, body: string, fields = JSON_TYPE): string {
  return `${method} ${path} HTTP/1.1\r\n${HOST}${fields}Content-Length: ${body.length}\r\n${END}${body}`;
}

/** Where a row is served: the proxy has no sealed endpoints. */
function doors(world: World, row: Route): [string, number][] {
  const both: [string, number][] = [["proxy", world.proxy], ["gateway", world.gateway]];
  return row.kind === "sealed" ? both.slice(1) : both;
}

/** What any listener finds in a request's head or body, whatever the path: [fault, request]. */
function* headFaults(row: Route): Generator<[keyof typeof FAULTS, string]> {
  const path = pathOf(row);
  const method = row.methods.includes("POST") ? "POST" : row.methods[0]!;
  yield ["badHead", `${method} ${path} HTTP/1.1\r\n${HOST}Bad Name: x\r\n${END}`];
  yield ["badHead", `${method} ${path} HTTP/1.1\r\n${HOST}${HOST}${END}`];
  yield ["longHead", `${method} ${path} HTTP/1.1\r\n${HOST}X: ${"a".repeat(40_000)}`];
  yield ["host", `${method} ${path} HTTP/1.1\r\nHost: evil.example\r\n${END}`];
  yield ["origin", `${method} ${path} HTTP/1.1\r\n${HOST}Origin: http://evil.example\r\n${END}`];
  yield ["origin", `${method} ${path} HTTP/1.1\r\n${HOST}Sec-Fetch-Site: cross-site\r\n${END}`];
  if (method === "GET") return;
  yield ["mediaType", posted(method, path, "{}", "Content-Type: text/plain\r\n")];
  yield [
    "mediaType",
    posted(method, path, "{}", "Content-Type: multipart/form-data; boundary=x\r\n"),
  ];
  yield ["mediaType", posted(method, path, "{}", `${JSON_TYPE}Content-Encoding: gzip\r\n`)];
  if (row.body === "json") {
    yield ["mediaType", posted(method, path, "{}", "Content-Type: application/xml\r\n")];
  }
  if (row.maxBytes === Infinity) return;
  const most = row.maxBytes;
  yield [
    "tooLarge",
    `${method} ${path} HTTP/1.1\r\n${HOST}${JSON_TYPE}Content-Length: ${most + 1}\r\n${END}`,
  ];
}

Deno.test("errors: what a listener refuses, at proxy, gateway and TLS, for every path", () =>
  withWorld(async (world) => {
    let asked = 0;
    for (const row of routes()) {
      for (const [fault, text] of headFaults(row)) {
        for (const [door, port] of doors(world, row)) {
          check(await raw(port, text), pathOf(row), wanted(fault), `${door}: ${fault}`);
          asked++;
        }
      }
    }
    assert.ok(asked > 300, String(asked));
    // The TLS side is the same listener: one path of each dialect shows it.
    const rows = [ROUTES.chat, ROUTES.openaiChat, ROUTES.anthropicMessages, ROUTES.sealedRequest];
    for (const row of rows) {
      for (const [fault, text] of headFaults(row)) {
        check(await raw(0, text, world.tls), row.path, wanted(fault), `tls: ${fault}`);
      }
    }
  }));

Deno.test("errors: a path that is not served, and a method that a path has not", () =>
  withWorld(async (world) => {
    const unknown = ["/api/me", "/x", "/v1", "/v1/files", "/v1/messages/batches", "/v1/modelsx"];
    for (const [door, port] of [["proxy", world.proxy], ["gateway", world.gateway]] as const) {
      for (const path of unknown) {
        for (const text of [`GET ${path} HTTP/1.1\r\n${HOST}${END}`, posted("POST", path, "{}")]) {
          check(await raw(port, text), path, wanted("notFound", "not found"), door);
        }
      }
    }
    for (const path of ["/sealed/v2", "/sealed/v1/x"]) {
      const answer = await raw(world.gateway, `GET ${path} HTTP/1.1\r\n${HOST}${END}`);
      check(answer, path, wanted("notFound"), "gateway");
    }
    for (const row of routes()) {
      const path = pathOf(row);
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) {
        if (takes(row, method)) continue;
        const text = method === "GET"
          ? `GET ${path} HTTP/1.1\r\n${HOST}${END}`
          : posted(method, path, "{}");
        for (const [door, port] of doors(world, row)) {
          const answer = await raw(port, text);
          // Management that is off is off for any method.
          if (row.kind === "management") {
            check(answer, path, wanted("management"), door);
            continue;
          }
          check(answer, path, wanted("method"), `${door}: ${method}`);
          assert.equal(
            answer.headers.get("allow"),
            [...row.methods, "OPTIONS"].join(", "),
            `${door} ${path}`,
          );
        }
      }
    }
  }));

Deno.test("errors: bodies that are none, and models that are not here, in Ollama's words", () =>
  withWorld(async (world) => {
    const bodies: [keyof typeof FAULTS, body: string, text: string][] = [
      ["badBody", "", "missing request body"],
      ["badBody", "{", "the request body must be JSON"],
      ["badBody", "\xff", "the request body must be UTF-8"],
      ["badBody", "[1]", "the request body must be a JSON object"],
      ["badBody", "{}", "model is required"],
      ["badBody", '{"model":""}', "model is required"],
      ["badBody", '{"model":7}', "model is required"],
      ["noModel", '{"model":"Nothing"}', "model 'Nothing' not found"],
      ["noModel", '{"model":"library/none"}', "model 'library/none' not found"],
      ["noModel", '{"model":"../x"}', "model '../x' not found"],
      ["noModel", '{"model":"CON"}', "model 'CON' not found"],
    ];
    for (const row of routes("inference")) {
      for (const [fault, body, text] of bodies) {
        const answer = await raw(world.proxy, posted("POST", row.path, body));
        check(answer, row.path, wanted(fault, text), `proxy: ${body}`);
      }
      const plain = await raw(world.gateway, posted("POST", row.path, '{"model":"demo"}'));
      check(plain, row.path, wanted("plaintext"), "gateway");
      assert.equal(plain.headers.get("upgrade"), "secllama-sealed/1");
    }
    for (const port of [world.proxy, world.gateway]) {
      for (const [fault, body, text] of bodies.slice(0, 8)) {
        const answer = await raw(port, posted("POST", "/api/show", body));
        check(answer, "/api/show", wanted(fault, text), body);
      }
      const one = await raw(port, `GET /v1/models/Nothing HTTP/1.1\r\n${HOST}${END}`);
      check(one, "/v1/models/Nothing", wanted("noModel", "model 'Nothing' not found"), "one model");
    }
    const id = "local.0011223344556677";
    const key = `/sealed/v1/key?model=Nothing&id=${id}&c=${"0".repeat(32)}`;
    const missing = await raw(world.gateway, `GET ${key} HTTP/1.1\r\n${HOST}${END}`);
    check(missing, "/sealed/v1/key", wanted("noModel"), "gateway");
    assert.equal(JSON.parse(missing.text).detail, "model 'Nothing' not found");
  }));

Deno.test("errors: whatever the gateway or the runner's start says comes through the proxy in the path's dialect", () =>
  withWorld(async (world) => {
    for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
      world.fault = new SecLlamaError(code, "why", { hint: "do this" });
      for (const row of [ROUTES.chat, ROUTES.openaiResponses, ROUTES.anthropicMessages]) {
        const answer = await raw(world.proxy, posted("POST", row.path, '{"model":"demo"}'));
        const at = `${code} ${row.path} ${answer.text}`;
        assert.equal(answer.status, ERROR_TABLE[code][0], at);
        const { code: ours, hint } = JSON.parse(answer.text);
        assert.deepEqual([ours, hint], [code, "do this"], at);
      }
    }
    world.fault = new SecLlamaError("busy", BUSY);
    for (const row of routes("inference")) {
      const answer = await raw(world.proxy, posted("POST", row.path, '{"model":"demo"}'));
      check(answer, row.path, wanted("busy", BUSY), "proxy");
    }
  }));

Deno.test("errors: what the runner's API refuses, for every path", async () => {
  const answerOf = async (response: Response): Promise<Answer> => ({
    status: response.status,
    headers: response.headers,
    text: await response.text(),
  });
  const good = (path: string): Record<string, unknown> => ({
    model: "demo",
    stream: false,
    ...(/messages|chat/.test(path)
      ? { messages: [{ role: "user", content: "Hi" }], max_tokens: 8 }
      : /responses|embed/.test(path)
      ? { input: "Hi" }
      : { prompt: "Hi" }),
  });
  const failing = (code: ErrorCode, text: string) =>
    testApi({ pieces: [], failure: new SecLlamaError(code, text) });
  for (const row of routes("inference")) {
    const { post, api } = testApi();
    const ask = async (body: string | Uint8Array) => await answerOf(await post(row.path, body));
    const invalid = new Uint8Array([0x7b, 0xff, 0x7d]);
    check(await ask(""), row.path, wanted("badBody", "missing request body"), "runner");
    check(await ask("{"), row.path, wanted("badBody", "the request body must be JSON"), "runner");
    check(
      await ask(invalid),
      row.path,
      wanted("badBody", "the request body must be UTF-8"),
      "runner",
    );
    check(await ask("{}"), row.path, wanted("noModelField", "model is required"), "runner");
    const other = await ask(JSON.stringify({ ...good(row.path), model: "Other" }));
    check(other, row.path, wanted("noModel", "model 'Other' not found"), "runner");
    const got = await api.fetch(new Request(`http://runner${row.path}`), { client: "x" });
    check(await answerOf(got), row.path, wanted("method"), "runner");
    if (/chat|generate|responses$/.test(row.path)) {
      const body = JSON.stringify({ ...good(row.path), logprobs: true, top_logprobs: 21 });
      const text = "top_logprobs must be between 0 and 20";
      check(await ask(body), row.path, wanted("tooMany", text), "runner");
    }
    // What counts tokens or makes embeddings asks the engine for no reply.
    if (/embed|input_tokens|count_tokens/.test(row.path)) continue;
    const long = failing("context-too-long", "too long");
    check(
      await answerOf(await long.post(row.path, good(row.path))),
      row.path,
      wanted("tooLong", "too long"),
      "runner",
    );
    const busy = failing("busy", BUSY);
    check(
      await answerOf(await busy.post(row.path, good(row.path))),
      row.path,
      wanted("busy", BUSY),
      "runner",
    );
  }
  for (const path of ["/api/me", "/v1/files", "/v1/messages/batches"]) {
    const got = await testApi().api.fetch(new Request(`http://runner${path}`), { client: "x" });
    check(await answerOf(got), path, wanted("notFound"), "runner");
  }
});

Deno.test("errors: a digest that is none, in Ollama's words", async () => {
  const context = {
    config: loadConfig({ env: {} }),
    supervisor: { loaded: () => [] },
    models: {},
    logger: silentLogger,
    remote: false,
    management: { isOwn: () => true, maxBytes: 1000 },
  } as unknown as GatewayContext;
  const ends = { hostname: "127.0.0.1", port: 1 };
  const ask = async (path: string, body: string) => {
    const request = new Request(`http://127.0.0.1${path}`, { method: "POST", body });
    request.headers.set("content-type", "application/json");
    const response = await makeGatewayApp(context).fetch(request, { peer: ends, local: ends });
    const text = await response.text();
    check({ status: response.status, headers: response.headers, text }, path, {
      ...wanted("badBody", "invalid digest format"),
    }, "gateway");
  };
  const hex = "a".repeat(64);
  for (
    const digest of ["sha256:xyz", hex, `sha256:${hex.toUpperCase()}`, "sha512:aa", "%2e%2e%41"]
  ) {
    await ask(`/api/blobs/${digest}`, "x");
    await ask("/api/create", JSON.stringify({ model: "m", files: { "f": digest } }));
  }
});

Deno.test("limits: what is too large is refused by the first that reads it, and the client reads why", () =>
  withWorld(async (world) => {
    // Were it sealed, the answer would be this.
    world.fault = new SecLlamaError("internal", "it was read");
    for (const row of [ROUTES.chat, ROUTES.openaiChat, ROUTES.anthropicMessages]) {
      const url = `http://127.0.0.1:${world.proxy}${row.path}`;
      const headers = { "content-type": "application/json" };
      const response = await fetch(url, {
        method: "POST",
        headers,
        body: new Uint8Array(40 * 1024 * 1024).fill(0x20),
      });
      const text = await response.text();
      check(
        { status: response.status, headers: response.headers, text },
        row.path,
        wanted("tooLarge"),
        "40 MB",
      );
    }
    // A length that is not announced: the limit is kept while the body comes. At the limit it is taken.
    const chunk = `1000\r\n${" ".repeat(4096)}\r\n`;
    for (const [chunks, status] of [[16, 400], [17, 413]] as const) {
      for (const port of [world.proxy, world.gateway]) {
        const answer = await raw(
          port,
          `POST /api/show HTTP/1.1\r\n${HOST}${JSON_TYPE}Transfer-Encoding: chunked\r\n${END}` +
            `${chunk.repeat(chunks)}0\r\n\r\n`,
        );
        check(answer, "/api/show", wanted(status === 413 ? "tooLarge" : "badBody"), "chunked");
      }
    }
  }));
