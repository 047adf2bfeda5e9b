/**
 * Unmodified clients from npm, with an engine of somebody else's behind the door: a fake in plain runs (tests/engine/fake.ts), and
 * the real llama-server where it is built, which must say what the own engine says.
 */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { makeSeeingModel, PICTURE_CELLS, plain } from "../../runner/engine/testing_seeing.ts";
import { defaultEngineFolder } from "../../scripts/engine/build.ts";
import { fakeEngine, withoutFake } from "../engine/fake.ts";
import { cli, ROOT, type Served, startServe } from "../support/serve.ts";

const QUESTION = "What is network isolation?";
const messages = [{ role: "user" as const, content: QUESTION }];
const MOST = 24;

/** The same question through each client and way of asking. @returns What each said. */
async function askEach({ proxyUrl }: Served): Promise<Record<string, string>> {
  const ollama = new Ollama({ host: proxyUrl });
  const openai = new OpenAI({ baseURL: `${proxyUrl}/v1`, apiKey: "x", maxRetries: 0 });
  const anthropic = new Anthropic({ baseURL: proxyUrl, apiKey: "x", maxRetries: 0 });
  const said: Record<string, string> = {};
  const options = { temperature: 0, num_predict: MOST };
  const chat = await ollama.chat({ model: "demo", messages, options });
  said["ollama"] = chat.message.content;
  assert.ok(chat.eval_count > 0 && chat.prompt_eval_count > 0);
  said["ollama, streamed"] = "";
  for await (
    const { message } of await ollama.chat({ model: "demo", messages, options, stream: true })
  ) said["ollama, streamed"] += message.content;
  const whole = await openai.chat.completions.create({
    model: "demo",
    messages,
    temperature: 0,
    max_tokens: MOST,
  });
  said["openai"] = whole.choices[0]!.message.content!;
  assert.equal(whole.usage!.completion_tokens, chat.eval_count);
  const response = await openai.responses.create({
    model: "demo",
    input: QUESTION,
    temperature: 0,
    max_output_tokens: MOST,
  });
  said["openai responses"] = response.output_text;
  const stream = anthropic.messages.stream({
    model: "demo",
    messages,
    temperature: 0,
    max_tokens: MOST,
  });
  said["anthropic, streamed"] = await stream.finalText();
  assert.equal((await stream.finalMessage()).usage.output_tokens, chat.eval_count);
  return said;
}

/** A picture is refused in each client's own kind of error, and says why. */
async function refusePictures({ proxyUrl }: Served): Promise<void> {
  const data = plain("red").toBase64();
  const openai = new OpenAI({ baseURL: `${proxyUrl}/v1`, apiKey: "x", maxRetries: 0 });
  const anthropic = new Anthropic({ baseURL: proxyUrl, apiKey: "x", maxRetries: 0 });
  const url = `data:image/bmp;base64,${data}`;
  const refused: (() => Promise<unknown>)[] = [
    () =>
      openai.chat.completions.create({
        model: "demo",
        messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }],
      }),
    () =>
      anthropic.messages.create({
        model: "demo",
        max_tokens: 1,
        messages: [{
          role: "user",
          content: [{ type: "image", source: { type: "base64", media_type: "image/png", data } }],
        }],
      }),
  ];
  for (const ask of refused) {
    await assert.rejects(ask(), (error: { status: number; message: string }) => {
      assert.equal(error.status, 400);
      assert.match(error.message, /does not support images/);
      return true;
    });
  }
  const ollama = new Ollama({ host: proxyUrl });
  const images = [data];
  await assert.rejects(
    ollama.chat({ model: "demo", messages: [{ role: "user", content: "?", images }] }),
    /does not support images/,
  );
}

