/** What a Modelfile says reaches the runner: an Ollama folder with every kind of layer, served as it is. */
import assert from "node:assert/strict";
import { makeAdapter, makeRandomGguf } from "../../runner/engine/testing_gguf.ts";
import { addModel } from "../support/ollama_folder.ts";
import { chat, startServe } from "../support/serve.ts";

const TEMPLATE = "{{ if .System }}[{{ .System }}] {{ end }}{{ .Prompt }} > {{ .Response }}";

Deno.test("modelfile: template, system, messages, parameters and adapter reach the runner", async (t) => {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  makeRandomGguf("tiny", "q8_0", `${dir}/model.gguf`);
  makeAdapter("tiny", 1, `${dir}/adapter.gguf`);
  makeAdapter("15M", 1, `${dir}/other.gguf`);
  const weights = await Deno.readFile(`${dir}/model.gguf`);
  const params = { temperature: 0, num_predict: 7, num_ctx: 512, mirostat: 0 };
  const ollama = `${dir}/ollama`;
  await addModel(ollama, "plain:latest", [["model", weights], ["params", params]]);
  await addModel(ollama, "whole:v1", [
    ["model", weights],
    ["template", TEMPLATE],
    ["system", "Be kind."],
    ["messages", [{ role: "user", content: "Hi" }, { role: "assistant", content: "Ho" }]],
    ["params", params],
  ]);
  await addModel(ollama, "tuned:latest", [
    ["model", weights],
    ["adapter", await Deno.readFile(`${dir}/adapter.gguf`)],
    ["params", params],
  ]);
  await addModel(ollama, "wrong:latest", [
    ["model", weights],
    ["adapter", await Deno.readFile(`${dir}/other.gguf`)],
  ]);
  // One file, named as two things.
  await addModel(ollama, "itself:latest", [["model", weights], ["adapter", weights]]);
  await addModel(ollama, "hot:latest", [["model", weights], ["params", { temperature: -1 }]]);
  await addModel(ollama, "seeing:latest", [["model", weights], ["projector", weights]]);
  await addModel(ollama, "guessed:latest", [["model", weights], ["draft", weights]]);
  await addModel(ollama, "misguessed:latest", [
    ["model", weights],
    ["draft", await Deno.readFile(`${dir}/adapter.gguf`)],
  ]);
  for (const [name, length] of [["long:latest", 150_000], ["huge:latest", 300_000]] as const) {
    await addModel(ollama, name, [["model", weights], ["system", "word ".repeat(length / 5)]]);
  }
  const served = await startServe({ env: { OLLAMA_MODELS: ollama, SECLLAMA_LOG_LEVEL: "info" } });
  const url = served.proxyUrl;
  const generate = async (model: string, more: Record<string, unknown>) => {
    const response = await fetch(`${url}/api/generate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, stream: false, ...more }),
    });
    return { status: response.status, body: await response.json() };
  };
  try {
    await t.step("the template, with system and messages in front", async () => {
      const { body } = await chat(url, "Who?", { model: "whole:v1" });
      const raw = await generate("whole:v1", {
        raw: true,
        prompt: "[Be kind.] Hi > HoWho? > ",
      });
      assert.equal(body.message!.content, raw.body.response);
      assert.equal(body["prompt_eval_count"], raw.body.prompt_eval_count);
      const asked = await chat(url, "Who?", {
        model: "whole:v1",
        messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "Who?" }],
      });
      assert.notEqual(asked.body["prompt_eval_count"], raw.body.prompt_eval_count);
    });
    await t.step("the parameters, and what a request says instead", async () => {
      const whole = await generate("plain", { prompt: "Once" });
      assert.equal(whole.body.eval_count, 7);
      assert.equal(
        (await generate("plain", { prompt: "Once" })).body.response,
        whole.body.response,
      );
      const longer = await generate("plain", { prompt: "Once", options: { num_predict: 9 } });
      assert.equal(longer.body.eval_count, 9);
      const { models } = await (await fetch(`${url}/api/ps`)).json();
      const plain = models.find((model: { name: string }) => model.name === "plain:latest");
      assert.equal(plain.context_length, 512);
    });
    await t.step("the adapter", async () => {
      const ask = { prompt: "Once upon a time", raw: true };
      const plain = await generate("plain", ask);
      const tuned = await generate("tuned", ask);
      assert.equal(tuned.status, 200);
      assert.notEqual(tuned.body.response, plain.body.response);
    });
    await t.step(
      "an adapter of another model, a parameter out of range: the load fails, by name",
      async () => {
        const wrong = await generate("wrong", { prompt: "Once" });
        assert.equal(wrong.status, 500);
        assert.match(
          wrong.body.error,
          /^model failed to load: its runner says: the adapter could not be loaded/,
        );
        const itself = await generate("itself", { prompt: "Once" });
        assert.match(
          itself.body.error,
          /^model failed to load: its runner says: the adapter could not be loaded/,
        );
        const hot = await generate("hot", { prompt: "Once" });
        assert.ok(hot.status >= 400);
        assert.match(
          hot.body.error,
          /^model failed to load: its runner says: parameters\.temperature is -1/,
        );
      },
    );
    await t.step("a projector that llama.cpp refuses costs the model its sight only", async () => {
      assert.equal((await generate("seeing", { prompt: "Once" })).status, 200);
      const refused = await generate("seeing", { prompt: "?", images: ["iVBORw0KGgo="] });
      assert.equal(refused.status, 400);
      assert.match(refused.body.error, /does not support images/);
    });
    await t.step("a draft model changes no word, and one that is none costs nothing", async () => {
      const options = { temperature: 0, num_predict: 120 };
      const said: string[] = [];
      for (const model of ["whole:v1", "guessed", "misguessed"]) {
        const { status, body } = await generate(model, { raw: true, prompt: "Once", options });
        assert.equal(status, 200, body.error);
        said.push(body.response);
      }
      assert.equal(said[1], said[0]);
      assert.equal(said[2], said[0]);
      assert.match(served.stderr(), /model-loaded.*guessed:latest.*"drafts":true/);
      assert.match(served.stderr(), /draft-refused.*misguessed/);
      assert.doesNotMatch(served.stderr(), /model-loaded.*misguessed.*drafts/);
    });
    await t.step(
      "a long system message is served, one that is too long is refused by its size",
      async () => {
        assert.equal(
          (await generate("long", { prompt: "Once", options: { num_predict: 2 } })).status,
          200,
        );
        const huge = await generate("huge", { prompt: "Once" });
        assert.equal(huge.status, 400);
        assert.match(huge.body.error, /have 30\d{4} bytes together, must have at most 196608/);
      },
    );
  } finally {
    await served.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
