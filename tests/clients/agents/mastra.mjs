// npm `@mastra/core`: one agent with one tool. Arguments: see steps.mjs.
import { Agent } from "@mastra/core/agent";
import { createTool } from "@mastra/core/tools";
import { appendFileSync } from "node:fs";
import { z } from "zod";
import { cancelled, ENDLESS, rest, step, TURNS, url } from "./steps.mjs";

const write = createTool({
  id: "write_proof",
  description: "Writes",
  inputSchema: z.object({ line: z.string() }),
  execute({ line, context }) {
    appendFileSync("proof.txt", `${line ?? context.line}\n`);
    return Promise.resolve({ done: true });
  },
});
const agent = new Agent({
  id: "tester",
  name: "Tester",
  instructions: "Test.",
  model: { id: "secllama/scripted", url, apiKey: "unused" },
  tools: { write_proof: write },
});
if (step === "loop") {
  for (const prompt of rest) {
    console.log((await agent.generate(prompt)).text);
    const streamed = await agent.stream(prompt);
    console.log(await streamed.text);
  }
} else if (step === "again") {
  const first = { role: "user", content: TURNS[0] };
  const { response } = await agent.generate([first]);
  const then = { role: "user", content: TURNS[1] };
  console.log((await agent.generate([first, ...response.messages, then])).text);
} else if (step === "cancel") {
  const stop = new AbortController();
  const streamed = await agent.stream(ENDLESS, { abortSignal: stop.signal });
  await cancelled(streamed.textStream, stop);
}
process.exit(0);
