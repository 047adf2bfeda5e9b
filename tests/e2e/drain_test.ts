/** What `serve` does with answers that are under way when it is told to end. */
import assert from "node:assert/strict";
import { bothWays, startServe } from "../support/serve.ts";

bothWays("serve: SIGTERM lets an answer that is under way reach its end", async () => {
  const served = await startServe({ env: { SECLLAMA_DRAIN_TIME: "5m" } });
  try {
    const response = await fetch(`${served.proxyUrl}/api/generate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "demo",
        prompt: "numbers",
        raw: true,
        format: { type: "array", items: { type: "integer" }, minItems: 400 },
        options: { num_predict: 600, temperature: 0 },
      }),
    });
    const lines = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = (await lines.read()).value ?? "";
    assert.ok(!text.includes('"done":true'), "it was over before it could be cut");
    const stopping = served.stop();
    for (;;) {
      const { done, value } = await lines.read();
      if (done) break;
      text += value;
    }
    const last = JSON.parse(text.trimEnd().split("\n").at(-1)!);
    assert.equal(last.done, true, text.slice(-300));
    assert.equal(last.eval_count, 600);
    const { code } = await stopping;
    assert.equal(code, 0, served.stderr());
    await assert.rejects(fetch(served.proxyUrl), "the proxy has ended");
  } finally {
    await served.stop();
  }
});
