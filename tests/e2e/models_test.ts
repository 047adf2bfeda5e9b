/** The model commands beside a running serve, and models that the check lets through and the engine does not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readGgufHeader } from "../../src/models/gguf.ts";
import { makeRandomGguf } from "../../runner/engine/testing_gguf.ts";
import { VALUE } from "../../src/models/gguf_types.ts";
import { makeGguf } from "../../src/models/testing.ts";
import { ModelStore } from "../../src/models/store.ts";
import { chat, cli, newHome, startServe } from "../support/serve.ts";
import { settled } from "../support/patience.ts";
import { seeded } from "../support/seeds.ts";

const MUTANTS = Deno.env.get("SECLLAMA_FULL") === "1" ? 100 : 8;
const DEMO = new URL("../../models/demo.gguf", import.meta.url);

Deno.test("ps and stop: what runs, and that nothing runs", async () => {
  const { home, env: own } = await newHome();
  const served = await startServe({ args: ["--ephemeral"], env: { SECLLAMA_KEEP_ALIVE: "10m" } });
  const env = { ...own, HOME: served.home };
  try {
    const port = `--proxy-port=${new URL(served.proxyUrl).port}`;
    const run = (...words: string[]) => cli([...words, port], { env });
    const listed = await run("ps");
    assert.equal(listed.code, 0, listed.stderr);
    assert.match(listed.stdout, /^NAME .*\ndemo:latest +[0-9a-f]{12} +.*(9|10) minutes from now$/m);
    const json = JSON.parse((await run("ps", "--json")).stdout);
    assert.equal(json.models[0].name, "demo:latest");

    assert.equal((await run("stop", "DEMO")).stdout, "stopped demo:latest\n");
    assert.deepEqual(JSON.parse((await run("ps", "--json")).stdout), { models: [] });
    const again = await run("stop", "demo");
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^error: model "demo:latest" is not loaded\nhint: .*secllama ps$/m);
    const models = await (await fetch(`${served.gatewayUrl}/api/ps`)).json();
    assert.deepEqual(models, { models: [] }, "stop does not load what is not loaded");

    for (const words of [["ps"], ["stop", "demo"]]) {
      const none = await cli([...words, "--proxy-port=1"], { env });
      assert.equal(none.code, 5, none.stderr);
      assert.match(
        none.stderr,
        /^error: no proxy answers on 127\.0\.0\.1:1\nhint: .*secllama serve/m,
      );
    }
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("a model that the engine cannot load says so, and the gateway goes on", async (t) => {
  const { home } = await newHome();
  const dataDir = join(home, "data");
  const withData = { SECLLAMA_DATA_DIR: dataDir };
  const served = await startServe({ args: ["--ephemeral", "--no-preload"], env: withData });
  const store = await ModelStore.open(join(dataDir, "models"), {
    embeddedDemo: DEMO.pathname,
  });
  const fine = async () => {
    const { status } = await chat(served.proxyUrl, "hi", { options: { num_predict: 1 } });
    assert.equal(status, 200);
  };
  try {
    await t.step("well-formed, and no model inside", async () => {
      const file = join(home, "hollow.gguf");
      await Deno.writeFile(file, makeGguf());
      await store.importGguf(file, "hollow");
      const { status, body } = await chat(served.proxyUrl, "hi", { model: "hollow" });
      assert.equal(status, 500);
      assert.match(body.error!, /^model failed to load: /);
      await fine();
    });

    await t.step("numbers of other types than llama.cpp reads, and no template", async () => {
      const file = join(home, "retyped.gguf");
      makeRandomGguf("tiny", "q8_0", file);
      const bytes = await Deno.readFile(file);
      for (const key of ["llama.context_length", "general.file_type"]) {
        const at = new TextDecoder("latin1").decode(bytes).indexOf(key) + key.length;
        new DataView(bytes.buffer).setUint32(at, VALUE.i32, true);
      }
      await Deno.writeFile(file, bytes);
      await store.importGguf(file, "retyped");
      const options = { num_predict: 2 };
      const { status, body } = await chat(served.proxyUrl, "hi", { model: "retyped", options });
      assert.equal(status, 200, body.error);
      assert.match(served.stderr(), /no-chat-template.*retyped/);
    });

    await t.step("a name that means another model by now, or none", async () => {
      const make = async (tokens: number) =>
        await store.create("named", {
          base: await store.resolve("demo"),
          files: [],
          adapters: [],
          parameters: { num_predict: tokens },
        });
      const count = async () =>
        (await chat(served.proxyUrl, "What is network isolation?", { model: "named" }))
          .body["eval_count"];
      await make(3);
      assert.equal(await count(), 3);
      await make(2);
      assert.equal(await count(), 2, "the model that was loaded before must not answer");
      await store.remove("named");
      assert.equal((await chat(served.proxyUrl, "hi", { model: "named" })).status, 404);
    });

    await t.step(`${MUTANTS} mutants that pass the check`, async () => {
      const original = await Deno.readFile(DEMO);
      const { dataOffset } = await readGgufHeader(original);
      const random = numbersFrom(20261125);
      let loaded = 0;
      let failed = 0;
      for (let tries = 0; loaded + failed < MUTANTS; tries++) {
        assert.ok(tries < 100 * MUTANTS, "hardly any mutant passes the check");
        const mutant = original.slice();
        // In turn where the hyperparameters are and where the tensors are named.
        const from = tries % 2 === 0 ? 24 : dataOffset - 1500;
        for (let i = 0; i < 1 + random() % 3; i++) mutant[from + random() % 1500] = random() % 256;
        const file = join(home, "mutant.gguf");
        await Deno.writeFile(file, mutant);
        const passed = await store.importGguf(file, "mutant").then(() => true, () => false);
        if (!passed) continue;
        const asked = chat(served.proxyUrl, "hi", {
          model: "mutant",
          options: { num_predict: 4 },
        });
        const { status, body } = await settled(asked, `try ${tries}`);
        if (status === 200) loaded++;
        else {
          failed++;
          assert.match(
            `${status} ${body.error}`,
            /^(500 model failed to load|502 the model's runner ended|400 )/,
            `try ${tries}`,
          );
        }
      }
      assert.ok(failed > 0, "no mutant met the engine's refusal: the test proves little");
      console.log(`${loaded} mutants answered, ${failed} failed with a reason`);
      await fine();
    });
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});

/** Repeatable numbers, whole and positive. */
function numbersFrom(seed: number): () => number {
  const next = seeded(seed);
  return () => Math.floor(next() * 2 ** 32);
}
