/**
 * `serve` with an engine of somebody else's behind the door, as clients see it. The engine is a fake (fake_llama_server.py): it says
 * the prompt's last tokens again. The real llama-server is in llama_server_test.ts.
 */
import assert from "node:assert/strict";
import { chat, cli, newHome, startServe } from "../support/serve.ts";
import { fakeEngine, withoutFake } from "./fake.ts";

const skipped = withoutFake();
if (skipped) console.error(`SKIP: no engine is put behind the door: ${skipped}`);
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, ignore: skipped !== undefined, fn });

test("an engine answers through the sealed path, and every report says whose it is", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-engine-test-" });
  const served = await startServe({ env: await fakeEngine(folder) });
  try {
    assert.match(served.banner, /isolation +engine/);
    assert.match(served.stderr(), /llama-server is a program of the operator's: no digest/);
    assert.match(served.stderr(), /llama-server has no second filter/);
    const answer = await chat(served.proxyUrl, "one two three");
    assert.equal(answer.status, 200, JSON.stringify(answer.body) + served.stderr());
    assert.equal(answer.headers.get("secllama-isolation"), "engine");
    const response = await fetch(`${served.gatewayUrl}/api/security/status`);
    const status = await response.json();
    assert.equal(status.isolation.level, "engine");
    const [runner] = status.runners;
    assert.equal(runner.level, "engine");
    assert.equal(runner.engine, "llama-server");
    assert.deepEqual(runner.problems, []);
    assert.equal(runner.attacks.held, true);
    for (const layer of ["engine in the sandbox", "engine confined", "stage 2", "private root"]) {
      const found = runner.layers.find((l: { layer: string }) => l.layer === layer);
      assert.equal(found?.state, "enforced", `${layer}: ${found?.observed}`);
    }
    // Tokens in, tokens out: what is said again is what was asked last.
    const raw = await fetch(`${served.proxyUrl}/api/generate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "demo",
        prompt: "the same again",
        stream: false,
        options: { num_predict: 3 },
      }),
    });
    const reply = await raw.json();
    assert.equal(raw.status, 200, JSON.stringify(reply));
    assert.equal(reply.done_reason, "length");
    assert.equal(reply.eval_count, 3);
    const prompt = reply.context.slice(0, reply.prompt_eval_count);
    assert.ok(prompt.length >= 3);
    assert.deepEqual(reply.context.slice(prompt.length), prompt.slice(-3).reverse());
    // The engine's end is its runner's, and the next request gets a new one.
    const seeded = (seed: number) =>
      fetch(`${served.proxyUrl}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "demo", messages: [{ role: "user", content: "x" }], seed }),
      });
    const died = await seeded(666);
    await died.body?.cancel();
    assert.equal(died.status >= 500, true, String(died.status));
    const again = await seeded(1);
    assert.equal(again.status, 200, await again.text());
  } finally {
    await served.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

test("an engine that ends in the middle of a streamed reply: each dialect says so, and the next request is answered", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-engine-test-" });
  const served = await startServe({ env: await fakeEngine(folder) });
  const messages = [{ role: "user", content: "one two three" }];
  const asks = [
    ["/api/chat", { messages, options: { seed: 667 } }],
    ["/api/generate", { prompt: "one two three", options: { seed: 667 } }],
    ["/v1/chat/completions", { messages, seed: 667 }],
    ["/v1/completions", { prompt: "one two three", seed: 667 }],
  ] as const;
  try {
    for (const [path, body] of asks) {
      const answer = await fetch(served.proxyUrl + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "demo", stream: true, ...body }),
      });
      assert.equal(answer.status, 200, path);
      // It is told by the runner itself, and sealed: the stream ends as one that ends.
      const lines = (await answer.text()).trimEnd().split("\n").filter((line) => line !== "");
      const last = JSON.parse(lines.at(-1)!.replace(/^data: /, ""));
      assert.equal(last.code, "runner-died", `${path}: ${lines.at(-1)}`);
      assert.match(JSON.stringify(last.error), /llama-server ended while it answered/);
      assert.equal(last.hint, "try again: the next request starts a new runner");
      assert.ok(lines.length > 1, `${path}: something came before it`);
    }
    assert.equal((await chat(served.proxyUrl, "one two three")).status, 200);
  } finally {
    await served.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.log("skipped: doctor beside an engine; SECLLAMA_FULL=1 runs it");
if (FULL) {
  test("doctor beside an engine judges it: what its level lacks is noted, what it has holds", async () => {
    const folder = await Deno.makeTempDir({ prefix: "secllama-engine-test-" });
    /** Of a serve with these settings: the code, the verdict, and each check of the serve. */
    const judged = async (env: Record<string, string>) => {
      const served = await startServe({ env });
      try {
        const at = new URL(served.proxyUrl);
        const done = await cli(["doctor", "--json", `--proxy-port=${at.port}`], {
          // Its own: at the port by default somebody else's SecLlama may listen, of which doctor knows nothing.
          env: { ...served.env, SECLLAMA_PORT: new URL(served.gatewayUrl).port },
        });
        const { verdict, serves, checks } = JSON.parse(done.stdout);
        assert.deepEqual(serves, [{ at: at.host, judged: true }], done.stdout);
        const own = (checks as { name: string; result: string; observed: string }[])
          .filter(({ name }) => name.startsWith(`serve at ${at.host}: `))
          .map(({ name, ...rest }) => ({ name: name.replace(/^.*?: /, ""), ...rest }));
        const unknown = JSON.stringify(
          checks.filter(({ result }: { result: string }) => result === "not run"),
        );
        return { code: done.code, verdict, unknown, checks: own };
      } finally {
        await served.stop();
      }
    };
    const of = (checks: { name: string; result: string }[], result: string) =>
      new Set(checks.filter((one) => one.result === result).map(({ name }) => name));
    try {
      const [own, engine] = [await judged({}), await judged(await fakeEngine(folder))];
      assert.deepEqual([own.code, own.verdict], [0, "holds"], own.unknown);
      assert.deepEqual([engine.code, engine.verdict], [0, "holds"], engine.unknown);
      // All that holds of the own engine holds of this one, but its level; what holds besides is said of it alone.
      assert.deepEqual(
        of(own.checks, "holds").difference(of(engine.checks, "holds")),
        new Set([
          "demo:latest: isolation",
        ]),
      );
      const more = [
        "demo:latest: layer: engine confined",
        "demo:latest: layer: engine in the sandbox",
      ];
      assert.deepEqual(
        [...of(engine.checks, "holds").difference(of(own.checks, "holds"))].sort(),
        more,
      );
      const said = engine.checks
        .filter(({ name, result }) => name === "demo:latest: isolation" && result === "note")
        .map(({ observed }) => observed);
      assert.equal(said[0], "engine");
      for (
        const lack of [/no digest is pinned/, /no second filter/, /Unix sockets/, /sees every/]
      ) {
        assert.ok(said.some((line) => lack.test(line)), `${lack}: ${said.join("\n")}`);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

test("an engine that ends while it loads is an error with its last words", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-engine-test-" });
  const env = await fakeEngine(folder);
  await Deno.writeTextFile(
    env["SECLLAMA_ENGINE_PATH"]!,
    "#!/usr/bin/python3 -SB\nimport sys\nsys.exit('no such model kind')\n",
  );
  const { home, env: userEnv } = await newHome();
  try {
    const { code, stderr } = await cli(
      ["serve", "--ephemeral", "--port", "0", "--proxy-port", "0"],
      { env: { ...userEnv, ...env } },
    );
    assert.notEqual(code, 0);
    assert.match(stderr, /llama-server ended while it loaded the model: no such model kind/);
  } finally {
    await Deno.remove(home, { recursive: true });
    await Deno.remove(folder, { recursive: true });
  }
});
