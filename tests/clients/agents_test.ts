/**
 * Coding agents of npm, unmodified, each started by `secllama launch` as docs/agents.md says, to the end of a loop: the model
 * asks for a tool, the agent runs it, a file is written, the model reads the result. With SECLLAMA_FULL=1 only.
 */
import assert from "node:assert/strict";
import { delimiter, dirname, join } from "node:path";
import { AFTER, PROOF, startScripted, TEXT, working } from "../support/agent_model.ts";
import { HANG_MS, until } from "../support/patience.ts";
import { newHome, secllama, type Served } from "../support/serve.ts";
import { AGENTS_SKIPPED, installed } from "./agents/installed.ts";
import { tell } from "../support/signal.ts";

/** Some 20,000 tokens beside what the agent itself says. */
const LONG = "Read the file, then change a line of it. ".repeat(2000);
const MCP = new URL("./agents/mcp_server.mjs", import.meta.url).pathname;

interface Case {
  /** The word for `secllama launch`. */
  readonly agent: string;
  /** Its package. */
  readonly npm: string;
  /** Its shell tool. */
  readonly tool: string;
  /** Its name of the MCP server's tool. */
  readonly mcpTool: string;
  /** Arguments that ask once, without a question to the user. @param file Holds the prompt, as it may be too long for an argument. */
  ask(prompt: string): Ask;
  /** The same in the conversation of before; a text: why it is not tried. */
  readonly again: ((prompt: string) => Ask) | string;
  /** Makes the MCP server known to it, by a file or by arguments, which it returns; a text: why it has none. */
  readonly mcp: ((place: Place) => Promise<string[]>) | string;
}

interface Ask {
  readonly args: string[];
  readonly stdin?: string;
}

/** Where an agent works. */
interface Place {
  readonly folder: string;
  readonly home: string;
  /** Of the proxy. */
  readonly url: string;
}

const server = (folder: string) => ({ command: "node", args: [MCP, folder] });

async function put(folder: string, name: string, value: unknown): Promise<string> {
  const path = join(folder, name);
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, JSON.stringify(value));
  return path;
}

const CASES: readonly Case[] = [
  {
    agent: "claude",
    npm: "@anthropic-ai/claude-code",
    tool: "Bash",
    mcpTool: "mcp__proof__write_proof",
    ask: (stdin) => ({ args: ["-p", "--allowedTools", "Bash,mcp__proof__write_proof"], stdin }),
    again: (stdin) => ({ args: ["-p", "--continue", "--allowedTools", "Bash"], stdin }),
    async mcp({ folder }) {
      const path = await put(folder, "mcp.json", { mcpServers: { proof: server(folder) } });
      return ["--mcp-config", path];
    },
  },
  {
    agent: "codex",
    npm: "@openai/codex",
    tool: "exec_command",
    mcpTool: "mcp__proof__write_proof",
    ask: (stdin) => ({
      args: ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-"],
      stdin,
    }),
    again: (stdin) => ({
      args: [
        "exec",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        "resume",
        "--last",
        "-",
      ],
      stdin,
    }),
    mcp: ({ folder }) =>
      Promise.resolve([
        "-c",
        `mcp_servers.proof={command="node",args=${JSON.stringify([MCP, folder])}}`,
      ]),
  },
  {
    agent: "opencode",
    npm: "opencode-ai",
    tool: "bash",
    mcpTool: "proof_write_proof",
    ask: (stdin) => ({ args: ["run"], stdin }),
    again: (stdin) => ({ args: ["run", "--continue"], stdin }),
    async mcp({ folder }) {
      const { command, args } = server(folder);
      const proof = { type: "local", command: [command, ...args], enabled: true };
      await put(folder, "opencode.json", { mcp: { proof } });
      return [];
    },
  },
  {
    agent: "qwen",
    npm: "@qwen-code/qwen-code",
    tool: "run_shell_command",
    // Tools of servers are deferred: the model is shown their names, and this tool to call them by.
    mcpTool: "tool_call",
    ask: (stdin) => ({ args: ["--yolo", "-p", "Do it."], stdin }),
    again: (stdin) => ({ args: ["--yolo", "--continue", "-p", "Do it."], stdin }),
    // A server that .qwen/settings.json names waits until somebody approves of it; one of this argument does not.
    async mcp({ folder }) {
      const path = await put(folder, "mcp.json", { mcpServers: { proof: server(folder) } });
      return ["--mcp-config", path];
    },
  },
  {
    agent: "copilot",
    npm: "@github/copilot",
    tool: "bash",
    mcpTool: "proof-write_proof",
    ask: (prompt) => ({ args: ["--allow-all-tools", "-p", prompt] }),
    again: (prompt) => ({ args: ["--allow-all-tools", "--continue", "-p", prompt] }),
    async mcp({ folder }) {
      const proof = { type: "local", tools: ["*"], ...server(folder) };
      const path = await put(folder, "mcp.json", { mcpServers: { proof } });
      return ["--additional-mcp-config", `@${path}`];
    },
  },
  {
    agent: "cline",
    npm: "cline",
    tool: "run_commands",
    mcpTool: "proof__write_proof",
    ask: (prompt) => ({ args: [prompt] }),
    again: "it goes on with a conversation in a terminal only",
    async mcp({ folder, home }) {
      const mcpServers = { proof: server(folder) };
      await put(home, ".cline/data/settings/cline_mcp_settings.json", { mcpServers });
      return [];
    },
  },
  {
    agent: "pi",
    npm: "@mariozechner/pi-coding-agent",
    tool: "bash",
    mcpTool: "",
    ask: (prompt) => ({ args: ["-p", prompt] }),
    again: (prompt) => ({ args: ["--continue", "-p", prompt] }),
    mcp: "it has no MCP, by its makers' choice",
  },
  {
    agent: "continue",
    npm: "@continuedev/cli",
    tool: "Bash",
    mcpTool: "write_proof",
    ask: (prompt) => ({ args: ["--auto", "-p", prompt] }),
    again: (prompt) => ({ args: ["--auto", "--resume", "-p", prompt] }),
    // Servers stand in its configuration only, so it gets one of the user's, which counts more than that of launch.
    async mcp({ folder, url }) {
      const path = await put(folder, "mine.yaml", {
        name: "mine",
        version: "1.0.0",
        schema: "v1",
        models: [{
          name: "scripted",
          provider: "openai",
          model: "scripted",
          apiBase: `${url}/v1`,
          apiKey: "unused",
          capabilities: ["tool_use"],
        }],
        mcpServers: [{ name: "proof", ...server(folder) }],
      });
      return ["--config", path];
    },
  },
];

