/** `secllama serve` as a user meets it: real processes, real sandbox, real model, the unmodified `ollama` client. */
import assert from "node:assert/strict";
import { Ollama } from "ollama";
import {
  bothWays,
  chat,
  cli,
  newHome,
  processesNaming,
  ROOT,
  secllama,
  startServe,
} from "../support/serve.ts";
import { until } from "../support/patience.ts";

const QUESTION = "What is network isolation?";

bothWays("serve: the whole path, with the unmodified Ollama client", async (t) => {
  const served = await startServe();
  try {
    const ollama = new Ollama({ host: served.proxyUrl });

    await t.step("the banner says what was measured", () => {
      assert.match(served.banner, /proxy +http:\/\/127\.0\.0\.1:\d+/);
      assert.match(served.banner, /gateway +http:\/\/127\.0\.0\.1:\d+ +\(sealed requests only\)/);
      assert.match(served.banner, /key +.*memory/);
      assert.match(served.banner, /model +demo:latest/);
      assert.match(served.banner, /isolation +strict/);
      assert.match(served.banner, /isolation +strict: \d+ layers enforced, its own attack held/);
      assert.ok(served.banner.trimEnd().split("\n").length <= 8, served.banner);
    });

    await t.step("chat", async () => {
      const answer = await ollama.chat({
        model: "demo",
        messages: [{ role: "user", content: QUESTION }],
      });
      assert.equal(answer.done, true);
      assert.equal(answer.done_reason, "stop");
      assert.ok(answer.eval_count > 5 && answer.eval_duration > 0 && answer.prompt_eval_count > 3);
      assert.match(answer.message.content, /network|socket/i);
    });

    await t.step("chat, streamed: the same text in many parts", async () => {
      const options = { temperature: 0 };
      const messages = [{ role: "user", content: QUESTION }];
      const whole = await ollama.chat({ model: "demo", messages, options });
      let text = "";
      let parts = 0;
      for await (
        const part of await ollama.chat({ model: "demo", messages, options, stream: true })
      ) {
        text += part.message.content;
        parts++;
      }
      assert.equal(text, whole.message.content);
      assert.ok(parts > 5, `${parts} parts`);
    });

    await t.step("generate", async () => {
      const answer = await ollama.generate({
        model: "demo",
        prompt: "Where are my keys?",
        options: { num_predict: 8 },
      });
      assert.equal(answer.done_reason, "length");
      assert.equal(answer.eval_count, 8);
    });

    await t.step("list, ps, show, version", async () => {
      assert.deepEqual((await ollama.list()).models.map((m) => m.name), ["demo:latest"]);
      const [running] = (await ollama.ps()).models;
      assert.equal(running!.name, "demo:latest");
      assert.ok(new Date(running!.expires_at).getTime() > Date.now());
      assert.equal((await ollama.show({ model: "demo" })).details.family, "llama");
      assert.match((await ollama.version()).version, /^\d+\.\d+\.\d+$/);
    });

    await t.step("abort frees the slots, long before their replies would end", async () => {
      // Every slot is taken by a reader that then goes away; a new request must not wait for them.
      const other = new Ollama({ host: served.proxyUrl });
      const long = (client: Ollama) =>
        client.generate({
          model: "demo",
          prompt: "numbers",
          raw: true,
          stream: true,
          format: { type: "array", items: { type: "integer" }, minItems: 400 },
          options: { num_predict: 3000 },
        });
      const streams = await Promise.all([ollama, ollama, ollama, other].map(long));
      const readers = streams.map((s) => s[Symbol.asyncIterator]());
      await Promise.all(readers.map((r) => r.next()));
      await assert.rejects(
        fetch(`${served.proxyUrl}/api/chat`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({
            model: "demo",
            messages: [{ role: "user", content: QUESTION }],
            stream: false,
          }),
          signal: AbortSignal.timeout(400),
        }),
        { name: "TimeoutError" },
        "positive control: with every slot taken a request waits",
      );
      // What reads on gets its whole reply; what is asked after the others left is answered before that.
      let whole = false;
      const kept = (async () => {
        while (!(await readers[3]!.next()).done) { /* it is read to its end */ }
        whole = true;
      })();
      ollama.abort();
      const answer = await chat(served.proxyUrl, QUESTION, { options: { num_predict: 1 } });
      assert.equal(answer.status, 200);
      assert.ok(!whole, "it waited for the end of a reply");
      other.abort();
      await kept.catch(() => {});
    });

    await t.step(
      "plaintext to the gateway is refused with 426 and a hint, and never runs",
      async () => {
        const refused = await chat(served.gatewayUrl, QUESTION);
        assert.equal(refused.status, 426);
        assert.match(String(refused.body["hint"]), /proxy/);
        assert.equal(refused.body.message, undefined);
        assert.equal(refused.headers.get("secllama-encryption"), "sealed");
        assert.equal(refused.headers.get("secllama-isolation"), "strict");
      },
    );

    await t.step("bad requests are named, and lose nothing", async () => {
      const missing = await chat(served.proxyUrl, QUESTION, { model: "nothing" });
      assert.equal(missing.status, 404);
      assert.match(missing.body.error!, /^model 'nothing' not found$/);
      for (
        const [field, more] of [
          ["temperature", { options: { temperature: "hot" } }],
          ["num_predict", { options: { num_predict: 1e30 } }],
          ["top_k", { options: { top_k: -4 } }],
          ["messages", { messages: "hello" }],
          ["keep_alive", { keep_alive: "soon" }],
        ] as const
      ) {
        const bad = await chat(served.proxyUrl, QUESTION, more);
        assert.equal(bad.status, 400, field);
        assert.match(JSON.stringify(bad.body), new RegExp(field));
      }
      const notJson = await fetch(`${served.proxyUrl}/api/chat`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{nope",
      });
      assert.equal(notJson.status, 400);
      await notJson.body?.cancel();
      const managed = await fetch(`${served.proxyUrl}/api/pull`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      assert.equal(managed.status, 403);
      assert.match((await managed.json()).hint, /secllama import/);
    });

    await t.step("a browser page of another origin gets nothing", async () => {
      for (const base of [served.proxyUrl, served.gatewayUrl]) {
        for (const headers of [{ origin: "http://evil.example" }, { origin: "null" }]) {
          const refused = await fetch(`${base}/api/tags`, { headers });
          assert.equal(refused.status, 403);
          await refused.body?.cancel();
        }
      }
      const text = await fetch(`${served.proxyUrl}/api/chat`, {
        method: "POST",
        headers: { "content-type": "text/plain" },
        body: JSON.stringify({ model: "demo", messages: [] }),
      });
      assert.equal(text.status, 415);
      await text.body?.cancel();
    });

    await t.step("a second serve on the same port says so", async () => {
      const { home, env } = await newHome();
      const port = new URL(served.gatewayUrl).port;
      const second = await cli([
        "serve",
        "--ephemeral",
        "--no-proxy",
        "--no-preload",
        `--port=${port}`,
      ], { env });
      await Deno.remove(home, { recursive: true });
      assert.equal(second.code, 5, second.stderr);
      assert.match(second.stderr, /error: .*port.*\nhint: /i);
    });

    await t.step(
      "a runner that is killed gives one clear error, and the next request a new runner",
      async () => {
        const runners = async () =>
          (await (await fetch(`${served.gatewayUrl}/api/security/status`)).json()).runners as {
            pid: number;
          }[];
        const [before] = await runners();
        const dying = fetch(`${served.proxyUrl}/api/generate`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          // A format that never ends keeps it at work.
          body: JSON.stringify({
            model: "demo",
            prompt: "numbers",
            stream: false,
            format: { type: "array", items: { type: "integer" }, minItems: 400 },
            options: { num_predict: 3000 },
          }),
        });
        // One that came after it has its first token: it is at work.
        const later = await ollama.generate({ model: "demo", prompt: "Once", stream: true });
        await later[Symbol.asyncIterator]().next();
        Deno.kill(before!.pid, "SIGKILL");
        const died = await dying;
        assert.equal(died.status, 502);
        const reason = await died.json();
        assert.equal(typeof reason.error, "string");
        assert.match(reason.code, /^(runner-died|truncated)$/);
        const again = await chat(served.proxyUrl, QUESTION);
        assert.equal(again.status, 200);
        const [after] = await runners();
        assert.notEqual(after!.pid, before!.pid);
      },
    );
  } finally {
    assert.equal((await served.stop()).code, 0, served.stderr());
    assert.deepEqual(await processesNaming(served.home), []);
  }
});

