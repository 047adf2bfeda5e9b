/** Agent libraries of npm, unmodified, in programs of their own, to the end of a tool's loop. With SECLLAMA_FULL=1 only. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AFTER, PROOF, startScripted } from "../support/agent_model.ts";
import { AGENTS_SKIPPED, installed } from "./agents/installed.ts";

/** Some 20,000 tokens. */
const LONG = "Read the file, then change a line of it. ".repeat(2000);
const SCRIPTS = new URL("./agents/", import.meta.url).pathname;

/** By script: how often each asks each prompt. */
const LIBRARIES = { openai_agents: 4, mastra: 2, langchain: 2 } as const;

const LIBRARY_PACKAGES = [
  "@langchain/core",
  "@langchain/openai",
  "@mastra/core",
  "@openai/agents",
  "langchain",
  "openai",
  "zod",
];

if (AGENTS_SKIPPED !== undefined) console.log(`SKIP agent libraries: ${AGENTS_SKIPPED}`);
Deno.test({
  name: "agent libraries: a tool's loop over 20,000 tokens, and two calls at once",
  ignore: AGENTS_SKIPPED !== undefined,
  async fn(t) {
    const programs = await installed("libraries", LIBRARY_PACKAGES);
    await using served = await startScripted();
    const proof = join(programs, PROOF);
    for (const [script, times] of Object.entries(LIBRARIES)) {
      await t.step(script, async () => {
        // Beside their packages, so that they are found.
        await Deno.copyFile(join(SCRIPTS, `${script}.mjs`), join(programs, `${script}.mjs`));
        await Deno.remove(proof).catch(() => {});
        const prompts = [`Do it. ${LONG}`, "Do both. USE:two_write_proof"];
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-lock", `${script}.mjs`, `${served.proxyUrl}/v1`, ...prompts],
          cwd: programs,
          stdout: "piped",
          stderr: "piped",
        }).output();
        const said = new TextDecoder().decode(stdout);
        assert.equal(code, 0, said + new TextDecoder().decode(stderr));
        assert.deepEqual(said.trim().split("\n"), Array(2 * times).fill(AFTER));
        const lines = (await Deno.readTextFile(proof)).trim().split("\n").toSorted();
        const each = (what: string) => Array(times).fill(`write_proof-${what}`);
        assert.deepEqual(lines, [...each("first"), ...each("once"), ...each("second")].toSorted());
      });
    }
  },
});