/** One agent in a folder of its own. */
class Desk {
  readonly #served: Served;
  readonly #env: Record<string, string>;
  readonly #agent: string;
  readonly folder: string;

  constructor(served: Served, agent: string, o: { env: Record<string, string>; folder: string }) {
    this.#served = served;
    this.#agent = agent;
    this.#env = o.env;
    this.folder = o.folder;
  }

  async start({ args, stdin = "" }: Ask): Promise<Deno.ChildProcess> {
    const port = new URL(this.#served.proxyUrl).port;
    const [program, ...argv] = secllama([
      "launch",
      this.#agent,
      "--proxy-port",
      port,
      "--",
      ...args,
    ]);
    const child = new Deno.Command(program!, {
      args: argv,
      env: this.#env,
      clearEnv: true,
      cwd: this.folder,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
    await writer.close().catch(() => {});
    return child;
  }

  async run(what: Ask): Promise<string> {
    const child = await this.start(what);
    const timer = setTimeout(() => tell(child, "SIGKILL"), HANG_MS);
    const { code, stdout, stderr } = await child.output();
    clearTimeout(timer);
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.equal(code, 0, said.slice(-3000));
    return said;
  }

  async proof(): Promise<string[]> {
    const text = await Deno.readTextFile(join(this.folder, PROOF)).catch(() => "");
    await Deno.remove(join(this.folder, PROOF)).catch(() => {});
    return text.trim().split("\n");
  }
}

const only = (Deno.env.get("SECLLAMA_AGENT") ?? "").split(",").filter((one) => one !== "");

for (const { agent, npm, tool, mcpTool, ask, again, mcp } of CASES) {
  if (only.length > 0 && !only.includes(agent)) continue;
  if (AGENTS_SKIPPED !== undefined) console.log(`SKIP ${agent}: ${AGENTS_SKIPPED}`);
  Deno.test({
    name: `agents: ${agent}, started by launch`,
    ignore: AGENTS_SKIPPED !== undefined,
    async fn(t) {
      const programs = await installed(agent, [npm]);
      await using served = await startScripted();
      const { env } = await newHome();
      const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
      const path = [join(programs, "node_modules/.bin"), "/usr/local/bin", env["PATH"]!];
      const place = { folder, home: served.home, url: served.proxyUrl };
      const desk = new Desk(served, agent, {
        folder,
        env: { ...env, HOME: served.home, PATH: path.join(delimiter), CI: "1" },
      });
      try {
        await t.step("a tool's loop over a prompt of 20,000 tokens", async () => {
          const said = await desk.run(ask(`Do it. ${LONG}`));
          assert.ok(said.includes(AFTER), said.slice(-2000));
          assert.deepEqual(await desk.proof(), [`${tool}-once`]);
        });
        if (typeof again === "string") console.log(`SKIP ${agent}, a second turn: ${again}`);
        await t.step({
          name: "a second turn of the same conversation",
          ignore: typeof again === "string",
          fn: async () => {
            if (typeof again === "string") return;
            const said = await desk.run(again("And now say hello. USE:text"));
            assert.ok(said.includes(TEXT), said.slice(-2000));
          },
        });
        await t.step("two calls at once", async () => {
          const said = await desk.run(ask(`Do both. USE:two_${tool}`));
          assert.ok(said.includes(AFTER), said.slice(-2000));
          assert.deepEqual((await desk.proof()).toSorted(), [`${tool}-first`, `${tool}-second`]);
        });
        if (typeof mcp === "string") console.log(`SKIP ${agent}, MCP: ${mcp}`);
        await t.step({
          name: "a tool of an MCP server",
          ignore: typeof mcp === "string",
          fn: async () => {
            if (typeof mcp === "string") return;
            const { args, ...rest } = ask(`Use it. USE:call_${mcpTool}`);
            const said = await desk.run({ args: [...await mcp(place), ...args], ...rest });
            assert.ok(said.includes(AFTER), said.slice(-2000));
            assert.deepEqual(await desk.proof(), [`${mcpTool}-once`]);
          },
        });
        await t.step(
          "cancelled in an answer without an end, it leaves the model free",
          async () => {
            const child = await desk.start(ask("Go on. USE:endless"));
            const output = child.output();
            await until(() => working(served), "the model answers");
            child.kill("SIGTERM");
            await output;
            await until(async () => !await working(served), "the model is free");
          },
        );
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
