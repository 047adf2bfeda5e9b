/**
 * The cases of Open Responses' compliance suite, over the whole sealed path and with real models, each whole and streamed: text,
 * system, picture and several turns with the model that sees, a call with the scripted one. The seeing model stands in a folder of
 * Ollama's, its projector as a layer.
 */
import assert from "node:assert/strict";
import { canSee } from "../../runner/engine/testing.ts";
import { readEvents } from "../../runner/api/testing.ts";
import { drawing } from "../../runner/engine/vision/testing_drawings.ts";
import { addModel } from "../support/ollama_folder.ts";
import { check, events, inOrder, response } from "../support/open_responses.ts";
import { makeScriptedModel } from "../support/scripted_model.ts";
import { ROOT, startServe } from "../support/serve.ts";

const SEED = 20261130;
const CALL = { name: "get_weather", arguments: { location: "San Francisco, CA" } };

interface Case {
  readonly name: string;
  readonly input: unknown;
  readonly more?: Readonly<Record<string, unknown>>;
  readonly type?: "function_call";
  /** What the model must have said; where it is not given, anything. */
  readonly says?: string;
}

const message = (role: string, content: unknown) => ({ type: "message", role, content });
const text = (text: string) => ({ type: "input_text", text });
const image = (bytes: Uint8Array) => ({
  type: "input_image",
  image_url: `data:image/png;base64,${bytes.toBase64()}`,
});

/** A drawing that the model is asked about, with the right answer. Not digits, which it gets wrong the most. */
function drawings(count: number): { picture: Uint8Array; question: string; answer: string }[] {
  const all = Array.from({ length: 20 * count }, (_, number) => drawing(SEED, number));
  return all.filter(({ kind }) => kind === "colour" || kind === "where").slice(0, count);
}

const [first, second] = drawings(2);

/** In the suite's order. */
const CASES: readonly Case[] = [
  { name: "basic-response", input: [message("user", "Say hello in exactly 3 words.")] },
  { name: "streaming-response", input: [message("user", "Count from 1 to 5.")] },
  {
    name: "system-prompt",
    input: [
      message("system", "You are a pirate. Always respond in pirate speak."),
      message("user", "Say hello."),
    ],
  },
  {
    name: "tool-calling",
    input: [message("user", "What's the weather like in San Francisco?")],
    more: {
      model: "caller",
      tools: [{
        type: "function",
        name: CALL.name,
        description: "Get the current weather for a location",
        parameters: {
          type: "object",
          properties: {
            location: { type: "string", description: "The city and state, e.g. San Francisco, CA" },
          },
          required: ["location"],
        },
      }],
    },
    type: "function_call",
    says: JSON.stringify(CALL.arguments),
  },
  ...[first!, second!].map(({ picture, question, answer }, index) => ({
    name: `image-input ${index + 1}`,
    input: [message("user", [text(question), image(picture)])],
    says: answer,
  })),
  {
    name: "multi-turn",
    input: [
      message("user", "My name is Alice."),
      message("assistant", "Hello Alice! Nice to meet you. How can I help you today?"),
      message("user", "What is my name?"),
    ],
  },
  {
    name: "multi-turn, with a picture in each",
    input: [
      message("user", [text(first!.question), image(first!.picture)]),
      message("assistant", [{ type: "output_text", text: first!.answer }]),
      message("user", [image(second!.picture), text(second!.question)]),
    ],
    says: second!.answer,
  },
];

Deno.test({
  name: "Open Responses' cases, of a model that sees and of one that calls tools",
  ignore: !canSee(),
  async fn(t) {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
    await addModel(folder, "seeing:latest", [
      ["model", await Deno.readFile(`${ROOT}models/seeing.gguf`)],
      ["projector", await Deno.readFile(`${ROOT}models/seeing.mmproj.gguf`)],
    ]);
    const scripts = { text: { text: "Hi." }, after: { text: "Ok." } };
    const caller = makeScriptedModel({
      scripts: { ...scripts, [`call_${CALL.name}`]: { calls: [CALL] } },
      tools: [CALL.name],
    });
    await addModel(folder, "caller:latest", [["model", caller]]);
    const served = await startServe({ env: { OLLAMA_MODELS: folder } });
    const post = (body: unknown) =>
      fetch(`${served.proxyUrl}/v1/responses`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: "Bearer x" },
        body: JSON.stringify(body),
      });
    try {
      for (const { name, input, more, type = "message", says } of CASES) {
        await t.step(name, async () => {
          const ask = { model: "seeing", input, temperature: 0, ...more };
          const whole = await post(ask);
          assert.equal(whole.status, 200, await whole.clone().text());
          const streamed = await readEvents(await post({ ...ask, stream: true }));
          const seen = streamed.map(({ event, data }) =>
            check(events, JSON.parse(data), `${event}`)
          );
          inOrder(seen);
          const last = seen.at(-1)!;
          assert.equal(last.type, "response.completed");
          assert.ok("response" in last);
          for (const body of [check(response, await whole.json(), name), last.response]) {
            assert.equal(body.status, "completed");
            const [item] = body.output;
            assert.equal(item?.type, type);
            const said = item.type === "message"
              ? item.content.map(({ text }) => text).join("")
              : item.type === "function_call"
              ? item.arguments
              : "";
            assert.notEqual(said, "");
            if (says !== undefined) assert.equal(said, says);
          }
        });
      }
    } finally {
      await served.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
