/**
 * What every platform's test does with the library: the three SDKs, unmodified, over a sealed fetch. Plain JavaScript,
 * since Deno, Node and Chromium run this very file.
 */
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama/browser";
import OpenAI from "openai";

const messages = [{ role: "user", content: "What is network isolation?" }];

/**
 * @param {Function} sealedFetch The library's.
 * @param {{ options: object, suites: number[] }} config Options of `sealedFetch`, and the suites to go through.
 * @returns One plain object for each suite.
 */
export async function exercise(sealedFetch, config) {
  const results = [];
  for (const suite of config.suites) {
    const fetch = await sealedFetch({ ...config.options, suite });
    try {
      results.push({
        suite,
        ollama: await ollama(fetch),
        openai: await openai(fetch),
        anthropic: await anthropic(fetch),
        aborted: await aborted(fetch),
        listed: await listed(fetch),
        codes: await codes(fetch),
      });
    } finally {
      fetch.close();
    }
  }
  return results;
}

async function ollama(fetch) {
  const client = new Ollama({ fetch });
  const ask = { model: "demo", messages, options: { temperature: 0, num_predict: 12 } };
  const whole = await client.chat(ask);
  let streamed = "";
  let parts = 0;
  for await (const part of await client.chat({ ...ask, stream: true })) {
    streamed += part.message.content;
    parts++;
  }
  const { embeddings } = await client.embed({ model: "demo", input: ["a key", "another"] });
  return { whole: whole.message.content, streamed, parts, embeddings: embeddings.length };
}

async function openai(fetch) {
  const client = new OpenAI({
    fetch,
    baseURL: "http://gateway/v1",
    apiKey: "unused",
    maxRetries: 0,
    dangerouslyAllowBrowser: true,
  });
  const ask = { model: "demo", messages, temperature: 0, max_completion_tokens: 12 };
  const whole = (await client.chat.completions.create(ask)).choices[0].message.content;
  let streamed = "";
  let parts = 0;
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
    streamed += chunk.choices[0]?.delta.content ?? "";
    parts++;
  }
  // An error of the application travels sealed and arrives as the SDK's own class.
  const refused = await client.chat.completions.create({ ...ask, temperature: 99 }).catch((error) =>
    error
  );
  return { whole, streamed, parts, refused: [refused.constructor.name, refused.param] };
}

async function anthropic(fetch) {
  const client = new Anthropic({
    fetch,
    baseURL: "http://gateway",
    apiKey: "unused",
    maxRetries: 0,
    dangerouslyAllowBrowser: true,
  });
  const ask = { model: "demo", messages, temperature: 0, max_tokens: 12 };
  const whole = (await client.messages.create(ask)).content[0].text;
  let parts = 0;
  const stream = client.messages.stream(ask).on("text", () => parts++);
  return { whole, streamed: await stream.finalText(), parts };
}

/** A stream that the caller leaves ends with the caller's reason. */
async function aborted(fetch) {
  const controller = new AbortController();
  const response = await fetch("/api/generate", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "demo",
      prompt: "Once",
      raw: true,
      options: { num_predict: 500 },
    }),
    signal: controller.signal,
  });
  const reader = response.body.getReader();
  await reader.read();
  controller.abort();
  try {
    while (!(await reader.read()).done);
    return "ended";
  } catch (error) {
    return error.name;
  }
}

/** The models, as the SDK lists them; the code of the error where that is refused. */
async function listed(fetch) {
  return await new Ollama({ fetch }).list().then(
    ({ models }) => models.map((model) => model.name),
    (error) => error.code,
  );
}

/** The codes of what is refused before a reply can be sealed. */
async function codes(fetch) {
  const codeOf = (path, init) => fetch(path, init).then(() => "none", (error) => error.code);
  const post = (body) => ({ method: "POST", body });
  return [
    await codeOf("/api/chat", post('{"model":"no-such-model","messages":[]}')),
    await codeOf("/api/chat", post("not json")),
    await codeOf("/api/chat", post('{"messages":[]}')),
  ];
}
