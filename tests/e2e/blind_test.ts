/**
 * The gateway is blind: every byte between proxy and gateway is recorded and the gateway's and the runner's memory are
 * searched while an exchange is held open. The same search finds prompt and reply in the runner, and in a gateway that was
 * sabotaged to open what it relays: so it can find them.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { findIn, findInMemory } from "../support/memory.ts";
import { Recorder } from "../support/recorder.ts";
import { chat, newHome, ROOT, secllama, startServe } from "../support/serve.ts";
import { until } from "../support/patience.ts";

interface Findings {
  reply: string;
  wire: { prompt: string[]; reply: string[]; bytes: number };
  gateway: { prompt: Set<string>; reply: Set<string> };
  runner: { prompt: Set<string>; reply: Set<string> };
}

/** Starts `secllama proxy` towards `gateway` with the same key and data folder. */
async function startProxy(gateway: string, key: string, dataDir: string) {
  const { home, env } = await newHome();
  const [program, ...args] = secllama(["proxy", `--gateway=${gateway}`, "--proxy-port=0"]);
  const child = new Deno.Command(program!, {
    args,
    env: { ...env, SECLLAMA_KEY: key, SECLLAMA_DATA_DIR: dataDir },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let out = "";
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  while (!out.includes("\n")) {
    const { done, value } = await reader.read();
    assert.ok(!done, "the proxy did not start");
    out += value;
  }
  return {
    url: /http:\/\/127\.0\.0\.1:\d+/.exec(out)![0],
    async stop() {
      child.kill("SIGTERM");
      await reader.cancel();
      await child.status;
      await Deno.remove(home, { recursive: true }).catch(() => {});
    },
  };
}

/** One exchange, recorded, its reply held back at the recorder while wire and memories are searched. */
async function search(entry: string | undefined, prompt: string, reply: string): Promise<Findings> {
  const key = "sl1:" + crypto.getRandomValues(new Uint8Array(32)).toBase64();
  const served = await startServe({
    env: { SECLLAMA_KEY: key },
    args: ["--no-proxy"],
    ...(entry ? { entry } : {}),
  });
  const recorder = new Recorder({
    hostname: "127.0.0.1",
    port: Number(new URL(served.gatewayUrl).port),
  });
  const dataDir = join(served.home, ".local/share/secllama");
  const proxy = await startProxy(recorder.url, key, dataDir);
  try {
    // A first exchange fetches the key document, so that only the second is held.
    await chat(proxy.url, "hello", { options: { num_predict: 1 } });
    const before = recorder.receivedBytes;
    recorder.hold();
    const held = chat(proxy.url, prompt, { options: { temperature: 0 } });
    // Held back is everything the gateway sends; a reply of this length is there when as many bytes have come.
    await until(
      () => recorder.receivedBytes >= before + reply.length,
      "the gateway has sent the reply",
    );
    const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
    const gateway = await findInMemory(served.pid, [prompt, reply]);
    const runner = await findInMemory(status.runners[0].pid, [prompt, reply]);
    recorder.release();
    const answer = await held;
    const wire = recorder.bytes();
    return {
      reply: answer.body.message!.content,
      wire: { prompt: findIn(wire, prompt), reply: findIn(wire, reply), bytes: wire.length },
      gateway: { prompt: gateway.get(prompt)!, reply: gateway.get(reply)! },
      runner: { prompt: runner.get(prompt)!, reply: runner.get(reply)! },
    };
  } finally {
    await proxy.stop();
    await recorder.close();
    await served.stop();
  }
}

/** Prints why, once, when it must be skipped. */
function cannotReadMemory(): boolean {
  if (Deno.build.os === "linux" && Deno.uid() === 0) return false;
  console.error("SKIP: reading another process's memory needs root on Linux");
  return true;
}

Deno.test({
  name:
    "blind: neither the wire nor the gateway holds prompt or reply; the runner, and a sabotaged gateway, do",
  ignore: cannotReadMemory(),
  fn: async (t) => {
    const mark = crypto.getRandomValues(new Uint8Array(32)).toHex();
    const prompt = `What is network isolation? ${mark}`;
    assert.ok(prompt.length >= 64);
    // Greedy answers are the same on another server: that is how the reply's bytes are known before.
    const teacher = await startServe();
    const learned =
      (await chat(teacher.proxyUrl, prompt, { options: { temperature: 0 } })).body.message!.content;
    await teacher.stop();
    assert.ok(new TextEncoder().encode(learned).length >= 64, learned);

    await t.step("the honest gateway", async () => {
      const found = await search(undefined, prompt, learned);
      assert.equal(found.reply, learned);
      assert.ok(found.wire.bytes > 1000);
      assert.deepEqual(found.wire.prompt, []);
      assert.deepEqual(found.wire.reply, []);
      assert.deepEqual([...found.gateway.prompt], []);
      assert.deepEqual([...found.gateway.reply], []);
      assert.ok(found.runner.prompt.has("UTF-8"), "positive control: the runner holds the prompt");
      assert.ok(found.runner.reply.size > 0, "positive control: the runner holds the reply");
    });

    await t.step("a gateway that opens what it relays is found out", async () => {
      const found = await search(join(ROOT, "tests/e2e/sabotaged_main.ts"), prompt, learned);
      assert.equal(found.reply, learned);
      assert.ok(found.gateway.prompt.size > 0 && found.gateway.reply.size > 0);
    });
  },
});
