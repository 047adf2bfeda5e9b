/**
 * Each fault that live_errors_test.ts cannot make a `serve` have, at each layer that can meet it: TLS, strangers, time, a
 * gateway that is gone, what a runner refuses. Whoever answers, the answer has the shape and the words of the path's dialect.
 *
 * The listener, proxy and gateway are the product's, over sockets; the runner's API answers in this process. Only what stands
 * behind the gateway is made up: a supervisor that loads nothing.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { testApi } from "../../runner/api/testing.ts";
import { type Route, ROUTES, routes } from "../../src/api/routes.ts";
import { listenerRules } from "../../src/api/listener_rules.ts";
import { loadConfig } from "../../src/config/config.ts";
import { ERROR_TABLE, type ErrorCode, isHostsFault, SecLlamaError } from "../../src/errors.ts";
import { makeGatewayApp } from "../../src/gateway/app.ts";
import type { GatewayContext } from "../../src/gateway/context.ts";
import { hardened } from "../../src/http/testing.ts";
import { silentLogger } from "../../src/log.ts";
import {
  type Answer,
  BUSY,
  check,
  END,
  HOST,
  JSON_TYPE,
  pathOf,
  posted,
  raw,
  wanted,
  withWorld,
} from "./error_table.ts";
import { CASES } from "./fault_cases.ts";
import { SEED } from "../support/seeds.ts";

Deno.test("errors: what a listener refuses, over TLS as without it", () =>
  withWorld(async (world) => {
    // The TLS side is the same listener: one path of each dialect shows it.
    const rows = [ROUTES.chat, ROUTES.openaiChat, ROUTES.anthropicMessages, ROUTES.sealedRequest];
    const found = ["badHead", "longHead", "host", "origin", "mediaType", "tooLarge"] as const;
    for (const row of rows) {
      for (const fault of [...found, "unknownMethod", "method"] as const) {
        for (const { request, text } of CASES[fault]!(row, "gateway")) {
          check(await raw(0, request, world.tls), row.path, wanted(fault, text), `tls: ${fault}`);
        }
      }
    }
  }));

Deno.test("errors: a path that is not served", () =>
  withWorld(async (world) => {
    const unknown = [
      ...["/api", "/api/me", "/API/chat", "/api/chat/x", "/x", "/tokenize/x", "/secllama/x"],
      ...["/v1", "/v1/files", "/v1/modelsx", "/v1/chat", "/v1/chat/completions/x"],
      ...["/v1/messages/batches", "/v1/messages/x/y", "/sealed", "/sealed/v2", "/sealed/v1/x"],
    ];
    for (const [door, port] of [["proxy", world.proxy], ["gateway", world.gateway]] as const) {
      for (const path of unknown) {
        for (
          const text of [
            `GET ${path} HTTP/1.1\r\n${HOST}${END}`,
            `GET ${path}/?a=/v1/x HTTP/1.1\r\n${HOST}${END}`,
            posted("POST", path, "{}"),
          ]
        ) {
          check(await raw(port, text), path, wanted("notFound", "not found"), door);
        }
      }
    }
  }));

Deno.test("errors: models that are not here, where their name is in the path or the query", () =>
  withWorld(async (world) => {
    for (const port of [world.proxy, world.gateway]) {
      const one = await raw(port, `GET /v1/models/Nothing HTTP/1.1\r\n${HOST}${END}`);
      check(one, "/v1/models/Nothing", wanted("noModel", "model 'Nothing' not found"), "one model");
    }
    const id = "local.0011223344556677";
    const key = `/sealed/v1/key?model=Nothing&id=${id}&c=${"0".repeat(32)}`;
    const missing = await raw(world.gateway, `GET ${key} HTTP/1.1\r\n${HOST}${END}`);
    check(missing, "/sealed/v1/key", wanted("noModel"), "gateway");
    assert.equal(JSON.parse(missing.text).detail, "model 'Nothing' not found");
  }));

/** What OpenAI calls our codes where it has a name for them, and Anthropic a status: written here a second time. */
const OPENAI_NAMES: { readonly [code in ErrorCode]?: string } = {
  "auth": "invalid_api_key",
  "token-refused": "invalid_api_key",
  "busy": "rate_limit_exceeded",
  "rate-limited": "rate_limit_exceeded",
  "context-too-long": "context_length_exceeded",
  "model-not-found": "model_not_found",
  "not-found": "unknown_url",
  "method-not-allowed": "method_not_supported",
  "unsupported-media-type": "unsupported_content_type",
  "too-large": "request_too_large",
  "internal": "server_error",
};
const ANTHROPIC_NAMES: { readonly [status: number]: string } = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  408: "timeout_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
};

