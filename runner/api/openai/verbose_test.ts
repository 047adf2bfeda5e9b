import assert from "node:assert/strict";
import { readEvents, testApi } from "../testing.ts";

const BODY = { model: "demo", messages: [{ role: "user", content: "Why is é 😀 so?" }] };

Deno.test("verbose: the answer has the prompt's text as the model was given it, whole and in a stream's last choice", async () => {
  const path = "/v1/chat/completions";
  const whole = await (await testApi({ pieces: ["ok"] }).post(path, { ...BODY, verbose: true }))
    .json();
  assert.match(whole.__verbose.prompt, /Why is é 😀 so\?/);
  assert.equal(whole.__verbose.tokens_evaluated, whole.usage.prompt_tokens);
  assert.equal(whole.__verbose.tokens_predicted, whole.usage.completion_tokens);
  const stream = { ...BODY, verbose: true, stream: true };
  const events = await readEvents(await testApi({ pieces: ["ok"] }).post(path, stream));
  const told = events.filter(({ data }) => data !== "[DONE]").map(({ data }) => JSON.parse(data))
    .filter((chunk) => chunk.__verbose !== undefined);
  assert.deepEqual(told.map((chunk) => chunk.__verbose), [whole.__verbose]);
  const picture = { type: "image_url", image_url: { url: "data:image/png;base64,AQID" } };
  const content = [picture, picture, { type: "text", text: "What?" }];
  const sees = testApi({ pieces: ["ok"], info: { capabilities: ["completion", "vision"] } });
  const seen = await (await sees.post(path, {
    ...BODY,
    messages: [{ role: "user", content }],
    verbose: true,
  })).json();
  // The reply, the engine's token 7, is no part of it.
  assert.ok(seen.__verbose.prompt.includes("What?") && !seen.__verbose.prompt.includes("\x07"));
  for (const verbose of [false, undefined]) {
    const plain = await (await testApi({ pieces: ["ok"] }).post(path, { ...BODY, verbose })).json();
    assert.ok(!("__verbose" in plain));
  }
  const wrong = await testApi().post(path, { ...BODY, verbose: "yes" });
  assert.deepEqual([wrong.status, (await wrong.json()).error.param], [400, "verbose"]);
});
