// npm `@openai/agents`: one agent with one tool, over chat completions and over responses. Arguments: see steps.mjs.
import {
  Agent,
  MCPServerStdio,
  run,
  setDefaultOpenAIClient,
  setOpenAIAPI,
  setTracingDisabled,
  tool,
  user,
} from "@openai/agents";
import { appendFileSync } from "node:fs";
import OpenAI from "openai";
import { z } from "zod";
import { cancelled, ENDLESS, rest, step, TURNS, url, USE } from "./steps.mjs";

setTracingDisabled(true);
setDefaultOpenAIClient(new OpenAI({ baseURL: url, apiKey: "unused" }));
const write = tool({
  name: "write_proof",
  description: "Writes",
  parameters: z.object({ line: z.string() }),
  execute({ line }) {
    appendFileSync("proof.txt", `${line}\n`);
    return "written";
  },
});
const about = { name: "Tester", instructions: "Test.", model: "scripted" };
const agent = new Agent({ ...about, tools: [write] });
const APIS = ["chat_completions", "responses"];
if (step === "loop") {
  for (const api of APIS) {
    setOpenAIAPI(api);
    for (const prompt of rest) {
      console.log((await run(agent, prompt)).finalOutput);
      const streamed = await run(agent, prompt, { stream: true });
      for await (const _ of streamed);
      console.log(streamed.finalOutput);
    }
  }
} else if (step === "again") {
  for (const api of APIS) {
    setOpenAIAPI(api);
    const first = await run(agent, TURNS[0]);
    console.log((await run(agent, [...first.history, user(TURNS[1])])).finalOutput);
  }
} else if (step === "cancel") {
  setOpenAIAPI(APIS[0]);
  const stop = new AbortController();
  await cancelled(await run(agent, ENDLESS, { stream: true, signal: stop.signal }), stop);
} else if (step === "mcp") {
  setOpenAIAPI(APIS[0]);
  const server = new MCPServerStdio({ name: "proof", command: "node", args: rest });
  await server.connect();
  console.log((await run(new Agent({ ...about, mcpServers: [server] }), USE)).finalOutput);
  await server.close();
}
