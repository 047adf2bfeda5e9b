/**
 * The client library as a user has it: the built package, the SDKs of npm unmodified, a real `serve`; in Deno, in Node and
 * in Chromium.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Recorder } from "../support/recorder.ts";
import { findIn } from "../support/memory.ts";
import { exercise } from "./exercise.mjs";
import {
  builtLibrary,
  bundleForPage,
  hasChromium,
  inChromium,
  type KnownGateway,
  nodeMajor,
  runNode,
  servePage,
  serveWithKey,
} from "./testing.ts";

const SUITES = [1, 2];
const QUESTION = "What is network isolation?";

// deno-lint-ignore no-explicit-any
function check(results: any[], { page = false } = {}): void {
  assert.deepEqual(results.map((result) => result.suite), SUITES);
  for (const { ollama, openai, anthropic, aborted, listed, codes } of results) {
    assert.match(ollama.whole, /network|socket|isolat/i);
    for (const client of [ollama, openai, anthropic]) {
      assert.equal(client.whole, ollama.whole);
      assert.equal(client.streamed, ollama.whole);
      assert.ok(client.parts > 3, `only ${client.parts} parts`);
    }
    assert.equal(ollama.embeddings, 2);
    assert.deepEqual(listed, page ? "gateway-unreachable" : ["demo:latest"]);
    assert.equal(openai.refused[1], "temperature");
    assert.equal(aborted, "AbortError");
    assert.deepEqual(codes, ["model-not-found", "bad-request", "bad-request"]);
  }
}

/** A recorder before the gateway: what the platform's client sent and got. */
async function recorded(served: KnownGateway, run: (gateway: string) => Promise<string>) {
  const recorder = new Recorder({
    hostname: "127.0.0.1",
    port: Number(new URL(served.gatewayUrl).port),
  });
  try {
    const answer = await run(recorder.url);
    assert.ok(recorder.bytes().length > 2_000);
    for (const secret of [QUESTION, answer, 'no-such-model","messages']) {
      assert.deepEqual(findIn(recorder.bytes(), secret), [], secret);
    }
  } finally {
    await recorder.close();
  }
}

const major = await nodeMajor();

