/**
 * Flaws that peers had on the network side, tried over the whole path: each test is named for the one it comes from. What
 * the listener alone refuses is in src/http/attack_test.ts, what the runner's API refuses in runner/api/bad_input_test.ts.
 */
import assert from "node:assert/strict";
import { equalConstantTime, utf8 } from "../../src/bytes.ts";
import { ROOT, type Served, startServe } from "../support/serve.ts";

const QUESTION = "What is network isolation?";

function post(
  served: Served,
  path: string,
  body: BodyInit,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
) {
  return fetch(served.proxyUrl + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
    ...(signal ? { signal } : {}),
  });
}

const ask = (content: string, more: Record<string, unknown> = {}) =>
  JSON.stringify({
    model: "demo",
    stream: false,
    messages: [{ role: "user", content }],
    options: { temperature: 0, num_predict: 8 },
    ...more,
  });

/** Bytes whose every read is counted. */
function counted(bytes: Uint8Array): { bytes: Uint8Array; reads: () => number } {
  let reads = 0;
  const proxy = new Proxy(bytes, {
    get(target, name) {
      if (typeof name === "string" && /^\d+$/.test(name)) reads++;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { bytes: proxy, reads: () => reads };
}

type Compare = (a: Uint8Array, b: Uint8Array) => boolean;

/** Finds a secret byte by byte from how many of its bytes a comparison looks at: what a stopwatch tells a patient attacker. */
function recover(secret: Uint8Array, compare: Compare): Uint8Array {
  const guess = new Uint8Array(secret.length);
  for (let at = 0; at < secret.length; at++) {
    let best = { byte: 0, score: -1 };
    for (let byte = 0; byte < 256; byte++) {
      guess[at] = byte;
      const watched = counted(secret);
      const score = compare(watched.bytes, guess) ? Infinity : watched.reads();
      if (score > best.score) best = { byte, score };
    }
    guess[at] = best.byte;
  }
  return guess;
}

Deno.test("CVE-2025-59425: a comparison does not tell how much of a secret was guessed", async () => {
  const secret = utf8("a secret of 24 bytes, or ");
  const early: Compare = (a, b) => a.length === b.length && a.every((_, at) => a[at] === b[at]);
  assert.deepEqual(recover(secret, early), secret, "the attack must work on an early exit");
  assert.notDeepEqual(recover(secret, equalConstantTime), secret);
  // And nothing that is secret is compared in any other way.
  const compared =
    /\b\w*(?:mac|commit|psk|secret|passphrase|proofKey)\b\)?\s*[!=]==?(?!=)\s*(?!\s|undefined|null|"|0)/i;
  assert.match("if (proof.mac === expected) {", compared, "the search must find what it looks for");
  for (const folder of ["sealed", "gateway", "client", "keys", "proxy"]) {
    for await (const { name } of Deno.readDir(`${ROOT}src/${folder}`)) {
      if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
      const text = await Deno.readTextFile(`${ROOT}src/${folder}/${name}`);
      for (const line of text.split("\n")) assert.doesNotMatch(line, compared, `${folder}/${name}`);
    }
  }
});

/** Local addresses and states of the IP sockets that exist where this process is. */
async function ipSockets(pid: number): Promise<string[]> {
  const found: string[] = [];
  for (const table of ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"]) {
    const text = await Deno.readTextFile(`/proc/${pid}/net/${table}`);
    found.push(...text.trim().split("\n").slice(1));
  }
  return found;
}

Deno.test("flaws of peers over the whole path", async (t) => {
  const served = await startServe({ args: ["--ephemeral", "--parallel=1", "--max-queue=2"] });
  try {
    await t.step("an open runner port: where the runner is there is no IP socket", async () => {
      const runner = Number(/runner (\d+)/.exec(served.banner)![1]);
      const port = Number(new URL(served.gatewayUrl).port).toString(16).toUpperCase().padStart(
        4,
        "0",
      );
      const gateway = await ipSockets(served.pid);
      assert.ok(gateway.some((one) => one.includes(`:${port} `)), "the gateway's must be found");
      assert.deepEqual(await ipSockets(runner), []);
    });

    await t.step(
      "CVE-2026-45339: another auth header, or a made-up address, buys no place in the queue",
      async () => {
        // It goes on until its client goes: one is at work, two wait, and whoever comes then is refused.
        const endless = ask(QUESTION, {
          stream: true,
          format: { type: "array", items: { type: "integer" }, minItems: 10_000 },
          options: { num_predict: -1 },
        });
        const COUNT = 8;
        /** How many are refused while the others are there; all that are expected to be are waited for. */
        const refused = async (headersOf: (i: number) => Record<string, string>) => {
          const leave = new AbortController();
          const enough = Promise.withResolvers<void>();
          let count = 0;
          const all = Array.from({ length: COUNT }, async (_, index) => {
            const answer = await post(served, "/api/chat", endless, headersOf(index), leave.signal);
            // Whoever is answered stays until it is told to go.
            if (answer.status === 503 && ++count === COUNT - 3) enough.resolve();
            await answer.text();
          });
          const over = Promise.allSettled(all);
          await Promise.race([enough.promise, over]);
          leave.abort();
          await over;
          return count;
        };
        assert.equal(
          await refused(() => ({})),
          COUNT - 3,
          "the limit must be met without the trick",
        );
        // All of them at once: whichever counted would part them.
        const trick = (index: number) => ({
          authorization: `Bearer key-${index}`,
          "x-api-key": `key-${index}`,
          cookie: `session=${index}`,
          "x-forwarded-for": `10.0.0.${index}`,
          forwarded: `for=10.0.0.${index}`,
        });
        assert.equal(await refused(trick), COUNT - 3);
      },
    );

    await t.step(
      "CVE-2024-28224: a page whose name was rebound to this machine, at both ports",
      async () => {
        for (const base of [served.proxyUrl, served.gatewayUrl]) {
          const { hostname, port } = new URL(base);
          using conn = await Deno.connect({ hostname, port: Number(port) });
          await conn.write(utf8(`GET /api/tags HTTP/1.1\r\nHost: evil.example:${port}\r\n\r\n`));
          const buffer = new Uint8Array(4096);
          const read = await conn.read(buffer);
          assert.match(new TextDecoder().decode(buffer.subarray(0, read ?? 0)), /^HTTP\/1\.1 403/);
        }
      },
    );

    await t.step("deep JSON, broken UTF-8, half a surrogate pair", async () => {
      const deep = `{"model":"demo","messages":${"[".repeat(200_000)}`;
      const closed = `{"model":"demo","x":${"[".repeat(100_000)}${
        "]".repeat(100_000)
      },"messages":[]}`;
      const broken = new Uint8Array([
        ...utf8('{"model":"demo","prompt":"'),
        0xff,
        0xfe,
        ...utf8('"}'),
      ]);
      for (const body of [deep, closed, broken, "", "null", "[]", '"demo"', "{"]) {
        const response = await post(served, "/api/generate", body);
        assert.equal(response.status, 400);
        assert.equal(typeof (await response.json()).error, "string");
      }
      const half = String
        .raw`{"model":"demo","stream":false,"prompt":"a\ud800b","options":{"num_predict":2}}`;
      assert.equal((await (await post(served, "/api/generate", half)).json()).done, true);
    });

    await t.step("ten megabytes of prompt: cut, or refused in Ollama's words", async () => {
      const prompt = "word ".repeat(2 * 1024 * 1024) + QUESTION;
      const cut = await (await post(served, "/api/chat", ask(prompt))).json();
      assert.equal(cut.done, true);
      const whole = await post(served, "/api/chat", ask(prompt, { truncate: false }));
      assert.equal(whole.status, 400);
      assert.match((await whole.json()).error, /^the input length exceeds the context length/);
    });

    await t.step("ten megabytes of picture: refused, and the next request is served", async () => {
      const images = ["QUJD".repeat(10 * 1024 * 1024 / 3)];
      const messages = [{ role: "user", content: "?", images }];
      const refused = await post(served, "/api/chat", ask("", { messages }));
      assert.equal(refused.status, 400);
      assert.match((await refused.json()).error, /does not support images/);
      assert.equal((await post(served, "/api/chat", ask(QUESTION))).status, 200);
    });

    await t.step("a body over every limit is 413, and costs nobody else anything", async () => {
      const response = await post(served, "/api/chat", new Uint8Array(70 * 1024 * 1024));
      assert.equal(response.status, 413);
      await response.body?.cancel();
      assert.equal((await post(served, "/api/chat", ask(QUESTION))).status, 200);
    });

    await t.step(
      "huge n, negative options, a bomb of a schema: 400 or a plain answer",
      async () => {
        const messages = [{ role: "user", content: QUESTION }];
        const bad: [path: string, body: Record<string, unknown>][] = [
          ["/v1/chat/completions", { messages, n: 1e9 }],
          ["/v1/completions", { prompt: QUESTION, n: 1e9, best_of: 1e9 }],
          ["/v1/chat/completions", { messages, top_logprobs: -1, logprobs: true }],
          ["/api/chat", { messages, options: { num_predict: -100 } }],
          ["/api/chat", { messages, options: { num_ctx: -1, num_batch: -1 } }],
          ["/api/generate", { prompt: QUESTION, context: [-1, 2 ** 40] }],
          ["/v1/embeddings", { input: [[-5]] }],
        ];
        for (const [path, body] of bad) {
          const response = await post(served, path, JSON.stringify({ model: "demo", ...body }));
          assert.equal(response.status, 400, `${path} ${JSON.stringify(body)}`);
          await response.body?.cancel();
        }
        const pattern = "^(([a-z])+.)+[A-Z]([a-z])+$";
        const bomb = ask(QUESTION, { format: { type: "string", pattern } });
        const answered = await post(served, "/api/chat", bomb);
        assert.ok([200, 400].includes(answered.status));
        await answered.body?.cancel();
      },
    );
  } finally {
    await served.stop();
  }
});