Deno.test("errors: whatever the gateway or the runner's start says comes through the proxy in the path's dialect", () =>
  withWorld(async (world) => {
    for (const thrown of Object.keys(ERROR_TABLE) as ErrorCode[]) {
      const error = new SecLlamaError(thrown, "it is so", { hint: "do this" });
      world.fault = error;
      // What a setting, the file of counts or the audit log is to blame for is told to the host's log only.
      const code = isHostsFault(error) ? "misconfigured" : thrown;
      const [status] = ERROR_TABLE[code];
      const want = {
        code,
        status,
        openai: OPENAI_NAMES[code] ?? null,
        anthropic: ANTHROPIC_NAMES[status] ??
          (status < 500 ? "invalid_request_error" : "api_error"),
      };
      for (const row of [ROUTES.chat, ROUTES.openaiResponses, ROUTES.anthropicMessages]) {
        const answer = await raw(world.proxy, posted("POST", row.path, '{"model":"demo"}'));
        check(answer, row.path, want, "proxy");
        const { hint } = JSON.parse(answer.text);
        if (code === thrown && !OF_FILES.includes(code)) assert.equal(hint, "do this");
        else assert.doesNotMatch(answer.text, /it is so|do this/);
      }
    }
    world.fault = new SecLlamaError("busy", BUSY);
    for (const row of routes("inference")) {
      const answer = await raw(world.proxy, posted("POST", row.path, '{"model":"demo"}'));
      check(answer, row.path, wanted("busy", BUSY), "proxy");
    }
  }));

/** What is said of these always names a file. */
const OF_FILES: readonly ErrorCode[] = ["limits-failed", "audit-failed", "audit-broken"];

Deno.test("errors: no answer names a file of the host, whichever code says it and whatever system's path it is; the log does", () =>
  withWorld(async (world) => {
    const part = fc.constantFrom("home", "data", "audit.db", "clients.json", "a b", "Zoë", "x'y");
    const folder = fc.constantFrom(
      "/srv/private/",
      "C:\\private\\",
      "c:/private/",
      "\\\\box\\private\\",
    );
    const path = fc.tuple(folder, fc.array(part, { minLength: 1, maxLength: 3 }))
      .map(([start, parts]) => start + parts.join(start.includes("/") ? "/" : "\\"));
    const said = fc.constantFrom<(path: string) => string>(
      (path) => `${path} is damaged`,
      (path) => `the audit log ${path} cannot be used: the disk is full`,
      (path) => `could not read ${path}: permission was denied`,
      (path) => `no such file: ${path}`,
      (path) => `the file:${path}`,
      (path) => `what is "${path}", or (${path})`,
      (path) => `to move it away, run: mv "${path}" elsewhere`,
    );
    const codes: readonly ErrorCode[] = [
      ...OF_FILES,
      ...["key-io", "key-corrupt", "key-lost", "key-refused"] as const,
      ...["model-store-unreadable", "disk-full"] as const,
    ];
    const asks: readonly (readonly [row: Route, body: string | undefined])[] = [
      [ROUTES.chat, '{"model":"demo"}'],
      [ROUTES.openaiChat, '{"model":"demo"}'],
      [ROUTES.anthropicMessages, '{"model":"demo"}'],
      [ROUTES.ps, undefined],
    ];
    const ask = (port: number, [{ path }, body]: typeof asks[number]) =>
      raw(
        port,
        body === undefined ? `GET ${path} HTTP/1.1\r\n${HOST}${END}` : posted("POST", path, body),
      );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...codes),
        path,
        said,
        fc.boolean(),
        fc.constantFrom(...asks),
        async (code, path, say, inHint, asked) => {
          const fault = inHint
            ? new SecLlamaError(code, "it cannot be", { hint: say(path) })
            : new SecLlamaError(code, say(path), { hint: "as it was" });
          const isOfGateway = asked[0] === ROUTES.ps;
          if (isOfGateway) world.gatewayFault = fault;
          else world.fault = fault;
          for (const port of isOfGateway ? [world.gateway, world.proxy] : [world.proxy]) {
            const before = world.logged.length;
            const { text, status } = await ask(port, asked);
            assert.equal(status, ERROR_TABLE[code][0], text);
            assert.equal(JSON.parse(text).code, code);
            assert.doesNotMatch(text, /private|audit\.db|clients\.json|as it was/, text);
            assert.match(text, new RegExp(`at ${code}`));
            const why = world.logged.slice(before).map((line) => JSON.parse(line));
            const named = why.some((line) =>
              line.event === code && /private/.test(line.why + line.hint)
            );
            assert.ok(named, JSON.stringify(why));
          }
        },
      ),
      { seed: SEED, numRuns: 150 },
    );
    world.gatewayFault = undefined;
    world.fault = undefined;
    // What the request named, and what is no path.
    for (
      const [code, text] of [
        ["bad-request", "FROM /srv/private is no path that may be named here"],
        ["gateway-unreachable", "cannot reach https://host.example:11434"],
        ["model-failed", "hf.co/a/b made no embeddings, 1/2 of them"],
        ["sandbox-failed", "launcher: read /srv/secllama-runner: EACCES"],
        ["busy", "too many are asked at once / try again"],
      ] as const
    ) {
      world.fault = new SecLlamaError(code, text);
      const answer = await raw(world.proxy, posted("POST", ROUTES.openaiChat.path, "{}"));
      if (code !== "busy") assert.ok(answer.text.includes(text), answer.text);
      else assert.doesNotMatch(answer.text, /what this host keeps/);
    }
  }));

