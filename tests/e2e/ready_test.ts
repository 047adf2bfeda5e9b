/** `/readyz`, the count of refusals and what is told to who asks, on a host whose model policy goes wrong. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ModelStore } from "../../src/models/store.ts";
import { until } from "../support/patience.ts";
import { chat, cli, newHome, ROOT, startServe } from "../support/serve.ts";

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("readyz: without a policy that lets a model be loaded it says so, and so do answers and counts", async () => {
  const { home, env: base } = await newHome();
  const policy = join(home, "models-of-the-firm.json");
  const store = await ModelStore.open(home, { embeddedDemo: join(ROOT, "models/demo.gguf") });
  const { manifestDigest } = (await store.list())[0]!;
  const rules = (allow: unknown[]) =>
    Deno.writeTextFile(policy, JSON.stringify({ version: 1, allow }));
  const approve = () => rules([{ names: ["demo"], digests: [`sha256:${manifestDigest}`] }]);
  await approve();
  const port = freePort();
  const env = {
    ...base,
    SECLLAMA_KEY: `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`,
    SECLLAMA_DATA_DIR: join(home, "data"),
    SECLLAMA_METRICS_PORT: String(port),
    SECLLAMA_MODEL_POLICY: policy,
    SECLLAMA_REQUIRE_TOKEN: "true",
  };
  const served = await startServe({ args: [], env });
  const metrics = async () => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  /** The operator's reasons; the gateway says the same in one word, and the metrics in a number. */
  const ready = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    const atGateway = await fetch(`${served.gatewayUrl}/readyz`);
    assert.equal(atGateway.status, answer.status);
    await atGateway.body?.cancel();
    const isReady = answer.status === 200 ? 1 : 0;
    assert.match(await metrics(), new RegExp(`^secllama_ready ${isReady}$`, "m"));
    return (await answer.text()).trim();
  };
  /** What who asks the gateway for a key is told. */
  const asked = async () => {
    const query = `model=demo&id=local.${"0".repeat(16)}&c=${"0".repeat(32)}`;
    const answer = await fetch(`${served.gatewayUrl}/sealed/v1/key?${query}`);
    return { status: answer.status, text: await answer.text() };
  };
  const counted = async (code: string) => {
    const found = new RegExp(`^secllama_refused_total\\{code="${code}"\\} (\\d+)$`, "m");
    return Number(found.exec(await metrics())?.[1] ?? 0);
  };
  try {
    const key = (await cli(["token", "create", "app"], { env })).stdout.trim();
    const ask = async () => {
      const answer = await fetch(`${served.proxyUrl}/api/chat`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": key },
        body: JSON.stringify({
          model: "demo",
          stream: false,
          messages: [{ role: "user", content: "Hello" }],
        }),
      });
      return { status: answer.status, text: await answer.text() };
    };
    assert.equal((await ask()).status, 200);
    assert.equal(await ready(), "ready");

    await rules([]);
    assert.equal(await ready(), "models: model-not-approved");
    const refused = await ask();
    assert.equal(refused.status, 403);
    assert.match(refused.text, /model-not-approved/);
    assert.ok(await counted("model-not-approved") > 0);

    await Deno.remove(policy);
    assert.equal(await ready(), "models: bad-config");
    const wrong = await ask();
    assert.equal(wrong.status, 503, wrong.text);
    assert.match(wrong.text, /misconfigured/);
    assert.doesNotMatch(wrong.text, /models-of-the-firm|SECLLAMA_MODEL_POLICY/);
    assert.match(
      served.stderr(),
      /"event":"misconfigured","setting":"SECLLAMA_MODEL_POLICY","why":"the_model_policy_\S*models-of-the-firm.json_cannot_be_read"/,
    );
    assert.ok(await counted("misconfigured") > 0);

    assert.equal((await asked()).status, 401);
    assert.equal(await counted("auth"), 1);
    assert.equal((await fetch(`${served.gatewayUrl}/api/nothing`).then(drained)).status, 404);
    assert.equal(await counted("not-found"), 1);
    const hosts = await fetch(`${served.gatewayUrl}/api/tags`, { headers: { origin: "http://x" } });
    assert.equal((await drained(hosts)).status, 403);
    assert.equal(await counted("origin-refused"), 1);
    // The proxy is a process of its own, whose word comes a moment later.
    assert.equal((await chat(served.proxyUrl, "without a token")).status, 401);
    const bearer = { authorization: "Bearer slt_wrong" };
    const guess = await fetch(`${served.proxyUrl}/api/tags`, { headers: bearer });
    assert.equal((await drained(guess)).status, 401);
    await until(async () => await counted("token-refused") === 2, "both are counted");

    await approve();
    assert.equal(await ready(), "ready");
    assert.equal((await ask()).status, 200);
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});

async function drained(answer: Response): Promise<Response> {
  await answer.body?.cancel();
  return answer;
}
