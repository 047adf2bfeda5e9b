/** HTTP as ordinary clients need it, and the ends of a connection's life. */
import assert from "node:assert/strict";
import { makeLogger } from "../log.ts";
import { serveHardened } from "./mod.ts";
import { ask, hardened, pause, Raw, testRules } from "./testing.ts";
import { settled } from "../../tests/support/patience.ts";

const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

Deno.test("listener: fetch, keep-alive, bodies both ways, headers", async () => {
  const server = await hardened({
    handler: async (request, info) => {
      assert.equal(info.peer.hostname, "127.0.0.1");
      const url = new URL(request.url);
      return Response.json({
        method: request.method,
        path: url.pathname + url.search,
        host: url.host,
        custom: request.headers.get("x-custom"),
        hop: request.headers.get("te"),
        body: await request.text(),
      }, { status: 201, headers: { "x-answer": "a, b" } });
    },
  });
  try {
    const base = `http://127.0.0.1:${server.port}`;
    for (let i = 0; i < 3; i++) {
      const response = await fetch(`${base}/a/b?c=%20d`, {
        method: "POST",
        body: "héllo".repeat(i * 20_000),
        headers: { "x-custom": "1", "content-type": "application/json" },
      });
      assert.equal(response.status, 201);
      assert.equal(response.headers.get("x-answer"), "a, b");
      assert.ok(response.headers.has("date"));
      assert.deepEqual(await response.json(), {
        method: "POST",
        path: "/a/b?c=%20d",
        host: `127.0.0.1:${server.port}`,
        custom: "1",
        hop: null,
        body: "héllo".repeat(i * 20_000),
      });
    }
    assert.equal(server.connections(), 1, "fetch could not reuse its connection");
  } finally {
    await server.stop();
  }
});

Deno.test("listener: HEAD, 204, 304, empty, HTTP/1.0, lengths", async () => {
  const server = await hardened({
    handler: (request) => {
      switch (new URL(request.url).pathname) {
        case "/204":
          return new Response(null, { status: 204 });
        case "/304":
          return new Response(null, { status: 304 });
        case "/empty":
          return new Response("");
        case "/stream":
          return new Response(ReadableStream.from(slowly("one", "two")));
        default:
          return new Response("hello", { headers: { "content-length": "5" } });
      }
    },
  });
  const get = async (path: string, version = "1.1", method = "GET") => {
    using raw = await Raw.open(server.port);
    const close = version === "1.1" ? "Connection: close\r\n" : "";
    await raw.send(`${method} ${path} HTTP/${version}\r\nHost: localhost\r\n${close}\r\n`);
    assert.ok(await raw.end());
    return raw.text.replace(/date: .*\r\n/, "").replace(/content-type: .*\r\n/, "");
  };
  try {
    const ok = "HTTP/1.1 200 OK\r\n";
    const close = "connection: close\r\n\r\n";
    assert.equal(await get("/"), `${ok}content-length: 5\r\n${close}hello`);
    assert.equal(await get("/", "1.1", "HEAD"), `${ok}content-length: 5\r\n${close}`);
    assert.equal(await get("/204"), `HTTP/1.1 204 No Content\r\n${close}`);
    assert.equal(await get("/304"), `HTTP/1.1 304 Not Modified\r\n${close}`);
    assert.equal(await get("/empty"), `${ok}content-length: 0\r\n${close}`);
    assert.equal(
      await get("/stream"),
      `${ok}transfer-encoding: chunked\r\n${close}3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n`,
    );
    // An HTTP/1.0 client knows no chunks: the end of the connection is the end of the body.
    assert.equal(await get("/stream", "1.0"), `${ok}${close}onetwo`);
  } finally {
    await server.stop();
  }
});

async function* slowly(...parts: string[]) {
  for (const part of parts) {
    await pause(30);
    yield new TextEncoder().encode(part);
  }
}

Deno.test("listener: a stream's head and chunks go out as they come", async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const server = await hardened({
    handler: () =>
      new Response(ReadableStream.from(async function* () {
        await gates[0]!.promise;
        yield new TextEncoder().encode("first");
        await gates[1]!.promise;
        yield new TextEncoder().encode("second");
      }())),
  });
  try {
    using raw = await Raw.open(server.port);
    await raw.send(GET);
    assert.ok(await raw.until(/\r\n\r\n/), "the head waited for the first chunk");
    assert.ok(!raw.text.includes("first"));
    gates[0]!.resolve();
    assert.ok(await raw.until(/first/), "the first chunk waited for the second");
    gates[1]!.resolve();
    assert.ok(await raw.until(/6\r\nsecond\r\n0\r\n\r\n$/));
  } finally {
    await server.stop();
  }
});

Deno.test("listener: requests in a row and pipelined are answered in order", async () => {
  const server = await hardened({
    handler: async (request) =>
      `${await request.text()}|${new URL(request.url).pathname}`.length > 99
        ? new Response("long")
        : new Response(`<${new URL(request.url).pathname}>`),
  });
  try {
    using raw = await Raw.open(server.port);
    const post = (path: string, body: string) =>
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    await raw.send(post("/1", "a") + GET + post("/2", "bb"));
    assert.ok(await raw.until(/<\/1>[^]*<\/>[^]*<\/2>$/));
    // A chunked body in pieces, with an extension and a trailer, then another request in the same packet.
    await raw.send(
      "POST /3 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nab",
    );
    await pause(20);
    await raw.send(`c\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n${post("/4", "")}`);
    assert.ok(await raw.until(/<\/3>[^]*<\/4>$/));
  } finally {
    await server.stop();
  }
});

