/**
 * A streamed reply that ends in its middle, as npm's clients see it, unmodified: its runner was killed, or the token was revoked under
 * which it was asked for. An error of their own kind, which says so.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { Tokens } from "../../src/firm/tokens.ts";
import { newHome, startServe } from "../support/serve.ts";

const QUESTION = "numbers";
const messages = [{ role: "user" as const, content: QUESTION }];
/** More than is made before the runner is killed. */
const schema = {
  type: "object",
  properties: { all: { type: "array", items: { type: "integer" }, minItems: 2000 } },
  required: ["all"],
  additionalProperties: false,
};

interface Client {
  readonly name: string;
  /** Begins to stream. */
  ask(url: string, key: string): Promise<AsyncIterable<unknown>>;
  /** What the client makes of the error. */
  readonly kind: new (...args: never[]) => Error;
}

const openai = (url: string, apiKey: string) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const asked = { model: "demo", messages };

const CLIENTS: readonly Client[] = [
  {
    name: "ollama",
    ask: (url, key) =>
      new Ollama({ host: url, headers: { authorization: `Bearer ${key}` } })
        .chat({ ...asked, stream: true, format: schema }),
    kind: Error,
  },
  {
    name: "openai, chat",
    ask: (url, key) =>
      openai(url, key).chat.completions.create({
        ...asked,
        stream: true,
        response_format: { type: "json_schema", json_schema: { name: "numbers", schema } },
      }),
    kind: OpenAI.APIError,
  },
  {
    name: "openai, responses",
    ask: (url, key) =>
      openai(url, key).responses.create({
        model: "demo",
        input: QUESTION,
        stream: true,
        text: { format: { type: "json_schema", name: "numbers", schema } },
      }),
    kind: OpenAI.APIError,
  },
  {
    name: "anthropic",
    ask: (url, key) =>
      new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 }).messages.create({
        ...asked,
        max_tokens: 8000,
        stream: true,
        output_config: { format: { type: "json_schema", schema } },
      }),
    kind: Anthropic.APIError,
  },
];

for (const encryption of [true, false]) {
  Deno.test(`a reply ends in its middle, ${encryption ? "sealed" : "with encryption off"}: each client says what happened`, async () => {
    const { home, env: base } = await newHome();
    const data = join(home, "data");
    await Deno.mkdir(data, { mode: 0o700 });
    const env = { ...base, SECLLAMA_DATA_DIR: data };
    const served = await startServe({
      env: encryption
        ? { ...env, SECLLAMA_REQUIRE_TOKEN: "true" }
        : { ...env, SECLLAMA_ENABLE_ENCRYPTION: "false" },
    });
    const url = encryption ? served.proxyUrl : served.gatewayUrl;
    const tokens = new Tokens(data);
    try {
      for (const { name, ask, kind } of encryption ? CLIENTS : []) {
        const { text, entry } = await tokens.create("revoked");
        const stream = (await ask(url, text))[Symbol.asyncIterator]();
        assert.equal((await stream.next()).done, false, name);
        await tokens.revoke(entry.id);
        const failure = await rest(stream);
        assert.ok(failure instanceof kind, `${name}: ${failure}`);
        assert.match(failure.message, /the API token was revoked while its request ran/, name);
        await assert.rejects(ask(url, text), { message: /the API token is not valid here/ }, name);
      }
      const { text: key } = await tokens.create("lasts");
      for (const { name, ask, kind } of CLIENTS) {
        const stream = (await ask(url, key))[Symbol.asyncIterator]();
        assert.equal((await stream.next()).done, false, name);
        const status = await fetch(`${served.gatewayUrl}/api/security/status`);
        const [runner] = (await status.json()).runners;
        Deno.kill(runner.pid, "SIGKILL");
        const failure = await rest(stream);
        assert.ok(failure instanceof kind, `${name}: ${failure}`);
        assert.match(
          failure.message,
          /the runner broke off the reply|runner ended before it answered|connection broke/,
          name,
        );
      }
    } finally {
      await served.stop();
      await Deno.remove(home, { recursive: true });
    }
  });
}

/** What the stream fails with. */
async function rest(stream: AsyncIterator<unknown>): Promise<unknown> {
  try {
    while (!(await stream.next()).done);
  } catch (error) {
    return error;
  }
  return undefined;
}
