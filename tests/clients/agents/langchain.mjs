// npm `langchain`: an agent of createAgent with one tool. Arguments: see steps.mjs.
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import { appendFileSync } from "node:fs";
import { z } from "zod";
import { cancelled, ENDLESS, rest, step, TURNS, url, USE } from "./steps.mjs";

const write = tool(({ line }) => {
  appendFileSync("proof.txt", `${line}\n`);
  return "written";
}, { name: "write_proof", description: "Writes", schema: z.object({ line: z.string() }) });
const configuration = { baseURL: url };
const model = new ChatOpenAI({ model: "scripted", apiKey: "unused", configuration });
const agent = createAgent({ model, tools: [write] });
const user = (content) => ({ role: "user", content });
if (step === "loop") {
  for (const prompt of rest) {
    const messages = [user(prompt)];
    console.log((await agent.invoke({ messages })).messages.at(-1).content);
    let last;
    for await (const state of await agent.stream({ messages }, { streamMode: "values" })) {
      last = state;
    }
    console.log(last.messages.at(-1).content);
  }
} else if (step === "again") {
  const { messages } = await agent.invoke({ messages: [user(TURNS[0])] });
  const then = await agent.invoke({ messages: [...messages, user(TURNS[1])] });
  console.log(then.messages.at(-1).content);
} else if (step === "cancel") {
  const stop = new AbortController();
  const o = { streamMode: "messages", signal: stop.signal };
  await cancelled(await agent.stream({ messages: [user(ENDLESS)] }, o), stop);
} else if (step === "mcp") {
  const { MultiServerMCPClient } = await import("@langchain/mcp-adapters");
  const [program, folder] = rest;
  const client = new MultiServerMCPClient({
    proof: { transport: "stdio", command: "node", args: [program, folder] },
  });
  const withServer = createAgent({ model, tools: await client.getTools() });
  console.log((await withServer.invoke({ messages: [user(USE)] })).messages.at(-1).content);
  await client.close();
}