Deno.test("listener: 100 Continue is sent when the handler wants the body, and only then", async () => {
  const server = await hardened({
    handler: async (request) =>
      new URL(request.url).pathname === "/no"
        ? new Response("no", { status: 403 })
        : new Response(await request.text()),
  });
  try {
    const head = (path: string) =>
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`;
    using yes = await Raw.open(server.port);
    await yes.send(head("/yes"));
    assert.ok(await yes.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/));
    await yes.send("hello");
    assert.ok(await yes.until(/200 OK[^]*hello$/));
    using no = await Raw.open(server.port);
    await no.send(head("/no"));
    assert.ok(await no.end());
    assert.match(no.text, /^HTTP\/1.1 403 /);
  } finally {
    await server.stop();
  }
});

Deno.test("listener: a handler that throws, and a stream that breaks", async () => {
  const lines: string[] = [];
  const server = await hardened({
    logger: makeLogger({ role: "test", level: "debug", write: (line) => lines.push(line) }),
    handler: (request) => {
      if (new URL(request.url).pathname === "/throw") throw new Error("secret detail");
      let n = 0;
      return new Response(
        new ReadableStream({
          async pull(controller) {
            await pause(10);
            if (n++ === 0) controller.enqueue(new TextEncoder().encode("part"));
            else controller.error(new Error("secret detail"));
          },
        }),
      );
    },
  });
  try {
    using thrown = await ask(server.port, "GET /throw HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.equal(thrown.status, 500);
    assert.match(thrown.text, /"error":"an internal error occurred"/);
    using broken = await ask(server.port, GET);
    assert.ok(await broken.end());
    // No last chunk: a client can tell that this is not the whole answer.
    assert.ok(broken.text.endsWith("\r\n\r\n4\r\npart\r\n"), broken.text);
    assert.ok(!thrown.text.includes("secret") && !lines.join().includes("secret"));
    assert.ok(lines.some((line) => line.includes("handler-failed")));
  } finally {
    await server.stop();
  }
});

Deno.test("listener: the handler's Content-Length must be true", async () => {
  const server = await hardened({
    handler: (request) =>
      new Response("12345", {
        headers: { "content-length": new URL(request.url).pathname.slice(1) },
      }),
  });
  try {
    for (const [length, body] of [["5", "12345"], ["4", ""], ["6", "12345"]]) {
      using raw = await Raw.open(server.port);
      await raw.send(`GET /${length} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      if (length === "5") assert.ok(await raw.until(/12345$/));
      else assert.ok(await raw.end(), `Content-Length ${length} left the connection open`);
      assert.equal(raw.text.split("\r\n\r\n")[1] ?? "", body);
    }
  } finally {
    await server.stop();
  }
});

Deno.test("listener: the signal drains: idle ends at once, work may end, the rest is cut", async () => {
  const controller = new AbortController();
  const release = Promise.withResolvers<void>();
  let aborted = 0;
  const server = await hardened({
    signal: controller.signal,
    limits: { drainMs: 3000 },
    handler: async (request) => {
      request.signal.addEventListener("abort", () => aborted++);
      if (new URL(request.url).pathname === "/hang") await new Promise(() => {});
      await release.promise;
      return new Response("done");
    },
  });
  using idle = await Raw.open(server.port);
  using working = await Raw.open(server.port);
  using hanging = await Raw.open(server.port);
  await working.send(GET);
  await hanging.send("GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await pause(50);
  let drained = false;
  const timer = setTimeout(() => drained = true, 2500); // before drainMs are over
  controller.abort();
  assert.ok(await idle.end(), "an idle connection outlived the signal");
  await assert.rejects(Raw.open(server.port), "it still listens");
  release.resolve();
  assert.ok(await working.until(/connection: close[^]*done$/));
  await settled(server.finished, "the end of the drain");
  clearTimeout(timer);
  assert.ok(drained, "what was under way was not waited for");
  assert.ok(await hanging.end());
  assert.equal(aborted, 1);
});

Deno.test("listener: a port in use and an address of another machine", async () => {
  const server = await hardened({ handler: () => new Response() });
  const options = {
    handler: () => new Response(),
    rules: testRules(),
    logger: makeLogger({ role: "test", level: "error" }),
    signal: new AbortController().signal,
  };
  try {
    await assert.rejects(
      serveHardened({ ...options, hostname: "127.0.0.1", port: server.port }),
      { code: "port-in-use", exitCode: 5, message: `port ${server.port} of 127.0.0.1 is in use` },
    );
    await assert.rejects(serveHardened({ ...options, hostname: "192.0.2.1", port: 0 }), {
      code: "address-unavailable",
    });
  } finally {
    await server.stop();
  }
});

Deno.test("listener: it listens on ::1, and Host may say so", async () => {
  let server;
  try {
    server = await hardened({ hostname: "::1", handler: () => new Response("six") });
  } catch {
    console.log("SKIP: no IPv6 loopback here");
    return;
  }
  try {
    assert.equal(await (await fetch(`http://[::1]:${server.port}/`)).text(), "six");
  } finally {
    await server.stop();
  }
});
