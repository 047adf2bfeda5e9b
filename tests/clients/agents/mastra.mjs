// npm `@mastra/core`: one agent with one tool. Arguments: base URL, prompts.
import { Agent } from "@mastra/core/agent";
import { createTool } from "@mastra/core/tools";
import { appendFileSync } from "node:fs";
import { z } from "zod";

const [url, ...prompts] = process.argv.slice(2);
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
for (const prompt of prompts) {
  console.log((await agent.generate(prompt)).text);
  const streamed = await agent.stream(prompt);
  console.log(await streamed.text);
}
process.exit(0);
