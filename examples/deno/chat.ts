/**
 * Asks a model on a paired host and streams its answer: npm `ollama`, unmodified, over a sealed fetch.
 *
 *     npx -y deno@2.9.4 task client
 *     deno run --allow-net --import-map=examples/deno/imports.json examples/deno/chat.ts demo "Where are my keys?" < pairing.txt
 *
 * `pairing.txt` is what `secllama pair NAME` printed on the host: a secret, so it comes on standard input.
 */
import { Ollama } from "ollama/browser";
import { sealedFetch, SecLlamaError } from "secllama-client";

const [model, content] = Deno.args;
if (model === undefined || content === undefined) {
  console.error("usage: chat.ts MODEL QUESTION < pairing.txt");
  Deno.exit(2);
}
try {
  const pairing = await new Response(Deno.stdin.readable).text();
  const fetch = await sealedFetch({ pairing });
  const ollama = new Ollama({ fetch });
  const messages = [{ role: "user", content }];
  for await (const part of await ollama.chat({ model, messages, stream: true })) {
    await Deno.stdout.write(new TextEncoder().encode(part.message.content));
  }
  console.log();
  fetch.close();
} catch (error) {
  if (!(error instanceof SecLlamaError)) throw error;
  console.error(`error: ${error.message}${error.hint ? `\nhint: ${error.hint}` : ""}`);
  Deno.exit(1);
}
