/**
 * What clients do on the wire besides what any document says: curl as people paste it, Python's HTTP libraries, Java's
 * upgrade, old proxies' HTTP/1.0. All through the real proxy.
 */
import assert from "node:assert/strict";
import { VERSION } from "../../src/version.ts";
import { ROOT, type Served, startServe } from "../support/serve.ts";
import { HANG_MS } from "../support/patience.ts";

const QUESTION = "What is network isolation?";
const ASK = {
  model: "demo",
  messages: [{ role: "user", content: QUESTION }],
  options: { temperature: 0, num_predict: 12 },
  stream: false,
};

async function output(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { NO_PROXY: "*" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

const curl = (...args: string[]) => output("/usr/bin/curl", ["-sS", "-m", "60", ...args]);
const contentOf = (text: string) => JSON.parse(text).message.content as string;

/** Sends raw bytes on one connection and reads until `count` answers have come. */
async function raw(served: Served, request: string, count = 1): Promise<string> {
  const { hostname, port } = new URL(served.proxyUrl);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  const bytes = new TextEncoder().encode(request);
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  const timer = setTimeout(() => conn.close(), HANG_MS);
  while (text.split(/HTTP\/1\.1 [2-5]\d\d/).length - 1 < count || !/\r\n\r\n[^]*[}\n]/.test(text)) {
    const read = await conn.read(buffer);
    if (read === null) break;
    text += decoder.decode(buffer.subarray(0, read), { stream: true });
  }
  clearTimeout(timer);
  return text;
}

function rawPost(served: Served, path: string, body: string, headers: readonly string[] = []) {
  const { host } = new URL(served.proxyUrl);
  return [
    `POST ${path} HTTP/1.1`,
    `Host: ${host}`,
    `Content-Length: ${new TextEncoder().encode(body).length}`,
    ...headers,
    "",
    body,
  ].join("\r\n");
}

Deno.test("habits of clients on the wire", async (t) => {
  const served = await startServe();
  const url = served.proxyUrl;
  const body = JSON.stringify(ASK);
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    const text = contentOf(await curl(`${url}/api/chat`, "-d", body));
    assert.match(text, /network|socket|isolat/i);

    await t.step(
      "curl: without a type, with one, by HTTP/1.0, chunked, after 100 Continue",
      async () => {
        const json = ["-H", "content-type: application/json; charset=utf-8"];
        for (
          const args of [
            json,
            ["--http1.0"],
            ["-H", "transfer-encoding: chunked", ...json],
            ["-H", "expect: 100-continue", ...json],
            ["-H", "accept: */*", "-H", "authorization: Bearer anything", "-H", "x-api-key: k"],
            ["-H", "connection: close"],
            ["--http2"],
          ]
        ) {
          assert.equal(
            contentOf(await curl(`${url}/api/chat`, "-d", body, ...args)),
            text,
            `${args}`,
          );
        }
        assert.equal(contentOf(await curl(`${url}/api/chat/`, "-d", body)), text);
        assert.equal(contentOf(await curl(`${url}/api/chat?x=1`, "--json", body)), text);
      },
    );

    await t.step("curl: a body over a megabyte, which it announces first", async () => {
      const messages = [{ role: "user", content: "word ".repeat(400_000) + QUESTION }];
      await Deno.writeTextFile(`${dir}/large.json`, JSON.stringify({ ...ASK, messages }));
      const answer = JSON.parse(await curl(`${url}/api/chat`, "-d", `@${dir}/large.json`));
      assert.equal(answer.done, true);
    });

    await t.step("curl: a stream ends by itself, over HTTP/1.0 too", async () => {
      for (const args of [[], ["--http1.0"]]) {
        const stream = JSON.stringify({ ...ASK, stream: true });
        const lines = (await curl("-N", `${url}/api/chat`, "-d", stream, ...args)).trim().split(
          "\n",
        );
        assert.equal(lines.map(contentOf).join(""), text);
        assert.equal(JSON.parse(lines.at(-1)!).done, true);
      }
    });

    await t.step("probes: HEAD, OPTIONS, version, models, with and without a slash", async () => {
      const status = (...args: string[]) =>
        curl("-o", "/dev/null", "-w", "%{http_code}", ...args).then(Number);
      for (const path of ["/", "/api/tags", "/api/version", "/healthz"]) {
        assert.equal(await status("-I", url + path), 200, path);
      }
      for (const path of ["/api/version/", "/v1/models/", "/v1/models/demo", "/api/ps/"]) {
        assert.equal(await status(url + path), 200, path);
      }
      assert.match(
        await curl("-i", "-X", "OPTIONS", `${url}/api/chat`),
        /204[^]*allow: POST, OPTIONS/,
      );
      for (const path of ["/favicon.ico", "/v1", "/api/me", "/metrics", "/v1/audio/speech"]) {
        assert.equal(await status("-d", "{}", url + path), 404, path);
      }
      assert.equal(await output("/usr/bin/wget", ["-qO-", url]), "Ollama is running");
    });

    await t.step(
      "errors: in the shape of the path's clients, at the gateway's paths too",
      async () => {
        for (const name of ["demo", "demo:latest"]) {
          assert.equal(JSON.parse(await curl(`${url}/v1/models/${name}`)).id, name);
        }
        const missing = JSON.parse(await curl(`${url}/v1/models/none`));
        assert.equal(missing.error.type, "not_found_error");
        assert.match(missing.error.message, /^model .* not found/);
        assert.match(
          JSON.parse(await curl(`${url}/api/show`, "-d", '{"name":"none"}')).error,
          /not found/,
        );
        const none = JSON.stringify({ ...ASK, model: "none", max_tokens: 4 });
        assert.equal(
          JSON.parse(await curl(`${url}/v1/messages`, "-d", none)).error.type,
          "not_found_error",
        );
      },
    );

    await t.step("version: what clients that look for a minimum accept", async () => {
      const { version, secllama } = JSON.parse(await curl(`${url}/api/version`));
      const [major, minor] = version.split(".").map(Number);
      // VS Code's Copilot wants 0.6.4, Codex 0.13.4.
      assert.ok(major > 0 || minor >= 14, version);
      assert.equal(secllama, VERSION);
    });

    await t.step("models: one list, that OpenAI's and Anthropic's clients both read", async () => {
      const list = JSON.parse(
        await curl(`${url}/v1/models`, "-H", "anthropic-version: 2023-06-01"),
      );
      assert.equal(list.object, "list");
      assert.equal(list.has_more, false);
      const [model] = list.data;
      assert.equal(model.object, "model");
      assert.equal(model.type, "model");
      assert.ok(!Number.isNaN(Date.parse(model.created_at)));
    });

    await t.step("one connection: many requests, some at once, some in pieces", async () => {
      const three = rawPost(served, "/api/chat", body).repeat(3);
      const answers = await raw(served, three, 3);
      assert.equal(answers.match(/HTTP\/1\.1 200/g)!.length, 3);
      assert.ok(answers.split(text).length - 1 >= 2);
    });

    await t.step("Java's client: an upgrade to HTTP/2 is offered, and passed over", async () => {
      const offer = [
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
      ];
      const answer = await raw(served, rawPost(served, "/api/chat", body, offer));
      assert.match(answer, /^HTTP\/1\.1 200/);
      assert.ok(answer.includes(text));
    });

    await t.step("Python's libraries: httpx, requests, aiohttp", async () => {
      const out = await output("/usr/bin/python3", [`${ROOT}tests/clients/habits.py`, url]);
      const got = new Map<string, unknown>(out.trim().split("\n").map((line) => JSON.parse(line)));
      for (
        const name of [
          "httpx chat",
          "httpx stream",
          "openai chat",
          "anthropic",
          "requests slash",
          "requests stream",
          "requests chunked",
          "aiohttp stream",
        ]
      ) assert.equal(got.get(name), text, name);
      assert.deepEqual(got.get("openai stream"), [text, "[DONE]"]);
      assert.deepEqual(got.get("aiohttp together"), Array(6).fill(text));
      for (const name of ["httpx tags", "openai models", "aiohttp models"]) {
        assert.deepEqual(got.get(name), ["demo:latest"], name);
      }
      assert.equal(got.get("httpx show"), "llama");
      assert.deepEqual(got.get("requests version"), ["secllama", "version"]);
    });
  } finally {
    await served.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
