/**
 * Projector files that are wrong in many ways: llama.cpp refuses some of them, and others end the process that reads them. None
 * may cost a model more than its sight.
 */
import assert from "node:assert/strict";
import { canSee } from "../../runner/engine/testing.ts";
import { makeSeeingModel, plain } from "../../runner/engine/testing_seeing.ts";
import { addModel } from "../support/ollama_folder.ts";
import { seeded } from "../support/seeds.ts";
import { startServe } from "../support/serve.ts";

const MUTATED = Deno.env.get("SECLLAMA_FULL") ? 40 : 0;
/** Bytes of metadata and tensor descriptions. */
const HEAD = 2300;
const ODD = [0, 1, 2, 3, 17, 65536, 2 ** 20, 2 ** 31 - 1, 2 ** 32 - 1];

/** Where the value of each number of the metadata lies, by its key. */
function numbersOf(projector: Uint8Array): Map<string, number> {
  // Behind the key comes its type, four bytes: 4 is a u32. Bytes that are no text are written as digits.
  const head = String.fromCharCode(
    ...projector.subarray(0, HEAD).map((byte) => byte < 32 ? 48 + byte : byte),
  );
  return new Map(
    [...head.matchAll(/(clip\.vision\.[a-z_.]+)4000/g)]
      .map(({ index, 0: whole, 1: key }) => [key!, index + whole.length]),
  );
}

function withNumber(projector: Uint8Array, key: string, value: number): Uint8Array<ArrayBuffer> {
  const bytes = projector.slice();
  new DataView(bytes.buffer).setUint32(numbersOf(projector).get(key)!, value, true);
  return bytes;
}

/** An odd number in the metadata, or some other bytes in the head. */
function mutate(projector: Uint8Array, seed: number): Uint8Array<ArrayBuffer> {
  const random = seeded(seed);
  const below = (most: number) => Math.floor(random() * most);
  if (seed % 2 === 0) {
    const keys = [...numbersOf(projector).keys()];
    return withNumber(projector, keys[below(keys.length)]!, ODD[below(ODD.length)]!);
  }
  const bytes = projector.slice();
  for (let left = 1 + below(3); left > 0; left--) bytes[below(HEAD)] = below(256);
  return bytes;
}

Deno.test("a projector that is wrong costs the model its sight only", async (t) => {
  const sees = canSee();
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  makeSeeingModel(`${dir}/model.gguf`, `${dir}/projector.gguf`);
  const weights = await Deno.readFile(`${dir}/model.gguf`);
  const projector = await Deno.readFile(`${dir}/projector.gguf`);
  const models: Record<string, Uint8Array<ArrayBuffer>> = {
    whole: projector,
    // GGML_ASSERT: the process ends with SIGABRT.
    aborts: withNumber(projector, "clip.vision.patch_size", 3),
    refused: withNumber(projector, "clip.vision.block_count", 2),
    nothing: new TextEncoder().encode("not a projector"),
  };
  if (MUTATED > 0) models["cut"] = projector.slice(0, 1000);
  for (let seed = 0; seed < MUTATED; seed++) models[`mutated${seed}`] = mutate(projector, seed);
  for (const [name, bytes] of Object.entries(models)) {
    await addModel(`${dir}/ollama`, `${name}:latest`, [["model", weights], ["projector", bytes]]);
  }
  const served = await startServe({ env: { OLLAMA_MODELS: `${dir}/ollama` } });
  const post = async (path: string, body: unknown) => {
    const response = await fetch(served.proxyUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
  try {
    for (const name of Object.keys(models)) {
      await t.step(name, async () => {
        const ask = { model: name, prompt: "?", stream: false };
        const answer = await post("/api/generate", ask);
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        const shown = await post("/api/show", { model: name });
        assert.equal(shown.status, 200, JSON.stringify(shown.body));
        const said: string[] = shown.body.capabilities;
        const picture = await post("/api/generate", {
          ...ask,
          images: [plain("red").toBase64()],
          keep_alive: 0,
        });
        if (name.startsWith("mutated") && picture.status !== 400) return; // it may be one that still works
        assert.equal(said.includes("vision"), sees && name === "whole");
        assert.equal(picture.status, sees && name === "whole" ? 200 : 400);
      });
    }
  } finally {
    await served.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
