/**
 * The model that sees (scripts/seeing_model), asked about pictures that it never saw, by npm's `ollama`, `openai` and
 * `@anthropic-ai/sdk` in turn, over the whole sealed path with its runner in the strict sandbox: 60 pictures in a plain run, 1,000
 * with SECLLAMA_FULL=1. Then some through a llama-server behind the door, where one is built.
 */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { canSee } from "../../runner/engine/testing.ts";
import { drawing } from "../../runner/engine/vision/testing_drawings.ts";
import { defaultEngineFolder } from "../../scripts/engine/build.ts";
import { cli, ROOT, type Served, startServe } from "../support/serve.ts";

const isFull = Deno.env.get("SECLLAMA_FULL") === "1";
const COUNT = isFull ? 1000 : 60;
const BEHIND_THE_DOOR = isFull ? 200 : 12;
const SEED = 20261129;
/** The goal is 95 in a hundred; of few pictures a few more may be among the wrong ones. */
const least = (count: number) => count >= 1000 ? 0.95 * count : 0.9 * count - 1;
const model = "seeing";
const MOST = 8;

type Ask = (question: string, data?: string) => Promise<string>;

/** Each way of asking about a picture (base64 of a PNG), or without one. */
function askers({ proxyUrl }: Served): Record<string, Ask> {
  const ollama = new Ollama({ host: proxyUrl });
  const openai = new OpenAI({ baseURL: `${proxyUrl}/v1`, apiKey: "x", maxRetries: 0 });
  const anthropic = new Anthropic({ baseURL: proxyUrl, apiKey: "x", maxRetries: 0 });
  const url = (data: string) => `data:image/png;base64,${data}`;
  return {
    async ollama(content, data) {
      const { message } = await ollama.chat({
        model,
        messages: [{ role: "user", content, images: data === undefined ? [] : [data] }],
        options: { temperature: 0, num_predict: MOST },
      });
      return message.content;
    },
    async "ollama generate"(prompt, data) {
      const { response } = await ollama.generate({
        model,
        prompt,
        images: data === undefined ? [] : [data],
        options: { temperature: 0, num_predict: MOST },
      });
      return response ?? "";
    },
    async openai(text, data) {
      const { choices } = await openai.chat.completions.create({
        model,
        temperature: 0,
        max_completion_tokens: MOST,
        messages: [{
          role: "user",
          content: [
            { type: "text", text },
            ...(data === undefined
              ? []
              : [{ type: "image_url" as const, image_url: { url: url(data) } }]),
          ],
        }],
      });
      return choices[0]!.message.content!;
    },
    async "openai responses"(text, data) {
      const { output_text } = await openai.responses.create({
        model,
        temperature: 0,
        max_output_tokens: MOST,
        input: [{
          role: "user",
          content: [
            ...(data === undefined
              ? []
              : [{ type: "input_image" as const, image_url: url(data), detail: "auto" as const }]),
            { type: "input_text", text },
          ],
        }],
      });
      return output_text;
    },
    async anthropic(text, data) {
      const media_type = "image/png" as const;
      const { content: [block] } = await anthropic.messages.create({
        model,
        max_tokens: MOST,
        messages: [{
          role: "user",
          content: [
            ...(data === undefined ? [] : [{
              type: "image" as const,
              source: { type: "base64" as const, media_type, data },
            }]),
            { type: "text", text },
          ],
        }],
      });
      return block?.type === "text" ? block.text : "";
    },
  };
}

/** Asks about the drawings from `first` on, by each client in turn: as many answers must be right as was promised. */
async function askAll(served: Served, first: number, count: number): Promise<void> {
  const ways = Object.entries(askers(served));
  const tally = new Map<string, { right: number; all: number }>();
  const wrong: string[] = [];
  for (let number = first; number < first + count; number++) {
    const { picture, kind, question, answer } = drawing(SEED, number);
    const [who, ask] = ways[number % ways.length]!;
    const said = await ask(question, picture.toBase64());
    for (const  of of[kind, who]) {
      const entry = tally.get(of) ?? { right: 0, all: 0 };
      tally.set(of, entry);
      entry.all++;
      if (said === answer) entry.right++;
    }
    if (said !== answer) wrong.push(`${number} (${who}): ${question} ${said}, not ${answer}`);
  }
  const told = [...tally].map(([of, { right, all }]) => `${of} ${right}/${all}`).join(", ");
  console.error(`${count - wrong.length}/${count}: ${told}`);
  assert.ok(count - wrong.length >= least(count), `${told}\n${wrong.join("\n")}`);
}

async function served(env: Record<string, string>, test: (served: Served) => Promise<void>) {
  const served = await startServe({ env });
  try {
    const imported = await cli([
      "import",
      `${ROOT}models/seeing.gguf`,
      "--projector",
      `${ROOT}models/seeing.mmproj.gguf`,
      `--name=${model}`,
    ], { env: served.env });
    assert.equal(imported.code, 0, imported.stderr);
    await test(served);
  } finally {
    await served.stop();
  }
}

Deno.test({
  name: `${COUNT} drawings that it never saw: the seeing model says what is there`,
  ignore: !canSee(),
  fn: () =>
    served({}, async (served) => {
      await askAll(served, 0, COUNT);
      // It is the picture that says it: without one it says that there is none.
      for (const [who, ask] of Object.entries(askers(served))) {
        assert.equal(await ask("What shape is this?"), "I see no picture.", who);
      }
    }),
});

const PROGRAM = `${ROOT}${defaultEngineFolder()}/llama-server`;
const built = await Deno.stat(PROGRAM).then(() => true, () => false);
if (!built) console.error("SKIP: llama-server is not built: scripts/engine/build.ts builds it");
Deno.test({
  name: `${BEHIND_THE_DOOR} drawings, through a llama-server behind the door`,
  ignore: !built,
  fn: () =>
    served({ SECLLAMA_ENGINE: "llama-server", SECLLAMA_ENGINE_PATH: PROGRAM }, async (served) => {
      assert.match(served.banner, /isolation +engine/);
      await askAll(served, COUNT, BEHIND_THE_DOOR);
    }),
});
