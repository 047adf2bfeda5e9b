/**
 * Asks a model on a paired host and streams its answer, in Node 20 or later: npm `openai`, unmodified, over a sealed fetch.
 *
 *     npx -y deno@2.9.4 task client
 *     npm install openai ./dist/client
 *     node examples/node/chat.mjs demo "Where are my keys?" < pairing.txt
 *
 * `pairing.txt` is what `secllama pair NAME` printed on the host: a secret, so it comes on standard input.
 */
import { readFileSync } from "node:fs";
import OpenAI from "openai";
import { sealedFetch, SecLlamaError } from "secllama-client";

const [model, content] = process.argv.slice(2);
if (model === undefined || content === undefined) {
  console.error("usage: chat.mjs MODEL QUESTION < pairing.txt");
  process.exit(2);
}
try {
  const fetch = await sealedFetch({ pairing: readFileSync(0, "utf8") });
  // The host of the URL means nothing: everything goes to the gateway of the pairing.
  const openai = new OpenAI({
    fetch,
    baseURL: "http://gateway/v1",
    apiKey: "unused",
    maxRetries: 0,
  });
  const messages = [{ role: "user", content }];
  for await (
    const chunk of await openai.chat.completions.create({ model, messages, stream: true })
  ) {
    process.stdout.write(chunk.choices[0]?.delta.content ?? "");
  }
  console.log();
  fetch.close();
} catch (error) {
  // The SDK wraps what fetch throws.
  const cause = error instanceof SecLlamaError ? error : error.cause;
  if (!(cause instanceof SecLlamaError)) throw error;
  console.error(`error: ${cause.message}${cause.hint ? `\nhint: ${cause.hint}` : ""}`);
  process.exit(1);
}
