/**
 * Vectors of documents over the whole path: a serve, an embedding model of our own in the sandbox (word vectors, see
 * word_vectors.ts), the sealed history. And how good retrieval is: `SECLLAMA_FULL=1`.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { EmbeddingReport, PassageList } from "../../src/api/documents.ts";
import { NAME_HEADER } from "../../src/api/documents.ts";
import { BYTES_TYPE, JSON_TYPE } from "../../src/api/media_types.ts";
import { ROUTES } from "../../src/api/routes.ts";
import { packVectors } from "../../src/documents/vectors.ts";
import { bytesOf, holds } from "../../src/history/testing.ts";
import { addModel } from "../support/ollama_folder.ts";
import { until } from "../support/patience.ts";
import { cli, newHome, ROOT, startServe } from "../support/serve.ts";
import { makeEmbeddingModel } from "./embedding_model.ts";
import { labelledQuestions, proseOf } from "./labelled.ts";
import { recallOf } from "./recall.ts";
import { meanVector, trainWordVectors } from "./word_vectors.ts";

/** Sentences in which words of one meaning stand among the same others. */
const SAME = [["heron", "egret", "stork"], ["lease", "tenancy", "rental"], [
  "engine",
  "motor",
  "turbine",
]];
const AROUND = [
  ["wades through shallow water", "hunts frogs near reeds", "nests above marsh"],
  ["obliges the landlord yearly", "names a flat and deposit", "ends by written paper"],
  ["burns diesel with noise", "turns the shaft quickly", "needs oil and pistons"],
];
const CORPUS = SAME.flatMap((words, topic) =>
  words.flatMap((word) =>
    AROUND[topic]!.flatMap((text) => [`the ${word} ${text}`, `a ${word} ${text}`])
  )
);
const MODEL = "wordvectors:latest";
const HERONS = "Our egret wades near marsh.";

