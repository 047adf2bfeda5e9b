// npm `@openai/agents`: one agent with one tool, over chat completions and over responses. Arguments: base URL, prompts.
import {
  Agent,
  run,
  setDefaultOpenAIClient,
  setOpenAIAPI,
  setTracingDisabled,
  tool,
} from "@openai/agents";
import { appendFileSync } from "node:fs";
import OpenAI from "openai";
import { z } from "zod";

const [baseURL, ...prompts] = process.argv.slice(2);
setTracingDisabled(true);
setDefaultOpenAIClient(new OpenAI({ baseURL, apiKey: "unused" }));
const write = tool({
  name: "write_proof",
  description: "Writes",
  parameters: z.object({ line: z.string() }),
  execute({ line }) {
    appendFileSync("proof.txt", `${line}\n`);
    return "written";
  },
});
const agent = new Agent({
  name: "Tester",
  instructions: "Test.",
  model: "scripted",
  tools: [write],
});
for (const api of ["chat_completions", "responses"]) {
  setOpenAIAPI(api);
  for (const prompt of prompts) {
    console.log((await run(agent, prompt)).finalOutput);
    const streamed = await run(agent, prompt, { stream: true });
    for await (const _ of streamed);
    console.log(streamed.finalOutput);
  }
}
