import assert from "node:assert/strict";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { problemResponse } from "../api/problems.ts";
import { ROUTES } from "../api/routes.ts";
import { utf8 } from "../bytes.ts";
import { settled } from "../../tests/support/patience.ts";
import { RUNNER_HEADER } from "../api/runner_name.ts";
import { SecLlamaError } from "../errors.ts";
import { sealedFetch } from "../client/mod.ts";
import { HOST_HEADER } from "../sealed/member.ts";
import { makeLogger, silentLogger } from "../log.ts";
import { makeProxyApp } from "./app.ts";
import { startProxy } from "./mod.ts";
import type { Page } from "./page.ts";
import { encoder, post, rawPost, withProxy } from "./testing.ts";

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

Deno.test("proxy: of a host's files one line says why, with its code; of what the gateway's log says, none", async () => {
  const [away, damaged, strange] = [
    new SecLlamaError("history-io", "the history's database cannot be read or written"),
    new SecLlamaError("key-corrupt", "/home/me/key.json is damaged"),
    new TypeError("a fault of ours"),
  ];
  let kept: Error = away;
  await withProxy(
    async ({ server, url, log }) => {
      const said = () =>
        log.splice(0).map((line) => JSON.parse(line)).filter(({ level }) => level === "error")
          .map(({ event, why }) => why === undefined ? event : `${event} ${why}`);
      const read = async (answer: Response) => await answer.text();
      const reply = async () => {
        const save = { parent: "1", model: "demo" };
        const asked = { conversation: "a".repeat(32), request: { model: "demo" }, save };
        const { id } = await (await fetch(`${url}/secllama/page/replies`, post(asked))).json();
        return await read(await fetch(`${url}/secllama/page/replies/${id}`));
      };
      server.answer = () => ({
        body: [encoder.encode('{"message":{"content":"a"},"done":true}\n')],
      });
      for (
        const [error, line] of [
          [away, "history-io the_history?s_database_cannot_be_read_or_written"],
          [damaged, "key-corrupt /home/me/key.json_is_damaged"],
          [strange, "proxy-error"],
        ] as const
      ) {
        kept = error;
        assert.doesNotMatch(await reply(), /home|of ours/);
        assert.deepEqual(said(), [line]);
      }
      for (const code of ["limits-failed", "audit-failed", "key-corrupt", "disk-full"] as const) {
        server.intercept = () => problemResponse(new SecLlamaError(code, "said here"));
        const plain = await fetch(`${url}/v1/messages`, post({ model: "demo", messages: [] }));
        assert.match(await read(plain), new RegExp(code));
        assert.match(await reply(), new RegExp(code));
        assert.deepEqual(said(), [], code);
      }
    },
    null,
    () => Promise.reject(kept),
  );
});

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

const COMPRESS = { gzip: gzipSync, "x-gzip": gzipSync, zstd: zstdCompressSync };
const send = (url: string, path: string, encoding: string, body: Uint8Array) =>
  fetch(`${url}${path}`, {
    method: "POST",
    body: body as BodyInit,
    headers: { "content-type": "application/json", "content-encoding": encoding },
  });

Deno.test("proxy: a body in gzip or zstd is read, one in anything else is refused with what to do", () =>
  withProxy(async ({ server, url }) => {
    const json = utf8(JSON.stringify({ model: "demo", input: "x".repeat(10_000) }));
    for (const [encoding, compress] of Object.entries(COMPRESS)) {
      const response = await send(url, "/v1/responses", encoding, compress(json));
      assert.equal(response.status, 200, await response.text());
      assert.deepEqual(server.opened.at(-1)!.body, json);
    }
    for (const encoding of ["br", "deflate", "gzip, gzip", "constructor"]) {
      const response = await send(url, "/v1/responses", encoding, json);
      assert.equal(response.status, 415);
      const { error, hint } = await response.json();
      assert.match(error.message, /this compression is not taken/);
      assert.match(hint, /gzip, as zstd, or without content-encoding/);
    }
    assert.equal(server.opened.length, 3);
  }));

Deno.test("proxy: what is not what its encoding says is 400, cut or not", () =>
  withProxy(async ({ server, url }) => {
    const json = utf8(JSON.stringify({ model: "demo", input: "x" }));
    for (const [encoding, compress] of Object.entries(COMPRESS)) {
      const whole = compress(json);
      for (const body of [json, whole.subarray(0, whole.length - 5), whole.subarray(0, 3)]) {
        const response = await send(url, "/v1/responses", encoding, body);
        assert.equal(response.status, 400, encoding);
        assert.match((await response.json()).error.message, /body is no |body must be JSON/);
      }
    }
    assert.equal(server.opened.length, 0);
  }));

