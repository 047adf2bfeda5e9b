/**
 * Agent libraries of npm, unmodified, in programs of their own: a tool's loop to its end, a second turn, a cancelled answer, a tool
 * of an MCP server. With SECLLAMA_FULL=1 only.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AFTER, PROOF, startScripted, TEXT, working } from "../support/agent_model.ts";
import { settled, until } from "../support/patience.ts";
import { AGENTS_SKIPPED, installed } from "./agents/installed.ts";

/** Some 20,000 tokens. */
const LONG = "Read the file, then change a line of it. ".repeat(2000);
const SCRIPTS = new URL("./agents/", import.meta.url).pathname;

interface Library {
  /** How often it asks each prompt of a loop. */
  readonly times: number;
  /** Over how many APIs it has a second turn. */
  readonly turns: number;
  /** A text: why its tools of MCP servers are not tried. */
  readonly mcp: true | string;
}

/** By script. */
const LIBRARIES: Readonly<Record<string, Library>> = {
  openai_agents: { times: 4, turns: 2, mcp: true },
  mastra: { times: 2, turns: 1, mcp: "its adapter is a package of its own, with a server's too" },
  langchain: { times: 2, turns: 1, mcp: true },
};

const LIBRARY_PACKAGES = [
  "@langchain/core",
  "@langchain/mcp-adapters",
  "@langchain/openai",
  "@mastra/core",
  "@openai/agents",
  "langchain",
  "openai",
  "zod",
];

if (AGENTS_SKIPPED !== undefined) console.log(`SKIP agent libraries: ${AGENTS_SKIPPED}`);
Deno.test({
  name: "agent libraries: a loop over 20,000 tokens, two calls at once, a second turn, cancel, MCP",
  ignore: AGENTS_SKIPPED !== undefined,
  async fn(t) {
    const programs = await installed("libraries", LIBRARY_PACKAGES);
    await using served = await startScripted();
    const proof = join(programs, PROOF);
    // Beside their packages, so that they are found.
    for (const name of ["steps", "mcp_server", ...Object.keys(LIBRARIES)]) {
      await Deno.copyFile(join(SCRIPTS, `${name}.mjs`), join(programs, `${name}.mjs`));
    }
    const start = (script: string, args: readonly string[]) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-lock", `${script}.mjs`, `${served.proxyUrl}/v1`, ...args],
        cwd: programs,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    /** What it prints, line by line, and what its tool wrote. */
    const run = async (script: string, args: readonly string[]) => {
      await Deno.remove(proof).catch(() => {});
      const child = start(script, args);
      await child.stdin.close();
      const { code, stdout, stderr } = await child.output();
      const said = new TextDecoder().decode(stdout);
      assert.equal(code, 0, said + new TextDecoder().decode(stderr));
      const lines = (await Deno.readTextFile(proof).catch(() => "")).trim().split("\n").toSorted();
      return { said: said.trim().split("\n"), lines };
    };
    for (const [script, { times, turns, mcp }] of Object.entries(LIBRARIES)) {
      await t.step(`${script}: loops`, async () => {
        const prompts = [`Do it. ${LONG}`, "Do both. USE:two_write_proof"];
        const { said, lines } = await run(script, ["loop", ...prompts]);
        assert.deepEqual(said, Array(2 * times).fill(AFTER));
        const each = (what: string) => Array(times).fill(`write_proof-${what}`);
        assert.deepEqual(lines, [...each("first"), ...each("once"), ...each("second")].toSorted());
      });
      await t.step(`${script}: a second turn`, async () => {
        const { said, lines } = await run(script, ["again"]);
        assert.deepEqual(said, Array(turns).fill(TEXT));
        assert.deepEqual(lines, Array(turns).fill("write_proof-once"));
      });
      await t.step(`${script}: cancelled in an answer without an end`, async () => {
        const child = start(script, ["cancel"]);
        const errors = new Response(child.stderr).text();
        const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
        const { value } = await settled(reader.read(), "its word");
        // It goes on: what frees the model is the cancel, and not its end.
        if (value === "cancelled\n") await until(async () => !await working(served), "it is free");
        await child.stdin.close();
        await reader.cancel();
        assert.equal((await child.status).code, 0, await errors);
        assert.equal(value, "cancelled\n", await errors);
      });
      if (typeof mcp === "string") console.log(`SKIP ${script}, MCP: ${mcp}`);
      await t.step({
        name: `${script}: a tool of an MCP server`,
        ignore: mcp !== true,
        fn: async () => {
          const { said, lines } = await run(script, ["mcp", "mcp_server.mjs", programs]);
          assert.deepEqual([said, lines], [[AFTER], ["write_proof-once"]]);
        },
      });
    }
  },
});
