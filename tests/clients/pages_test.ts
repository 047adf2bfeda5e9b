/**
 * Web pages and other names at the proxy: nobody but those whom the operator named. Each attack first succeeds through a
 * relay that has no such rule, with real pages in Chromium and, for a name that was rebound, with the bytes that a browser sends.
 */
import assert from "node:assert/strict";
import { bundleForPage, hasChromium, inChromium, servePage } from "../library/testing.ts";
import { type Served, startServe } from "../support/serve.ts";

const QUESTION = "What is network isolation?";
const CLIENTS = ["openai", "anthropic", "ollama"];
/** What no page of another origin gets: it manages models, or is this user's own. */
const CLOSED = [
  "/api/delete",
  "/api/pull",
  "/api/create",
  "/api/copy",
  "/secllama/history",
  "/secllama/page/app.js",
];

/** What a server without our rules comes to: everything is passed on, and every page may read it. */
function open(proxy: () => string) {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const cors = {
      "access-control-allow-origin": "*",
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ?? "*",
      "access-control-allow-methods": "*",
      "access-control-expose-headers": "*",
    };
    if (request.method === "OPTIONS") return new Response(null, { headers: cors });
    const { pathname } = new URL(request.url);
    const answer = await fetch(proxy() + pathname, {
      method: request.method,
      headers: { "content-type": "application/json" },
      ...(request.body ? { body: await request.text() } : {}),
    });
    return new Response(answer.body, {
      status: answer.status,
      headers: { ...Object.fromEntries(answer.headers), ...cors },
    });
  });
}

type Answers = Record<string, Record<string, string>>;

/** Opens a page that asks each of the addresses, and returns what its clients got. */
async function fromPage(
  urls: Record<string, string>,
  start: (origin: string) => Promise<Served>,
): Promise<Answers> {
  const files: Record<string, string> = {
    "/": '<!doctype html><script type="module" src="/page.js"></script>',
    "/page.js": await bundleForPage("../clients/page_main.mjs"),
  };
  const page = servePage(() => files);
  let served: Served | undefined;
  const relay = open(() => served!.proxyUrl);
  try {
    served = await start(page.origin);
    const all = { ...urls, proxy: served.proxyUrl, open: `http://127.0.0.1:${relay.addr.port}` };
    files["/config"] = JSON.stringify({ urls: all, question: QUESTION });
    const result = await inChromium(`${page.origin}/`, page.result);
    assert.ok(result.startsWith("{"), result);
    return JSON.parse(result);
  } finally {
    await relay.shutdown();
    await served?.stop();
    await page.stop();
  }
}

Deno.test({
  name: "pages: three SDKs in Chromium, of a page that was named and of one that was not",
  ignore: !hasChromium(),
  async fn(t) {
    await t.step(
      "of a foreign page: through an open server all of it works, here none",
      async () => {
        const { open, proxy } = await fromPage({}, () => startServe());
        for (const client of CLIENTS) {
          assert.match(open![client]!, /network|socket|isolat/i, "the attack works elsewhere");
          assert.match(proxy![client]!, /^failed: /, client);
        }
        assert.match(proxy!["manage"]!, /^failed: /);
      },
    );
    await t.step("of a page that was named by its exact origin", async () => {
      const { proxy } = await fromPage(
        {},
        (origin) =>
          startServe({
            args: [
              "--ephemeral",
              "--allow-model-management",
              `--proxy-allow-origin=https://app.example,${origin}`,
            ],
          }),
      );
      for (const client of CLIENTS) assert.match(proxy![client]!, /network|socket|isolat/i, client);
      assert.match(proxy!["openai"]!, /^1 /, "the page can read that it was sealed");
      assert.match(proxy!["ollama"]!, /^demo:latest /);
      assert.match(proxy!["manage"]!, /^failed: /, "though model management is on");
    });
  },
});

/** Sends a head as it stands and returns the whole answer. */
async function raw(url: string, lines: readonly string[]): Promise<string> {
  const { hostname, port } = new URL(url);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  await conn.write(new TextEncoder().encode([...lines, "connection: close", "", ""].join("\r\n")));
  return await new Response(conn.readable).text();
}

