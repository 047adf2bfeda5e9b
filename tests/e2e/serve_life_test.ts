/** `secllama serve` when there is too much to do, under a strict umask, and when it is ended; from source and compiled. */
import assert from "node:assert/strict";
import { until } from "../support/patience.ts";
import {
  bothWays,
  chat,
  cli,
  newHome,
  processesNaming,
  ROOT,
  startServe,
} from "../support/serve.ts";

const QUESTION = "What is network isolation?";

bothWays("serve: a full queue answers 503 in Ollama's words, and what runs goes on", async () => {
  const served = await startServe({ args: ["--ephemeral", "--parallel=1", "--max-queue=1"] });
  try {
    const body = {
      raw: true,
      format: { type: "array", items: { type: "integer" }, minItems: 60 },
      options: { num_predict: 400 },
    };
    // The proxy asks again for a while. A machine that is fast enough to serve so many in that time gets twice as many.
    let busy: Awaited<ReturnType<typeof chat>> | undefined;
    for (let count = 6; busy === undefined; count *= 2) {
      assert.ok(count < 1_000, "no request was ever refused");
      const all = await Promise.all(
        Array.from({ length: count }, () => chat(served.proxyUrl, "numbers", body)),
      );
      const statuses = all.map((a) => a.status);
      assert.ok(statuses.filter((s) => s === 200).length >= 2, String(statuses));
      busy = all.find((a) => a.status === 503);
    }
    assert.equal(
      busy.body.error,
      "server busy, please try again.  maximum pending requests exceeded",
    );
    assert.equal(busy.headers.get("retry-after"), "1");
  } finally {
    await served.stop();
  }
});

bothWays("serve: a model that was imported under a strict umask is served", async () => {
  const { home, env } = await newHome();
  const before = Deno.umask(0o077);
  let served;
  try {
    const imported = await cli(["import", `${ROOT}models/demo.gguf`, "--name", "mine"], { env });
    assert.equal(imported.code, 0, imported.stderr);
    served = await startServe({
      env: { SECLLAMA_DATA_DIR: `${home}/.local/share/secllama` },
      args: ["--ephemeral", "--model=mine"],
    });
    assert.match(served.banner, /model +mine:latest/);
    assert.equal((await chat(served.proxyUrl, QUESTION, { model: "mine" })).status, 200);
    const listed = await cli(["list", "--json"], { env });
    assert.match(listed.stdout, /mine:latest/);
    assert.equal((await served.stop()).code, 0);
    served = undefined;
    const left = [...Deno.readDirSync(`${home}/.local/share/secllama`)].map(({ name }) => name);
    assert.deepEqual(left.filter((name) => /-\d+\.json/.test(name)), [], "what said where it was");
  } finally {
    Deno.umask(before);
    await served?.stop();
    await Deno.remove(home, { recursive: true });
  }
});

bothWays("serve: SIGKILL of the gateway leaves no runner and no proxy", async () => {
  const served = await startServe();
  const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
  const runnerPid = status.runners[0].pid as number;
  Deno.statSync(`/proc/${runnerPid}`); // it runs, seen from here
  await served.killHard();
  await until(
    () => Deno.stat(`/proc/${runnerPid}`).then(() => false, () => true),
    "the runner is gone",
  );
  await until(
    async () => (await processesNaming(served.home)).length === 0,
    "nothing of its home runs",
  );
  await assert.rejects(fetch(served.proxyUrl));
});

bothWays("serve: Ctrl-C, which the proxy gets too, does not end the proxy first", async () => {
  const served = await startServe();
  try {
    const parent = new RegExp(`^PPid:\\t${served.pid}$`, "m");
    const proxies = (await processesNaming("--from-serve"))
      .filter((pid) => parent.test(Deno.readTextFileSync(`/proc/${pid}/status`)));
    assert.equal(proxies.length, 1);
    Deno.kill(proxies[0]!, "SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal((await chat(served.proxyUrl, QUESTION)).status, 200);
    Deno.kill(served.pid, "SIGINT");
  } finally {
    assert.equal((await served.stop()).code, 0, served.stderr());
  }
});