Deno.test("library: Deno, Node and Chromium, three SDKs each", async (t) => {
  const folder = await builtLibrary();
  const page = servePage(() => files);
  let files: Record<string, string> = {};
  const served = await serveWithKey([`--allow-origin=${page.origin}`]);
  const config = (gateway: string) => ({
    options: { gateway, ...served.hex },
    suites: SUITES,
  });
  try {
    await t.step("Deno", () =>
      recorded(served, async (gateway) => {
        const { sealedFetch } = await import(`file://${join(folder, "deno.js")}`);
        const { credentials } = served;
        const results = await exercise(sealedFetch, {
          options: { gateway, credentials },
          suites: SUITES,
        });
        check(results);
        return results[0]!.ollama.whole;
      }));

    await t.step({
      name: `Node ${major}`,
      ignore: major === undefined,
      fn: () =>
        recorded(served, async (gateway) => {
          const input = { library: `file://${join(folder, "node.js")}`, config: config(gateway) };
          const { code, stdout, stderr } = await runNode("node_main.mjs", JSON.stringify(input));
          assert.equal(code, 0, stderr);
          assert.equal(stderr, "");
          check(JSON.parse(stdout));
          return JSON.parse(stdout)[0].ollama.whole;
        }),
    });

    await t.step({
      name: "Chromium",
      ignore: !hasChromium(),
      fn: () =>
        recorded(served, async (gateway) => {
          files = {
            "/": '<!doctype html><script type="module" src="/page.js"></script>',
            "/page.js": await bundleForPage("browser_main.mjs"),
            "/browser.js": await Deno.readTextFile(join(folder, "browser.js")),
            "/config": JSON.stringify({ library: "/browser.js", config: config(gateway) }),
          };
          const result = await inChromium(`${page.origin}/`, page.result);
          assert.ok(result.startsWith("["), result);
          // Model lists are not sealed, so they are closed to pages.
          check(JSON.parse(result), { page: true });
          return JSON.parse(result)[0].ollama.whole;
        }),
    });
    await t.step(
      "a page of another origin gets nowhere, nor one that is let in past the sealed endpoints",
      async () => {
        const ask = (path: string, origin: string | undefined, init: RequestInit = {}) =>
          fetch(served.gatewayUrl + path, {
            ...init,
            headers: { ...origin && { origin }, ...init.headers },
          }).then(async (response) => {
            const text = await response.text();
            return { status: response.status, headers: response.headers, text };
          });
        const preflight = {
          method: "OPTIONS",
          headers: {
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
          },
        };
        const json = {
          method: "POST",
          body: "{}",
          headers: { "content-type": "application/json" },
        };
        const allowed = await ask("/sealed/v1", page.origin, preflight);
        assert.equal(allowed.status, 204);
        assert.equal(allowed.headers.get("access-control-allow-origin"), page.origin);
        assert.equal(allowed.headers.get("access-control-allow-methods"), "POST");
        assert.match(allowed.headers.get("access-control-allow-headers")!, /^content-type\b/);
        assert.equal(allowed.headers.get("access-control-allow-credentials"), null);
        assert.equal(allowed.headers.get("vary"), "Origin");
        // Errors must be readable to the page, or it cannot tell why.
        const unsealed = await ask("/sealed/v1", page.origin, json);
        assert.equal(unsealed.status, 426);
        assert.equal(unsealed.headers.get("access-control-allow-origin"), page.origin);
        for (
          const path of ["/api/tags", "/api/version", "/api/chat", "/api/security/status", "/"]
        ) {
          assert.ok((await ask(path, undefined)).status < 500);
          for (const init of [{}, preflight]) {
            const refused = await ask(path, page.origin, init);
            assert.equal(refused.status, 403, path);
            assert.equal(JSON.parse(refused.text).code, "origin-refused");
            assert.equal(refused.headers.get("access-control-allow-origin"), null);
          }
        }
        const others = [
          page.origin.replace("http:", "https:"),
          page.origin + "0",
          "http://localhost:" + new URL(page.origin).port,
          "null",
          "http://evil.example",
        ];
        for (const origin of others) {
          for (const init of [preflight, json]) {
            const refused = await ask("/sealed/v1", origin, init);
            assert.equal(refused.status, 403, origin);
            assert.equal(refused.headers.get("access-control-allow-origin"), null);
          }
        }
        // fetch sets Host itself: by hand, as a rebound name would have a browser send it.
        const { hostname, port } = new URL(served.gatewayUrl);
        const conn = await Deno.connect({ hostname, port: Number(port) });
        await conn.write(new TextEncoder().encode(
          `OPTIONS /sealed/v1 HTTP/1.1\r\nhost: evil.example\r\norigin: ${page.origin}\r\n\r\n`,
        ));
        const rebound = await new Response(conn.readable).text();
        assert.match(rebound, /^HTTP\/1\.1 403 [^]*"host-refused"/);
      },
    );
  } finally {
    await served.stop();
    await page.stop();
  }
});

Deno.test({
  name: "library: without --allow-origin a page cannot use the gateway",
  ignore: !hasChromium(),
  async fn() {
    const folder = await builtLibrary();
    let files: Record<string, string> = {};
    const page = servePage(() => files);
    const served = await serveWithKey();
    try {
      const options = { gateway: served.gatewayUrl, ...served.hex };
      files = {
        "/": '<!doctype html><script type="module" src="/page.js"></script>',
        "/page.js": await bundleForPage("browser_main.mjs"),
        "/browser.js": await Deno.readTextFile(join(folder, "browser.js")),
        "/config": JSON.stringify({ library: "/browser.js", config: { options, suites: [1] } }),
      };
      const result = await inChromium(`${page.origin}/`, page.result);
      assert.match(result, /gateway-unreachable/);
    } finally {
      await served.stop();
      await page.stop();
    }
  },
});
