/** What `serve` shows on a terminal while a model is loaded. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { newHome, ROOT, secllama } from "../support/serve.ts";

Deno.test("serve on a terminal: how much of the model is loaded, as llama.cpp says", async () => {
  const { home, env } = await newHome();
  try {
    const serve = secllama(["serve", "--ephemeral", "--port=0", "--proxy-port=0"]);
    const child = new Deno.Command("/usr/bin/python3", {
      args: [join(ROOT, "tests/cli/terminal.py"), ...serve],
      env: { ...env, TERM: "xterm" },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    const steps = [["expect", "into its sandbox"], ["expect", "SecLlama is ready"], [
      "send",
      "\x03",
    ]];
    await writer.write(new TextEncoder().encode(JSON.stringify(steps)));
    await writer.close();
    const { seen, failed } = JSON.parse(new TextDecoder().decode((await child.output()).stdout));
    assert.equal(failed, null, seen);
    const shown = [...seen.matchAll(/loading demo\S* into its sandbox +(\d+)%/g)]
      .map((match) => Number(match[1]));
    assert.ok(shown.length > 0, seen);
    assert.deepEqual(shown, shown.toSorted((a, b) => a - b));
    assert.equal(shown.at(-1), 100);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