Deno.test("proxy: a bomb is refused at the path's limit, in memory that the limit bounds", () =>
  withProxy(async ({ server, url }) => {
    const zeros = new Uint8Array(256 * 1024 * 1024);
    // Without a limit it is all there.
    assert.equal(gunzipSync(gzipSync(zeros.subarray(0, 1 << 20))).length, 1 << 20);
    for (const [encoding, compress] of Object.entries(COMPRESS)) {
      if (encoding === "x-gzip") continue;
      const bomb = compress(zeros);
      assert.ok(bomb.length < 1024 * 1024);
      for (const path of ["/v1/responses", "/api/show"]) {
        const before = Deno.memoryUsage().rss;
        const response = await send(url, path, encoding, bomb);
        assert.equal(response.status, 413, path);
        await response.body?.cancel();
        const grown = Deno.memoryUsage().rss - before;
        assert.ok(grown < 128 * 1024 * 1024, `${path}: ${grown} bytes`);
      }
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

Deno.test("proxy: what the listener refuses, a page that is let in can read, and no other", () =>
  withProxy(async ({ url }) => {
    const refusals = [
      [413, { "content-length": String(2 ** 40) }],
      [415, { "content-type": "text/plain" }],
      [400, { "content-length": "1, 2" }],
      [431, { "x-long": "x".repeat(64 << 10) }],
    ] as const;
    for (const [status, headers] of refusals) {
      const origin = "app://obsidian.md";
      const readable = await rawPost(url, { origin, ...headers }, "{}");
      assert.match(readable, new RegExp(`^HTTP/1.1 ${status} `));
      assert.match(readable, /\r\naccess-control-allow-origin: app:\/\/obsidian\.md\r\n/);
      assert.match(readable, /\r\nvary: origin\r\n/);
      for (
        const others of [
          {},
          { origin: "https://evil.example" },
          { origin: "null" },
          { origin: "app://x", "Origin": "https://evil.example" },
        ]
      ) {
        const answer = await rawPost(url, { ...others, ...headers }, "{}");
        assert.match(answer, /^HTTP\/1.1 4\d\d /);
        assert.doesNotMatch(answer, /access-control/);
      }
    }
    // A line of the body is none of the head.
    const body = "\r\norigin: app://obsidian.md\r\n\r\n";
    const answer = await rawPost(url, { "content-type": "text/plain" }, body);
    assert.doesNotMatch(answer, /access-control/);
  }));

Deno.test("proxy: its own answers come while its gateway says nothing, not even that it is not there", async () => {
  const app = makeProxyApp({
    gateway: "http://127.0.0.1:1",
    fetch: () => Promise.reject(new Error("not reached")),
    metadata: (_, init) =>
      new Promise((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal!.reason));
      }),
    outer: () => undefined,
    logger: silentLogger,
  });
  const answer = await settled(
    Promise.resolve(app.request("http://127.0.0.1/none")),
    "its answer",
  );
  assert.equal(answer.status, 404);
  assert.equal(answer.headers.get("secllama-isolation"), "unknown");
});

Deno.test("proxy: the host's doctor is there for who may use the page, and for no other page", async () => {
  const page = { answer: () => Promise.resolve(undefined) } as unknown as Page;
  const origin = "https://chat.example";
  const ask = async (options: { page?: Page }, headers: Record<string, string> = {}) => {
    let asked = 0;
    const app = makeProxyApp({
      gateway: "http://127.0.0.1:1",
      fetch: () => Promise.reject(new Error("not reached")),
      metadata: (path) => {
        if (`/${path}` === ROUTES.doctor.path) asked++;
        return Promise.resolve(new Response());
      },
      outer: () => undefined,
      logger: silentLogger,
      allowedOrigins: [origin],
      ...options,
    });
    const { status } = await app.request(ROUTES.doctor.path, post({}, { headers }));
    return [status, asked];
  };
  assert.deepEqual(await ask({ page }), [200, 1]);
  assert.deepEqual(await ask({}), [404, 0]);
  assert.deepEqual(await ask({ page }, { origin }), [403, 0]);
});

Deno.test("proxy: a host of a fleet that cannot be reached is one to ask again, in the words of each dialect", async () => {
  // The balancer reaches host a only, which knows b's model from before b went.
  const asked: string[] = [];
  const fetch = sealedFetch({
    gateway: "http://balancer.lan",
    credentials: () => {
      const [psk, hid, issuer] = [new Uint8Array(32), new Uint8Array(16), new Uint8Array(32)];
      return Promise.resolve({ psk, hid, issuer, pskId: `client.${"0".repeat(16)}.c` });
    },
    fetch: ((url: URL, { headers }: RequestInit) => {
      const name = new Headers(headers).get(RUNNER_HEADER)?.split(".")[0] ?? "";
      if (url.pathname === "/api/show" || url.pathname.startsWith("/v1/models/")) asked.push(name);
      const other = name === "a" ? `b.${"0b".repeat(16)}` : `a.${"0a".repeat(16)}`;
      const answer = { headers: { [HOST_HEADER]: other }, status: 421 };
      return Promise.resolve(Response.json({ code: "other-host" }, answer));
    }) as unknown as typeof globalThis.fetch,
  });
  const app = makeProxyApp({
    ...{ gateway: "http://balancer.lan", fetch, metadata: fetch.metadata, outer: fetch.outer },
    logger: silentLogger,
  });
  const show = await app.request("http://localhost/api/show", post('{"model":"mine"}'));
  assert.deepEqual([show.status, (await show.json()).code], [503, "busy"]);
  assert.deepEqual(asked.splice(0), ["", "a", "b", "a", "b"]);
  const model = await app.request("http://localhost/v1/models/mine");
  assert.ok(Number(model.headers.get("retry-after")) > 0);
  assert.equal(model.status, 503);
  assert.match((await model.json()).error.message, /does not answer now/);
});
