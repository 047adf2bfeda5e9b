// npm `langchain`: an agent of createAgent with one tool. Arguments: base URL, prompts.
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import { appendFileSync } from "node:fs";
import { z } from "zod";

const [baseURL, ...prompts] = process.argv.slice(2);
const write = tool(({ line }) => {
  appendFileSync("proof.txt", `${line}\n`);
  return "written";
}, { name: "write_proof", description: "Writes", schema: z.object({ line: z.string() }) });
const model = new ChatOpenAI({ model: "scripted", apiKey: "unused", configuration: { baseURL } });
const agent = createAgent({ model, tools: [write] });
for (const prompt of prompts) {
  const messages = [{ role: "user", content: prompt }];
  console.log((await agent.invoke({ messages })).messages.at(-1).content);
  let last;
  for await (const state of await agent.stream({ messages }, { streamMode: "values" })) {
    last = state;
  }
  console.log(last.messages.at(-1).content);
}
