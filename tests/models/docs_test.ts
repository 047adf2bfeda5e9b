/** Runs the commands of docs/models.md that are marked as tested, in their order, as the page prints them. */
import assert from "node:assert/strict";
import { makeGguf } from "../../src/models/testing.ts";
import { pushModel, registryIgnored, startDockerRegistry } from "../pull/docker_registry.ts";
import { newHome, secllama } from "../support/serve.ts";

/** What each block prints when it worked. */
const EXPECTED: { readonly [name: string]: RegExp } = {
  import:
    /^imported my-model:latest [^]*\nmy-model:latest [^]*architecture +llama[^]*ok +my-model:latest\n/,
  create:
    /^created brief:latest [^]*\nFROM brief:latest\nSYSTEM """\nAnswer in one sentence\.\n"""\nPARAMETER temperature 0\.2\n[^]*\ncopied brief to brief:v2\nremoved brief:latest, 0 B freed\n$/,
  pull:
    /^refused with 9\npulled \S+\/me\/tiny:v1@sha256:\S+ [^\n]*\nup to date [^\n]*\nrefused with 9\n$/,
};

Deno.test({
  name: "docs/models.md: every command that is marked as tested works as printed",
  ignore: registryIgnored(),
  fn: async () => {
    const page = await Deno.readTextFile(new URL("../../docs/models.md", import.meta.url));
    const blocks = [...page.matchAll(/<!-- tested: (\w+) -->\s*```sh\n([^]*?)```/g)];
    assert.deepEqual(blocks.map((match) => match[1]), Object.keys(EXPECTED));
    await using registry = await startDockerRegistry();
    const digest = await pushModel(registry.host, "me/tiny:v1", [["model", makeGguf({ fill: 2 })]]);
    const { home, env } = await newHome();
    try {
      await Deno.writeTextFile(
        `${home}/secllama`,
        `#!/bin/sh\nexec ${secllama([]).join(" ")} "$@"\n`,
        { mode: 0o755 },
      );
      await Deno.writeFile(`${home}/my-model.gguf`, makeGguf());
      for (const [, name, script] of blocks) {
        const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
          args: ["-e", "-c", script!],
          cwd: home,
          env: { ...env, PATH: `${home}:/usr/bin:/bin`, REGISTRY: registry.host, DIGEST: digest },
          clearEnv: true,
          stdin: "null",
        }).output();
        const out = new TextDecoder().decode(stdout);
        assert.equal(code, 0, `${name}:\n${out}\n${new TextDecoder().decode(stderr)}`);
        assert.match(out, EXPECTED[name!]!, name);
      }
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});