Deno.test("pages: a name that was rebound to this machine, and names and origins that were given", async () => {
  const page = "https://app.example";
  const name = "host.docker.internal";
  const served = await startServe({
    args: ["--ephemeral", "--allow-model-management", "--proxy-allow-origin", page],
    env: { SECLLAMA_PROXY_ALLOWED_HOSTS: `${name},fd00::1` },
  });
  const relay = open(() => served.proxyUrl);
  try {
    const { port } = new URL(served.proxyUrl);
    const list = (host: string) => ["GET /api/tags HTTP/1.1", `host: ${host}`];
    const openUrl = `http://127.0.0.1:${relay.addr.port}`;
    assert.match(await raw(openUrl, list(`evil.example:${port}`)), /demo:latest/, "it works there");
    const status = async (lines: string[]) => (await raw(served.proxyUrl, lines)).slice(9, 12);
    for (
      const host of [
        "evil.example",
        `x.${name}`,
        `${name}.evil.example`,
        `evil-${name}`,
        "0.0.0.0",
        "[fd00::2]",
        "app.example",
      ]
    ) {
      assert.notEqual(await status(list(`${host}:${port}`)), "200", host);
      // As a page of that name would: its own origin.
      const own = [...list(`${host}:${port}`), `origin: http://${host}:${port}`];
      assert.notEqual(await status(own), "200", host);
    }
    for (const host of [name, name.toUpperCase(), "[fd00::1]", "localhost", "127.0.0.1"]) {
      assert.equal(await status(list(`${host}:${port}`)), "200", host);
    }

    const ask = (origin: string, method: string, path: string) => [
      `${method} ${path} HTTP/1.1`,
      "host: localhost",
      `origin: ${origin}`,
      "content-length: 0",
      "access-control-request-method: POST",
      "access-control-request-headers: authorization, content-type, x-stainless-lang",
      "access-control-request-private-network: true",
    ];
    const before = await raw(served.proxyUrl, ask(page, "OPTIONS", "/v1/chat/completions"));
    assert.match(before, /^HTTP\/1\.1 204 /);
    assert.match(before, /access-control-allow-origin: https:\/\/app\.example\r\n/);
    assert.match(before, /access-control-allow-methods: POST\r\n/);
    assert.match(before, /access-control-allow-headers: authorization, content-type, x-stain/);
    assert.match(before, /access-control-allow-private-network: true\r\n/);
    assert.match(before, /vary: Origin\r\n/);
    assert.doesNotMatch(before, /allow-credentials/);
    for (const path of ["/api/tags", "/api/ps", "/v1/models", "/api/security/status"]) {
      assert.equal(await status(ask(page, "GET", path)), "200", path);
    }
    for (const path of CLOSED) {
      for (const method of ["OPTIONS", "POST", "DELETE"]) {
        const refused = await raw(served.proxyUrl, ask(page, method, path));
        assert.match(refused, /^HTTP\/1\.1 403 [^]*origin-refused/, `${method} ${path}`);
        assert.doesNotMatch(refused, /access-control/);
      }
    }
    for (
      const origin of [
        "http://app.example",
        "https://app.example:444",
        "https://x.app.example",
        "https://app.example.evil.example",
        "https://evil.example",
        "http://localhost:3000",
        "null",
        "*",
      ]
    ) {
      for (const method of ["OPTIONS", "POST"]) {
        const refused = await raw(served.proxyUrl, ask(origin, method, "/api/chat"));
        assert.match(refused, /^HTTP\/1\.1 40[03] /, origin);
        assert.doesNotMatch(refused, /access-control/, origin);
      }
    }
    // Whoever starts it sees whom it lets in.
    assert.match(served.stderr(), /the proxy for web pages is open to https:\/\/app\.example /);
    assert.match(
      served.stderr(),
      /the proxy by other names is answering as host\.docker\.internal, fd00::1 /,
    );
  } finally {
    await relay.shutdown();
    await served.stop();
  }
});
