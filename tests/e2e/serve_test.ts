/** `secllama serve` as a user meets it: real processes, real sandbox, real model, the unmodified `ollama` client. */
import assert from "node:assert/strict";
import { Ollama } from "ollama";
import { bothWays, chat, cli, newHome, processesNaming, startServe } from "../support/serve.ts";

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
      assert.match(
        served.banner,
        /isolation +strict: \d+ layers enforced, \d+ on the runner's word \([^)]+\), its own attack held/,
      );
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
}, "source");
