/** `secllama launch AGENT`: starts a coding agent that uses a model of this machine, with nothing of its own configuration changed. */
import { delimiter, join } from "node:path";
import { askedProxyOf } from "./proxy.ts";
import { EXIT, SecLlamaError } from "../../errors.ts";
import { closest } from "../../suggest.ts";
import { type Command, type CommandContext, flag, stringOption } from "../command.ts";
import { ASKED_PROXY_OPTION } from "../settings.ts";
import { SAME_SIGNAL_MS, takeSignal } from "../signals.ts";
import { tempFolder } from "../../temp_folder.ts";
import { type Agent, AGENTS, type Setup } from "./agents.ts";
import { chooseModel } from "./model.ts";
import { endTree } from "./process_tree.ts";

export const launchCommand: Command = {
  path: ["launch"],
  summary: "Start a coding agent that uses a model of SecLlama",
  arguments: `${Object.keys(AGENTS).join("|")} [ARGUMENT...]`,
  minPositionals: 1,
  maxPositionals: Infinity,
  options: {
    ...ASKED_PROXY_OPTION,
    model: { type: "string", value: "MODEL", help: "which model (default: the only one that can)" },
    print: { type: "boolean", help: "show what would be set and started, and start nothing" },
  },
  details: `Agents: ${
    Object.entries(AGENTS).map(([word, { title }]) => `${word} (${title})`).join(", ")
  }.
What stands after -- is the agent's: secllama launch codex -- exec "Say hello"
It checks that SecLlama's own proxy answers (and starts one if none does), and that the model can call tools. The agent gets its settings by
environment, arguments and files that are gone when it ends; your own configuration of it stays as it is. --print starts nothing, so
that a proxy must run.
For more: secllama help agents`,
  async run(context) {
    const [word, ...args] = context.positionals;
    const agent = agentOf(word!);
    const program = flag(context, "print")
      ? undefined
      : await programOf(agent, context.env["PATH"] ?? "");
    await using proxy = await askedProxyOf(context, { start: program !== undefined });
    const target = await chooseModel(proxy, stringOption(context, "model"), context);
    if (program === undefined) {
      const setup = agent.setup({ ...target, folder: FOLDER });
      for (const line of printed(agent, setup, args)) context.tui.out(line);
      return EXIT.ok;
    }
    using folder = await tempFolder({ prefix: "secllama-agent-" });
    const setup = agent.setup({ ...target, folder: folder.path });
    for (const [name, text] of Object.entries(setup.files ?? {})) {
      await Deno.writeTextFile(join(folder.path, name), text, { mode: 0o600, createNew: true });
    }
    return await runAgent(context, { agent, program, setup, args });
  },
};

/** @throws {SecLlamaError} `usage`. */
function agentOf(word: string): Agent {
  if (Object.hasOwn(AGENTS, word)) return AGENTS[word]!;
  const words = Object.keys(AGENTS);
  const near = closest(word, words);
  throw new SecLlamaError("usage", "no agent of that name is known", {
    field: "AGENT",
    hint: near === undefined ? `the agents are ${words.join(", ")}` : `did you mean ${near}?`,
  });
}

/** Stands for the folder of the files in what is printed: the shell makes one. */
const FOLDER = "\0";

/** As a shell would take it. */
function printed(
  agent: Agent,
  { env, args: own, files = {} }: Setup,
  args: readonly string[],
): string[] {
  const start = [agent.program, ...own, ...args].map(quoted).join(" ");
  return [
    ...agent.without.map((name) => `unset ${name}`),
    ...(Object.keys(files).length === 0 ? [] : ["folder=$(mktemp -d)"]),
    ...Object.entries(files).map(([name, text]) =>
      `printf '%s\\n' ${quoted(text)} > "$folder"/${name}`
    ),
    ...Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`),
    start,
  ];
}

function quoted(text: string): string {
  return text.split(FOLDER).map((part) =>
    /^[A-Za-z0-9_./:=@%+,-]*$/.test(part) && text !== ""
      ? part
      : `'${part.replaceAll("'", "'\\''")}'`
  ).join('"$folder"');
}

/** An agent's shell shows it to the model, and the agent speaks to others besides. */
const SECRET = "SECLLAMA_KEY";

async function runAgent(
  { env }: CommandContext,
  { agent, program, setup, args }: {
    agent: Agent;
    program: string;
    setup: Setup;
    args: readonly string[];
  },
): Promise<number> {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && name !== SECRET && !agent.without.includes(name)) {
      own[name] = value;
    }
  }
  const child = new Deno.Command(program, {
    args: [...setup.args, ...args],
    env: { ...own, ...setup.env },
    clearEnv: true,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  using _signals = endedBySignals(child.pid);
  return (await child.status).code;
}

/** A window that is closed says SIGHUP. */
const ENDING: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM", "SIGHUP"];

/** A signal tells the agent to end, another one ends it: what was made for it is taken away only after that. */
function endedBySignals(pid: number): Disposable {
  let first: number | undefined;
  const end = () => {
    const now = performance.now();
    first ??= now;
    endTree(pid, now - first < SAME_SIGNAL_MS ? "SIGTERM" : "SIGKILL");
  };
  const taken = new DisposableStack();
  for (const signal of ENDING) taken.use(takeSignal(signal, end));
  return taken;
}

/** Its program, by the PATH. @throws {SecLlamaError} `not-found`. */
async function programOf(agent: Agent, path: string): Promise<string> {
  const endings = Deno.build.os === "windows" ? [".exe", ".cmd"] : [""];
  for (const folder of path.split(delimiter).filter((one) => one !== "")) {
    for (const ending of endings) {
      const program = join(folder, agent.program + ending);
      const info = await Deno.stat(program).catch(() => undefined);
      if (info?.isFile) return program;
    }
  }
  throw new SecLlamaError("usage", `${agent.title} is not installed: no ${agent.program} in PATH`, {
    hint: `to install it: npm install --global ${agent.package}`,
  });
}