bothWays("serve: a full queue answers 503 in Ollama's words, and what runs goes on", async () => {
  const served = await startServe({ args: ["--ephemeral", "--parallel=1", "--max-queue=1"] });
  try {
    const body = {
      raw: true,
      format: { type: "array", items: { type: "integer" }, minItems: 60 },
      options: { num_predict: 400 },
    };
    const all = await Promise.all(
      Array.from({ length: 6 }, () => chat(served.proxyUrl, "numbers", body)),
    );
    const statuses = all.map((a) => a.status);
    assert.ok(statuses.filter((s) => s === 200).length >= 2, String(statuses));
    const busy = all.find((a) => a.status === 503);
    assert.ok(busy, String(statuses));
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
  } finally {
    Deno.umask(before);
    await served?.stop();
    await Deno.remove(home, { recursive: true });
  }
});

bothWays("doctor: measures, and fails when a protection is off", async () => {
  const { home, env } = await newHome();
  try {
    const good = await cli(["doctor", "--json"], { env });
    assert.equal(good.code, 0, good.stdout);
    const { verdict, checks } = JSON.parse(good.stdout);
    assert.equal(verdict, "holds");
    for (const name of ["attack on live listeners", "versions", "model store", "GPU"]) {
      assert.ok(checks.some((c: { name: string }) => c.name === name), name);
    }
    const attacks = checks.filter((c: { name: string }) => c.name.startsWith("attack: "));
    assert.ok(attacks.length >= 90, `${attacks.length} attacks`);
    for (const { name, expected, stoppedBy } of attacks) {
      assert.equal(expected, "refused", name);
      assert.ok(stoppedBy && stoppedBy !== "the kernel", `${name}: stopped by ${stoppedBy}`);
    }
    const off = await cli(["doctor"], { env: { ...env, SECLLAMA_ENABLE_SANDBOX: "false" } });
    assert.equal(off.code, 9);
    assert.match(off.stdout, /fails +setting: the sandbox/);
    const plan = await cli(["sandbox", "plan", "--json"], { env });
    assert.equal(JSON.parse(plan.stdout).level, "full");
    for (const os of ["macos", "windows"]) {
      const other = await cli(["sandbox", "plan", "--os", os, "--json"], { env });
      assert.equal(other.code, 0, other.stderr);
      assert.equal(JSON.parse(other.stdout).os, os);
    }
    assert.equal((await cli(["sandbox", "plan", "--os", "beos"], { env })).code, 2);
  } finally {
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

bothWays(
  "serve: SECLLAMA_ENABLE_ENCRYPTION=false serves plaintext, and everything says so",
  async () => {
    const served = await startServe({ env: { SECLLAMA_ENABLE_ENCRYPTION: "false" } });
    try {
      assert.match(served.banner, /PLAINTEXT IS SERVED/);
      assert.match(served.stderr(), /warning: encryption is off/);
      const plain = await chat(served.gatewayUrl, QUESTION);
      assert.equal(plain.status, 200);
      assert.equal(plain.headers.get("secllama-encryption"), "off");
      assert.ok(plain.body.message!.content.length > 10);
      const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
      assert.equal(status.encryption.enabled, false);
      assert.equal(status.encryption.plaintext_requests, "served");
      // The proxy still seals.
      assert.equal((await chat(served.proxyUrl, QUESTION)).status, 200);
    } finally {
      await served.stop();
    }
  },
);

for (
  const [variable, level] of [
    ["SECLLAMA_ENABLE_SANDBOX", "off"],
    ["SECLLAMA_STRICT_NETWORK_ISOLATION", "weakened"],
  ] as const
) {
  bothWays(
    `serve: ${variable}=false is an operator's choice that every report repeats`,
    async () => {
      const served = await startServe({ env: { [variable]: "false" } });
      try {
        assert.match(served.banner, new RegExp(`isolation +${level}`));
        assert.match(served.stderr(), new RegExp(`warning: .*${variable}=false`));
        const response = await fetch(`${served.gatewayUrl}/api/security/status`);
        assert.equal(response.headers.get("secllama-isolation"), level);
        const status = await response.json();
        assert.equal(status.isolation.level, level);
        assert.equal(status.runners[0].level, level);
        const seccomp = status.runners[0].layers.find((l: { layer: string }) =>
          l.layer === "seccomp"
        );
        assert.equal(seccomp.state, level === "off" ? "not planned" : "enforced");
        assert.equal((await chat(served.proxyUrl, QUESTION)).status, 200);
      } finally {
        await served.stop();
      }
    },
  );
}

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

bothWays("serve: malformed settings are errors, not weaker settings", async () => {
  const { home, env } = await newHome();
  try {
    for (
      const more of [
        { SECLLAMA_ENABLE_ENCRYPTION: "maybe" },
        { SECLLAMA_ENABLE_SANDBOX: "0" },
        { SECLLAMA_STRICT_NETWORK_ISOLATION: "" },
        { SECLLAMA_ENABLE_ENCRYPTON: "true" },
      ]
    ) {
      const refused = await cli(["serve", "--ephemeral"], {
        env: { ...env, ...more } as Record<string, string>,
      });
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, new RegExp(`^error: .*${Object.keys(more)[0]}`));
      assert.match(refused.stderr, /\nhint: /);
    }
    for (
      const args of [["serve", "--insecure"], ["serve", "extra"], ["sevre"], ["key"], [
        "serve",
        "--port=x",
      ]]
    ) {
      const refused = await cli(args, { env });
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, /^error: /);
      assert.match(refused.stderr, /\nhint: /);
    }
    const beyond = await cli(["serve", "--ephemeral", "--host=0.0.0.0"], { env });
    assert.equal(beyond.code, 9);
    assert.match(beyond.stderr, /not listening on 0\.0\.0\.0: .*memory only/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

bothWays("run: an answer on standard output, nothing else", async () => {
  const served = await startServe();
  const { home, env: own } = await newHome();
  const env = { ...own, HOME: served.home };
  try {
    const port = new URL(served.proxyUrl).port;
    const plain = await cli(["run", "demo", QUESTION, "--temperature=0", `--proxy-port=${port}`], {
      env,
    });
    assert.equal(plain.code, 0, plain.stderr);
    assert.match(plain.stdout, /network|socket/i);
    const piped = await cli(["run", "demo", "--temperature=0", `--proxy-port=${port}`], {
      env,
      stdin: QUESTION + "\n",
    });
    assert.equal(piped.stdout, plain.stdout);
    const json = await cli([
      "run",
      "demo",
      QUESTION,
      "--json",
      "--temperature=0",
      `--proxy-port=${port}`,
    ], { env });
    assert.equal(JSON.parse(json.stdout).message.content + "\n", plain.stdout);
    const both = await cli(["run", "demo", QUESTION, "--json", `--proxy-port=${port}`], {
      env,
      stdin: "one two three four five six\n",
    });
    const tokens = (answer: string) => JSON.parse(answer).prompt_eval_count;
    assert.ok(tokens(both.stdout) >= tokens(json.stdout) + 6, "a pipe's text comes with PROMPT");
    const empty = await cli(["run", "demo", `--proxy-port=${port}`], { env });
    assert.equal(empty.code, 2);
    assert.match(empty.stderr, /^error: the prompt is empty\n/);
    for (const command of [["run", "demo", "x"], ["ps"], ["wait"], ["stop", "demo"]]) {
      const zero = await cli([...command, "--proxy-port=0"], { env });
      assert.equal(zero.code, 2, command[0]);
      assert.match(zero.stderr, /names no proxy[^]*hint: .*--ready-fd/);
    }
    const keyless = await cli(["proxy", "--ephemeral", "--proxy-port=0"], { env });
    assert.equal(keyless.code, 2, keyless.stderr);
    const missing = await cli(["run", "nothing", "x", `--proxy-port=${port}`], { env });
    assert.notEqual(missing.code, 0);
    assert.match(missing.stderr, /error: .*not found/);
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});

bothWays("run: a conversation has commands, and goes on after an error", async () => {
  const { home, env } = await newHome();
  try {
    const script = new Deno.Command("script", {
      // Nothing listens on port 1.
      args: ["-qec", secllama(["run", "demo", "--proxy-port=1"]).join(" "), "/dev/null"],
      env,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const keys = script.stdin.getWriter();
    const type = (text: string) => keys.write(new TextEncoder().encode(text));
    let shown = "";
    // What has been shown by the time that each line is typed; the prompt is drawn again as one is.
    const lines: [after: RegExp, line: string][] = [
      [/>>> /, "/?\n"],
      [/\/clear[^]*>>> /, "/nothing\n"],
      [/there is no command[^]*>>> /, "Hello\n"],
      [/error: no proxy answers[^]*>>> /, "/bye\n"],
    ];
    for await (const chunk of script.stdout.pipeThrough(new TextDecoderStream())) {
      shown += chunk;
      if (lines.length > 0 && lines[0]![0].test(shown)) await type(lines.shift()![1]);
    }
    assert.equal((await script.status).code, 0, shown);
    assert.match(shown, /\/clear[^]*there is no command[^]*error: no proxy answers[^]*$/);
    await keys.close().catch(() => {});
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