Deno.test("errors: strangers at a gateway for other machines, in the words of what they ask for", () =>
  withWorld(async (world) => {
    let asked = 0;
    for (const row of routes()) {
      for (const method of row.methods) {
        if (row.open || method === "HEAD") continue;
        const path = pathOf(row);
        const text = method === "GET"
          ? `GET ${path} HTTP/1.1\r\n${HOST}${END}`
          : posted(method, path, row.maxBytes > 0 ? "{}" : "");
        const answer = await raw(0, text, world.tls);
        check(answer, path, wanted("stranger", "this gateway answers paired clients only"), "tls");
        asked++;
      }
    }
    assert.ok(asked > 50, String(asked));
  }, { remote: true }));

/** What is found out by waiting, with limits that let nobody wait. */
Deno.test("errors: a body that comes too slowly", async () => {
  await using server = await hardened({
    rules: listenerRules(),
    limits: { bodyPauseMs: 1 },
    handler: async (request) => new Response(await request.text()),
  });
  for (const row of [ROUTES.chat, ROUTES.openaiChat, ROUTES.anthropicMessages]) {
    const text = `POST ${row.path} HTTP/1.1\r\n${HOST}${JSON_TYPE}Content-Length: 9\r\n${END}{`;
    const answer = await raw(server.port, text);
    check(answer, row.path, wanted("slow", "the body came too slowly"), "listener");
  }
});

Deno.test("errors: a gateway that does not answer", () =>
  withWorld(async (world) => {
    const { chat, openaiChat, anthropicMessages, tags, models, show } = ROUTES;
    // Each is tried again before it is given up.
    await Promise.all([chat, openaiChat, anthropicMessages, tags, models, show].map(async (row) => {
      const text = row.methods.includes("POST")
        ? posted("POST", row.path, '{"model":"demo"}')
        : `GET ${row.path} HTTP/1.1\r\n${HOST}${END}`;
      check(await raw(world.proxy, text), row.path, wanted("noGateway"), "proxy");
    }));
  }, { gateway: "gone" }));

Deno.test("errors: what the runner's API refuses, for every path", async () => {
  const answerOf = async (response: Response): Promise<Answer> => ({
    status: response.status,
    headers: response.headers,
    text: await response.text(),
  });
  const good = (path: string): Record<string, unknown> => ({
    model: "demo",
    stream: false,
    ...(/messages|chat|template/.test(path)
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
    if (
      /\/chat$|completions$|generate|responses$/.test(row.path) && row.path !== "/v1/completions"
    ) {
      const body = JSON.stringify({ ...good(row.path), logprobs: true, top_logprobs: 21 });
      const text = "top_logprobs must be between 0 and 20";
      check(await ask(body), row.path, wanted("tooMany", text), "runner");
    }
    // What counts tokens, ranks or makes embeddings asks the engine for no reply.
    if (/embed|rerank|input_tokens|count_tokens|tokenize|template/.test(row.path)) continue;
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
