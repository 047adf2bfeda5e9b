/**
 * Runs the commands of docs/remote.md that are marked as tested, in their order, as the page prints them. In a network
 * namespace of their own, since one of them listens on every address.
 */
import assert from "node:assert/strict";
import { secllama } from "../support/serve.ts";
import { Lab, labIgnored } from "./lab.ts";

/** What each block prints when it worked. */
const EXPECTED: { readonly [name: string]: RegExp } = {
  words: /^([a-z]+ ){9}[a-z]+$/m,
  take: /^paired with office, https:\/\/127\.0\.0\.1:\d+\/\n$/,
  run: /(?:network|socket)[^]*demo:latest .*127\.0\.0\.1:\d+\n$/i,
  pair: /^laptop-amelie .*key current\nlaptop-bela .*key current\nlaptop-chloe .*key current\n$/,
  laptop:
    /^paired with office, https:\/\/127\.0\.0\.1:\d+\/\n\* office .*https:\/\/127\.0\.0\.1:\d+\/\n$/,
  end:
    /laptop-bela is now laptop-david\nthe active key is [0-9a-f]{16}[^]*revoked laptop-chloe[^]*"key": "revoked"/,
};

Deno.test({
  name: "docs/remote.md: every command that is marked as tested works as printed",
  ignore: labIgnored(),
  fn: async () => {
    const page = await Deno.readTextFile(new URL("../../docs/remote.md", import.meta.url));
    const blocks = [...page.matchAll(/<!-- tested: (\w+) -->\s*```sh\n([^]*?)```/g)];
    assert.deepEqual(blocks.map((match) => match[1]), Object.keys(EXPECTED));
    await using lab = await Lab.make();
    // Neither machine of the test has a desktop's key store: each has a key file, as keys.md describes.
    const program = `${lab.folder}/bin/secllama`;
    await Deno.mkdir(`${lab.folder}/bin`);
    const words = secllama([]).map((word) => `'${word}'`).join(" ");
    await Deno.writeTextFile(
      program,
      `#!/bin/sh\nkeys="--key-file $SECLLAMA_DATA_DIR.key --passphrase-fd 4"\n` +
        `case "$*" in *--pairings*) keys= ;; esac\n` +
        `exec ${words} "$@" $keys 4<"${lab.folder}/passphrase"\n`,
      { mode: 0o755 },
    );
    const env = (side: string) => ({
      PATH: `${lab.folder}/bin:/usr/bin:/bin`,
      SECLLAMA_DATA_DIR: `${lab.folder}/${side}/data`,
    });
    let shown = "";
    for (const [, name, script] of blocks) {
      const side = ["take", "run", "laptop"].includes(name!) ? "laptop" : "host";
      const more = name === "run" ? { SECLLAMA_PROXY_PORT: "1" } : {};
      const options = { env: { ...env(side), ...more } };
      if (name === "words") {
        // It waits for the laptop while the gateway is started in another terminal.
        const offer = lab.start("host", ["/bin/sh", "-e", "-c", script!], options);
        shown = (await offer.saw(EXPECTED[name]!))[0];
        assert.ok(page.includes("\nsecllama serve --host 0.0.0.0\n"));
        const serve = [program, "serve", "--host", "0.0.0.0"];
        await lab.start("host", serve, options).saw(/isolation strict/);
        continue;
      }
      const { code, out, err } = await lab.run("host", ["/bin/sh", "-e", "-c", script!], {
        ...options,
        ...(name === "take" ? { stdin: shown } : {}),
      });
      assert.equal(code, 0, `${name}:\n${out}\n${err}`);
      assert.match(out, EXPECTED[name!]!, name);
    }
  },
});
