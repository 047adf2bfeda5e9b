/**
 * A table: each path × each fault × each layer that can meet it. Whoever answers, the answer has the shape and the words of the
 * path's dialect. The shapes are written here a second time, from the dialects' own documents, and not taken from the renderer.
 *
 * The listener, proxy and gateway are the product's, over sockets; the runner's API answers in this process. Only what stands
 * behind the gateway is made up: a supervisor that loads nothing.
 */
import assert from "node:assert/strict";
import { testApi } from "../../runner/api/testing.ts";
import { ROUTES, routes, takes } from "../../src/api/routes.ts";
import { loadConfig } from "../../src/config/config.ts";
import { ERROR_TABLE, type ErrorCode, SecLlamaError } from "../../src/errors.ts";
import { makeGatewayApp } from "../../src/gateway/app.ts";
import type { GatewayContext } from "../../src/gateway/context.ts";
import { silentLogger } from "../../src/log.ts";
import {
  type Answer,
  BUSY,
  check,
  doors,
  END,
  type FAULTS,
  headFaults,
  HOST,
  JSON_TYPE,
  pathOf,
  posted,
  raw,
  wanted,
  withWorld,
} from "./error_table.ts";

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