Deno.test("retrieval: a model in the sandbox makes the vectors, sealed on the way and at rest; words alone where there is none", async (t) => {
  const vectors = trainWordVectors(CORPUS, 12);
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  await addModel(folder, MODEL, [["model", makeEmbeddingModel(vectors)]]);
  const key = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
  const served = await startServe({
    args: [],
    env: { SECLLAMA_KEY: key, OLLAMA_MODELS: folder },
  });
  const ask = async <T>(method: string, path: string, body?: object | string, name?: string) => {
    const answer = await fetch(served.proxyUrl + path, {
      method,
      headers: {
        "content-type": typeof body === "string" ? BYTES_TYPE : JSON_TYPE,
        ...(name === undefined ? {} : { [NAME_HEADER]: name }),
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return { status: answer.status, ...await answer.json() } as T & { status: number };
  };
  const report = () => ask<EmbeddingReport>("GET", ROUTES.documentModel.path);
  const name = (model: string | null) =>
    ask<EmbeddingReport & { error?: string }>("PUT", ROUTES.documentModel.path, { model });
  const find = (query: string) =>
    ask<PassageList>("POST", ROUTES.documentSearch.path, { query, limit: 2 });
  const names = ({ passages }: PassageList) => passages.map((one) => one.name);
  try {
    const add = (file: string, text: string) => ask("POST", ROUTES.documents.path, text, file);
    await add("bird.txt", HERONS);
    await add("flat.txt", "The tenancy obliges the landlord.");

    await t.step(
      "no model is named, or one without embeddings: words alone, and it says so",
      async () => {
        const { ranking, passages, note } = await find("heron");
        assert.deepEqual([ranking, passages, note], ["bm25", [], undefined]);
        const refused = await name("demo");
        assert.equal(refused.status, 400);
        assert.match(refused.error!, /demo makes no embeddings/);
        assert.equal((await name("nowhere")).status, 404);
        assert.deepEqual((await report()).model, null);
        assert.deepEqual(names(await find("egret")), ["bird.txt"]);
      },
    );

    await t.step("the model file gives the vectors that it was made of", async () => {
      const texts = ["the heron wades", "Turbine, and OIL!", "egrets unknown landlord"];
      const { embeddings } = await ask<{ embeddings: number[][] }>("POST", ROUTES.embed.path, {
        model: MODEL,
        input: texts,
      });
      for (const [i, text] of texts.entries()) {
        const mean = meanVector(vectors, text);
        const size = Math.hypot(...mean);
        const cosine = mean.reduce((sum, value, k) => sum + value * embeddings[i]![k]!, 0) / size;
        assert.ok(cosine > 0.999, `${text}: ${cosine}`);
      }
      // One that is too long is cut, the marks at its ends counted.
      const long = { model: MODEL, input: `heron${" and".repeat(600)}` };
      const cut = await ask<{ prompt_eval_count: number }>("POST", ROUTES.embed.path, long);
      assert.deepEqual([cut.status, cut.prompt_eval_count], [200, 511]);
      const whole = { ...long, truncate: false };
      assert.equal((await ask("POST", ROUTES.embed.path, whole)).status, 400);
    });

    await t.step("a question finds what means the same", async () => {
      assert.equal((await name(MODEL)).model, MODEL);
      const done = async () => (await report()).embedded === 2;
      await until(done, "both passages have embeddings");
      const list = await find("heron");
      assert.deepEqual([list.ranking, names(list)[0], list.note], [
        "hybrid",
        "bird.txt",
        undefined,
      ]);
      assert.equal(names(await find("which rental?"))[0], "flat.txt");
      // What is added later is embedded by itself.
      await add("machine.txt", "The motor burns diesel.");
      await until(async () => (await report()).embedded === 3, "the third has one too");
      assert.equal(names(await find("turbine"))[0], "machine.txt");
    });

    await t.step("nothing of it lies on the disk in the clear", async () => {
      const { embeddings } = await ask<{ embeddings: number[][] }>("POST", ROUTES.embed.path, {
        model: MODEL,
        input: [HERONS],
      });
      const pack = packVectors(new Uint8Array(8), [Float32Array.from(embeddings[0]!)]);
      const row = pack.subarray(20);
      const [data, plain] = [served.home, join(folder, "plain")];
      await Deno.mkdir(plain);
      await Deno.writeFile(join(plain, "index"), pack);
      assert.ok(holds(bytesOf(plain), row), "unsealed, it would be found");
      for (const canary of [row, "egret", "bird.txt"]) assert.ok(!holds(bytesOf(data), canary));
    });

    await t.step("the same on the terminal, a question of any length", async () => {
      const { env } = await newHome();
      const { port } = new URL(served.proxyUrl);
      const run = async (...args: string[]) => {
        const said = await cli([...args, "--proxy-port", port], {
          env: { ...env, HOME: served.home, SECLLAMA_KEY: key },
        });
        assert.equal(said.code, 0, said.stderr);
        return said.stdout;
      };
      assert.match(
        await run("docs", "embed"),
        /wordvectors:latest: 3 of 3 passages with embeddings/,
      );
      const long = `heron ${"zyx qwv ".repeat(2500)}`;
      assert.match(await run("docs", "ask", "demo", "--find", long), /\[1\] bird\.txt, passage 1/);
      assert.match(await run("docs", "embed", "--off"), /no model: .* by their words alone/);
      assert.deepEqual((await find("heron")).passages, []);
    });
  } finally {
    await served.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

const full = Deno.env.get("SECLLAMA_FULL") !== undefined;
if (!full) console.error("SKIPPED how good retrieval is: only task test:full measures it");

Deno.test({
  name: "retrieval: both rankings together find more than each alone",
  ignore: !full,
  async fn() {
    const set = await labelledQuestions(ROOT);
    const vectors = trainWordVectors([...set.passages, ...await proseOf(ROOT)], 64);
    const recall = await recallOf(set, (texts) => texts.map((text) => meanVector(vectors, text)));
    const { words, vectors: alone, hybrid } = recall();
    console.log({ questions: set.questions.length, words, vectors: alone, hybrid });
    assert.ok(hybrid > words && hybrid > alone);
    assert.ok(words > 0.3);
  },
});
