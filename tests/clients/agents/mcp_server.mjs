// A server of the Model Context Protocol (2025-06-18) over standard input and output, with one tool: `write_proof` adds a line
// to proof.txt in the folder that its argument names.
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [folder] = process.argv.slice(2);
const TOOL = {
  name: "write_proof",
  description: "Adds a line to the proof.",
  inputSchema: {
    type: "object",
    properties: { line: { type: "string" } },
    required: ["line"],
  },
};

function answer(method, params) {
  switch (method) {
    case "initialize":
      return {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "proof", version: "1" },
      };
    case "tools/list":
      return { tools: [TOOL] };
    case "tools/call":
      appendFileSync(`${folder}/proof.txt`, `${params.arguments.line}\n`);
      return { content: [{ type: "text", text: "written" }] };
    case "ping":
      return {};
    case "resources/list":
      return { resources: [] };
    case "resources/templates/list":
      return { resourceTemplates: [] };
    case "prompts/list":
      return { prompts: [] };
    default:
      return undefined;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const result = answer(method, params);
  const error = { code: -32601, message: "no such method" };
  console.log(JSON.stringify({ jsonrpc: "2.0", id, ...(result ? { result } : { error }) }));
}
