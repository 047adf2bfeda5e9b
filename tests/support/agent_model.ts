/** The scripted model as coding agents need it, served: a call for each tool that they bring, and what else the tests ask for. */
import { addModel } from "./ollama_folder.ts";
import { makeScriptedModel, type Script, type ScriptedCall } from "./scripted_model.ts";
import { type Served, type ServeOptions, startServe } from "./serve.ts";

/** The file that a called tool writes, in the folder that the agent works in. */
export const PROOF = "proof.txt";
export const AFTER = "The tool has run. Done.";
export const TEXT = "Hello from the scripted model.";

/** A command for a shell that adds a line to {@link PROOF}. */
const append = (line: string) => `echo ${line} >> ${PROOF}`;

/** By the name that an agent gives its tool: arguments that write a line. */
const TOOLS: Readonly<Record<string, (line: string) => Record<string, unknown>>> = {
  // The shell tools of Claude Code and Continue; of opencode, pi and Copilot; of Codex; of qwen-code; of Cline.
  Bash: (line) => ({ command: append(line), description: "Prove that the tool ran" }),
  bash: (line) => ({ command: append(line), description: "Prove that the tool ran" }),
  exec_command: (line) => ({ cmd: append(line) }),
  shell_command: (line) => ({ command: append(line) }),
  shell: (line) => ({ command: ["bash", "-lc", append(line)] }),
  run_shell_command: (line) => ({
    command: append(line),
    description: "Prove it",
    is_background: false,
  }),
  execute_command: (line) => ({ command: append(line), requires_approval: false }),
  run_commands: (line) => ({ commands: [append(line)] }),
  // Of the libraries' tests.
  write_proof: (line) => ({ line }),
  // The same as an MCP server's tool, in each client's way of naming it.
  mcp__proof__write_proof: (line) => ({ line }),
  proof_write_proof: (line) => ({ line }),
  proof__write_proof: (line) => ({ line }),
  "proof-write_proof": (line) => ({ line }),
  // qwen-code shows a model no tool of a server, but this way to call one.
  tool_call: (line) => ({ name: "mcp__proof__write_proof", arguments: { line } }),
};

/** Names of shell tools, which count before an MCP server's. */
const SHELLS = Object.keys(TOOLS).filter((name) =>
  !name.includes("write_proof") && name !== "tool_call"
);

function call(name: string, line: string): ScriptedCall {
  return { name, arguments: TOOLS[name]!(line) };
}

/**
 * Scripts: `text`, `after`, `endless`, `long` (a call with long arguments); and for each tool `call_NAME`, `two_NAME` (two
 * calls at once), `endless_NAME` (a call that never ends).
 */
function agentScripts(): Record<string, Script> {
  const scripts: Record<string, Script> = {
    text: { text: TEXT },
    after: { text: AFTER },
    endless: { text: "And so on:", endless: true },
  };
  for (const name of Object.keys(TOOLS)) {
    scripts[`call_${name}`] = { calls: [call(name, `${name}-once`)] };
    scripts[`two_${name}`] = { calls: [call(name, `${name}-first`), call(name, `${name}-second`)] };
  }
  return scripts;
}

/** The model's file. */
export function agentModel(options: { thinks?: boolean } = {}): Uint8Array<ArrayBuffer> {
  return makeScriptedModel({
    scripts: agentScripts(),
    tools: [...SHELLS, ...Object.keys(TOOLS)],
    ...options,
  });
}

export interface ScriptedOptions extends ServeOptions {
  /** Whether each reply begins with a thought. */
  readonly thinks?: boolean;
  /** The PARAMETER lines of its Modelfile. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** Starts serve with the model as `scripted`. */
export async function startScripted(
  options: ScriptedOptions = {},
): Promise<Served & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const { thinks = false, parameters } = options;
  await addModel(folder, "scripted:latest", [
    ["model", agentModel({ thinks })],
    ...(parameters ? [["params", parameters] as const] : []),
  ]);
  const served = await startServe({
    ...options,
    env: { OLLAMA_MODELS: folder, ...options.env },
  });
  return {
    ...served,
    async [Symbol.asyncDispose]() {
      await served.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Whether the model is at work: it is to stay for so long after its last request, which is now as long as there is one. */
export async function working(served: Pick<Served, "proxyUrl">): Promise<boolean> {
  const expires = async () => {
    const { models } = await (await fetch(`${served.proxyUrl}/api/ps`)).json();
    return models.find(({ name }: { name: string }) => name === "scripted:latest")?.expires_at;
  };
  const before = await expires();
  await new Promise((resolve) => setTimeout(resolve, 20));
  return before !== await expires();
}
