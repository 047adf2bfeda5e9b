/** In a page: three SDKs of npm as they are, against the addresses that its server names; posts what each said, or how it failed. */
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama/browser";
import OpenAI from "openai";

const CLIENTS = {
  async openai(url, messages) {
    const client = new OpenAI({
      baseURL: `${url}/v1`,
      apiKey: "unused",
      dangerouslyAllowBrowser: true,
      maxRetries: 0,
    });
    const answer = await client.chat.completions.create({ model: "demo", messages, temperature: 0 })
      .withResponse();
    return `${answer.response.headers.get("secllama-sealed")} ${
      answer.data.choices[0].message.content
    }`;
  },
  async anthropic(url, messages) {
    const client = new Anthropic({
      baseURL: url,
      apiKey: "unused",
      dangerouslyAllowBrowser: true,
      maxRetries: 0,
    });
    const stream = client.messages.stream({
      model: "demo",
      max_tokens: 100,
      temperature: 0,
      messages,
    });
    return (await stream.finalMessage()).content[0].text;
  },
  async ollama(url, messages) {
    const client = new Ollama({ host: url });
    const { models } = await client.list();
    const parts = [];
    const options = { temperature: 0 };
    for await (
      const part of await client.chat({ model: "demo", messages, options, stream: true })
    ) parts.push(part.message.content);
    return `${models[0].name} ${parts.join("")}`;
  },
  /** Asks without a preflight, as a form would, and then for what manages models. */
  async manage(url) {
    const answer = await fetch(`${url}/api/delete`, {
      method: "DELETE",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "demo" }),
    });
    return String(answer.status);
  },
};

async function run() {
  const { urls, question } = await (await fetch("/config")).json();
  const out = {};
  for (const [name, url] of Object.entries(urls)) {
    out[name] = {};
    for (const [client, ask] of Object.entries(CLIENTS)) {
      out[name][client] = await ask(url, [{ role: "user", content: question }])
        .catch((error) => `failed: ${error.message}`);
    }
  }
  return JSON.stringify(out);
}

await fetch("/result", { method: "POST", body: await run().catch((error) => error.stack) });
