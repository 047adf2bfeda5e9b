/** A runner that is killed in the middle of a streamed reply, as npm's clients see it, unmodified: an error of their own kind. */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { startServe } from "../support/serve.ts";

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
  ask(url: string): Promise<AsyncIterable<unknown>>;
  /** What the client makes of the error. */
  readonly kind: new (...args: never[]) => Error;
}

const openai = (url: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "-", maxRetries: 0 });
const asked = { model: "demo", messages };

const CLIENTS: readonly Client[] = [
  {
    name: "ollama",
    ask: (url) => new Ollama({ host: url }).chat({ ...asked, stream: true, format: schema }),
    kind: Error,
  },
  {
    name: "openai, chat",
    ask: (url) =>
      openai(url).chat.completions.create({
        ...asked,
        stream: true,
        response_format: { type: "json_schema", json_schema: { name: "numbers", schema } },
      }),
    kind: OpenAI.APIError,
  },
  {
    name: "openai, responses",
    ask: (url) =>
      openai(url).responses.create({
        model: "demo",
        input: QUESTION,
        stream: true,
        text: { format: { type: "json_schema", name: "numbers", schema } },
      }),
    kind: OpenAI.APIError,
  },
  {
    name: "anthropic",
    ask: (url) =>
      new Anthropic({ baseURL: url, apiKey: "-", maxRetries: 0 }).messages.create({
        ...asked,
        max_tokens: 8000,
        stream: true,
        output_config: { format: { type: "json_schema", schema } },
      }),
    kind: Anthropic.APIError,
  },
];

for (const encryption of [true, false]) {
  Deno.test(`a runner is killed in the middle of a reply, ${encryption ? "sealed" : "with encryption off"}: each client says what happened`, async () => {
    const served = await startServe(
      encryption ? {} : { env: { SECLLAMA_ENABLE_ENCRYPTION: "false" } },
    );
    const url = encryption ? served.proxyUrl : served.gatewayUrl;
    try {
      for (const { name, ask, kind } of CLIENTS) {
        const stream = (await ask(url))[Symbol.asyncIterator]();
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