const noFake = withoutFake();
if (noFake) console.error(`SKIP: no engine is put behind the door: ${noFake}`);
Deno.test({
  name: "npm ollama, openai and anthropic over an engine that is a fake",
  ignore: noFake !== undefined,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "secllama-engine-test-" });
    const served = await startServe({ env: await fakeEngine(folder) });
    try {
      const said = Object.entries(await askEach(served));
      // It says the prompt's last tokens again: the same prompt, whoever asks.
      for (const [client, text] of said) assert.equal(text, said[0]![1], client);
      assert.ok(said[0]![1].length > 0);
      await refusePictures(served);
    } finally {
      await served.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

const PROGRAM = `${ROOT}${defaultEngineFolder()}/llama-server`;
const built = await Deno.stat(PROGRAM).then(() => true, () => false);
if (!built) {
  console.error("SKIP: the real llama-server is not built: scripts/engine/build.ts builds it");
}
Deno.test({
  name: "npm ollama, openai and anthropic over the real llama-server: what the own engine says",
  ignore: !built,
  async fn() {
    const own = await startServe();
    const wanted = await askEach(own);
    await own.stop();
    const served = await startServe({
      env: { SECLLAMA_ENGINE: "llama-server", SECLLAMA_ENGINE_PATH: PROGRAM },
    });
    try {
      assert.match(served.banner, /isolation +engine/);
      assert.deepEqual(await askEach(served), wanted);
      await refusePictures(served);
    } finally {
      await served.stop();
    }
  },
});

const ASK = "What colour is this?";

/** Asks about a picture through each client. @returns What each said. */
async function askOfPictures({ proxyUrl }: Served): Promise<Record<string, string>> {
  const said: Record<string, string> = {};
  const ollama = new Ollama({ host: proxyUrl });
  assert.ok((await ollama.show({ model: "eye" })).capabilities.includes("vision"));
  const ask = (...images: Uint8Array[]) =>
    ollama.chat({ model: "eye", messages: [{ role: "user", content: ASK, images }] });
  const without = await ask();
  said["ollama, without"] = without.message.content.trim();
  for (const colour of ["red", "cyan"] as const) {
    const { message, prompt_eval_count } = await ask(plain(colour));
    said[`ollama, ${colour}`] = message.content.trim();
    // The picture's own tokens are counted, as the engine tells; the text around it is tokenized in two parts.
    assert.ok(prompt_eval_count >= without.prompt_eval_count + PICTURE_CELLS);
  }
  const openai = new OpenAI({ baseURL: `${proxyUrl}/v1`, apiKey: "x", maxRetries: 0 });
  const url = `data:image/bmp;base64,${plain("magenta", 300).toBase64()}`;
  const stream = await openai.chat.completions.create({
    model: "eye",
    stream: true,
    messages: [{
      role: "user",
      content: [{ type: "text", text: ASK }, { type: "image_url", image_url: { url } }, {
        type: "text",
        text: "Well?",
      }],
    }],
  });
  said["openai, streamed"] = "";
  for await (const chunk of stream) {
    said["openai, streamed"] += chunk.choices[0]?.delta.content ?? "";
  }
  const response = await openai.responses.create({
    model: "eye",
    input: [{
      role: "user",
      content: [{ type: "input_image", image_url: url, detail: "auto" }, {
        type: "input_text",
        text: ASK,
      }],
    }],
  });
  said["openai responses"] = response.output_text.trim();
  const anthropic = new Anthropic({ baseURL: proxyUrl, apiKey: "x", maxRetries: 0 });
  const data = plain("yellow").toBase64();
  const { content: [block] } = await anthropic.messages.create({
    model: "eye",
    max_tokens: 10,
    messages: [{
      role: "user",
      content: [
        { type: "image", source: { type: "base64", media_type: "image/png", data } },
        { type: "text", text: ASK },
      ],
    }],
  });
  said["anthropic"] = block?.type === "text" ? block.text.trim() : "";
  return said;
}

Deno.test({
  name: "npm ollama, openai and anthropic show pictures to the real llama-server",
  ignore: !built,
  async fn() {
    const served = await startServe({
      env: { SECLLAMA_ENGINE: "llama-server", SECLLAMA_ENGINE_PATH: PROGRAM },
    });
    try {
      const [model, projector] = ["model", "mmproj"].map((name) => `${served.home}/${name}.gguf`);
      makeSeeingModel(model!, projector!);
      const env = { HOME: served.home, PATH: "/usr/bin:/bin", NO_COLOR: "1" };
      const done = await cli(["import", model!, "--projector", projector!, "--name=eye"], {
        env: { ...env, ...denoFolders() },
      });
      assert.equal(done.code, 0, done.stderr);
      const said = await askOfPictures(served);
      assert.deepEqual(
        Object.fromEntries(Object.entries(said).map(([who, text]) => [who, text.trim()])),
        {
          "ollama, without": "nothing",
          "ollama, red": "red",
          "ollama, cyan": "cyan",
          "openai, streamed": "magenta",
          "openai responses": "magenta",
          "anthropic": "yellow",
        },
      );
    } finally {
      await served.stop();
    }
  },
});

/** Where Deno keeps what it has, for a program with another home. */
function denoFolders(): Record<string, string> {
  return Object.fromEntries(
    ["DENO_DIR", "XDG_CACHE_HOME"].flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
