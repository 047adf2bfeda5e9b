/**
 * The model that sees (scripts/seeing_model), asked about pictures that it never saw, by npm's `ollama`, over
 * the whole sealed path with its runner in the strict sandbox. 60 pictures in a plain run, 1,000 with SECLLAMA_FULL=1.
 */
import assert from "node:assert/strict";
import { Ollama } from "ollama";
import { canSee } from "../../runner/engine/testing.ts";
import { drawing } from "../../runner/engine/vision/testing_drawings.ts";
import { cli, ROOT, startServe } from "../support/serve.ts";

const COUNT = Deno.env.get("SECLLAMA_FULL") === "1" ? 1000 : 60;
const SEED = 20261129;
/** The goal is 95 in a hundred; of few pictures a few more may be among the wrong ones. */
const LEAST = COUNT >= 1000 ? 0.95 : 0.9;

const isMade = await Deno.stat(`${ROOT}models/seeing.gguf`).then(() => true, () => false);
if (!isMade) console.log("skipped: no seeing model is made: scripts/seeing_model/train.py");

Deno.test({
  name: `${COUNT} drawings that it never saw: the seeing model says what is there`,
  ignore: !isMade || !canSee(),
  async fn() {
    const served = await startServe();
    try {
      const imported = await cli([
        "import",
        `${ROOT}models/seeing.gguf`,
        "--projector",
        `${ROOT}models/seeing.mmproj.gguf`,
        "--name=seeing",
      ], { env: served.env });
      assert.equal(imported.code, 0, imported.stderr);
      const ollama = new Ollama({ host: served.proxyUrl });
      const tally = new Map<string, { right: number; all: number }>();
      for (let number = 0; number < COUNT; number++) {
        const { picture, kind, question, answer } = drawing(SEED, number);
        const { message } = await ollama.chat({
          model: "seeing",
          messages: [{ role: "user", content: question, images: [picture] }],
          options: { temperature: 0, num_predict: 8 },
        });
        const entry = tally.get(kind) ?? { right: 0, all: 0 };
        tally.set(kind, entry);
        entry.all++;
        if (message.content === answer) entry.right++;
      }
      const told = [...tally].sort().map(([kind, { right, all }]) => `${kind} ${right}/${all}`);
      console.error(told.join(", "));
      const right = [...tally.values()].reduce((sum, one) => sum + one.right, 0);
      assert.ok(right >= LEAST * COUNT, `${right} of ${COUNT}: ${told.join(", ")}`);
      // It is the picture that says it: without one it says that there is none.
      const { message } = await ollama.chat({
        model: "seeing",
        messages: [{ role: "user", content: "What shape is this?" }],
        options: { temperature: 0 },
      });
      assert.match(message.content, /no picture/);
    } finally {
      await served.stop();
    }
  },
});
