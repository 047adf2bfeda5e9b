/** Somebody comes from Ollama: their folder, their variables, their words. docs/from-ollama.md's commands run as printed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeGguf } from "../../src/models/testing.ts";
import { addModel } from "../support/ollama_folder.ts";
import { cli, newHome, ROOT, secllama, startServe } from "../support/serve.ts";

/** What each block prints when it worked. */
const EXPECTED: { readonly [name: string]: RegExp } = {
  list:
    /NAME +ID +SIZE +MODEL +MODIFIED +WHERE\ndemo:latest [^]*\ntiny:latest .* seconds? ago +ollama\n/,
  config: /tiny:latest .* ollama\n/,
  copy: /^copied tiny:latest to mine:latest\n[^]*architecture +llama/,
};

Deno.test("docs/from-ollama.md: every command that is marked as tested works as printed", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs/from-ollama.md"));
  const blocks = [...page.matchAll(/<!-- tested: (\w+) -->\s*```sh\n([^]*?)```/g)];
  assert.deepEqual(blocks.map((match) => match[1]), Object.keys(EXPECTED));
  const { home, env } = await newHome();
  try {
    await addModel(join(home, ".ollama/models"), "tiny:latest", [["model", makeGguf()]]);
    await Deno.writeTextFile(
      join(home, "secllama"),
      `#!/bin/sh\nexec ${secllama([]).join(" ")} "$@"\n`,
      { mode: 0o755 },
    );
    let offered = "";
    for (const [, name, script] of blocks) {
      const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
        args: ["-e", "-c", script!],
        cwd: home,
        env: { ...env, PATH: `${home}:/usr/bin:/bin` },
        clearEnv: true,
        stdin: "null",
      }).output();
      const out = new TextDecoder().decode(stdout);
      const err = new TextDecoder().decode(stderr);
      assert.equal(code, 0, `${name}:\n${out}\n${err}`);
      assert.match(out, EXPECTED[name!]!, name);
      offered += err;
    }
    // Offered once: not where the folder is named, nor where the config file names it.
    assert.equal(offered.match(/an Ollama store is in/g)?.length, 1, offered);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("from Ollama: words that are nearly a command's, or Ollama's own", async () => {
  const { home, env } = await newHome();
  try {
    const hint = async (...args: string[]) => (await cli(args, { env })).stderr;
    assert.match(await hint("lits"), /hint: did you mean: secllama list\n/);
    assert.match(await hint("docter"), /hint: did you mean: secllama doctor\n/);
    assert.match(await hint("push", "x"), /hint: SecLlama sends no model anywhere\n/);
    assert.match(
      await hint("signin"),
      /hint: to sign in to a gateway of .*: secllama login ADDRESS/,
    );
    assert.match(await hint("frobnicate"), /hint: for all commands, run: secllama help\n/);
    assert.match(await hint("show", "dmeo"), /hint: did you mean demo\?/);
    assert.match((await cli(["-v"], { env })).stdout, /^secllama /);
    assert.equal((await cli(["ls", "--json"], { env })).code, 0);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("from Ollama: its variables hold for serve, and those without effect are named", async () => {
  const served = await startServe({
    env: { OLLAMA_CONTEXT_LENGTH: "300", OLLAMA_FLASH_ATTENTION: "1", OLLAMA_HOST: "0.0.0.0:1" },
  });
  try {
    const { models } = await (await fetch(`${served.proxyUrl}/api/ps`)).json();
    assert.equal(models[0].context_length, 300);
    assert.match(served.stderr(), /OLLAMA_FLASH_ATTENTION has no effect/);
    assert.match(served.stderr(), /OLLAMA_HOST counts for its port only: the proxy listens on/);
    // A command that asks says so too, unless its proxy was named.
    const told = async (host: string, ...args: string[]) =>
      /warning: OLLAMA_HOST/.test(
        (await cli(["ps", ...args], { env: { ...served.env, OLLAMA_HOST: host } })).stderr,
      );
    assert.equal(await told("192.0.2.7:1"), true);
    assert.equal(await told("127.0.0.1:1"), false);
    assert.equal(await told("192.0.2.7:1", "--proxy-port=1"), false);
  } finally {
    await served.stop();
  }
});
