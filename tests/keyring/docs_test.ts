/** Runs the commands of docs/keys.md that are marked as tested, in their order, as the page prints them. */
import assert from "node:assert/strict";
import { keyringIgnored, startKeyring } from "./daemon.ts";
import { makeProgram, permissions } from "./program.ts";

/** What each block prints when it worked. */
const EXPECTED: { readonly [name: string]: RegExp } = {
  make: /^$/,
  fd: /^key [0-9a-f]{16} from a file descriptor/m,
  ci: /"backend": "secret-service"[^]*"exitCode": 0/,
  credential: /^key [0-9a-f]{16} from a systemd credential/m,
  ssh: /locked +no[^]*active key +[0-9a-f]{16}/,
  file: /made the key [0-9a-f]{16} in a passphrase-wrapped file\nthe active key is/,
  recover: /rebuilt the keyset from a passphrase-wrapped file: 2 keys/,
  backup: /wrote 2 keys to backup\.json\nadded 2, put back 0, there already 0/,
};

Deno.test({
  name: "docs/keys.md: every command that is marked as tested works as printed",
  ignore: keyringIgnored(),
  fn: async () => {
    const page = await Deno.readTextFile(new URL("../../docs/keys.md", import.meta.url));
    const blocks = [...page.matchAll(/<!-- tested: (\w+) -->\s*```sh\n([^]*?)```/g)];
    assert.deepEqual(blocks.map((match) => match[1]), Object.keys(EXPECTED));

    const folder = await Deno.makeTempDir({ prefix: "secllama-docs-" });
    try {
      const program = await makeProgram(folder);
      await Deno.writeTextFile(
        `${folder}/secllama`,
        `#!/bin/sh\nexec ${program.deno} run ${
          permissions("$HOME").join(" ")
        } ${program.script} "$@"\n`,
        { mode: 0o755 },
      );
      // The keyring that the SSH section unlocks is one that a desktop login made before.
      const login = await startKeyring({ password: "the login password", home: `${folder}/home` });
      const env: Record<string, string> = {
        ...login.env,
        PATH: `${folder}:/usr/bin:/bin`,
      };
      const manager = await new Deno.Command(`${folder}/secllama`, {
        args: ["key", "init"],
        env,
        clearEnv: true,
      }).output();
      assert.equal(manager.code, 0, new TextDecoder().decode(manager.stderr));
      await login.close();
      delete env["DBUS_SESSION_BUS_ADDRESS"];
      const work = `${folder}/home/work`;
      await Deno.mkdir(work);
      await Deno.writeTextFile(`${work}/passphrase.txt`, "a long passphrase\n");

      for (const [, name, script] of blocks) {
        // CI starts with nothing; the SSH session finds the login keyring; the rest shares one data folder.
        const blockEnv = name === "ssh" ? env : name === "ci"
          ? {
            ...env,
            XDG_DATA_HOME: `${folder}/home/ci`,
            XDG_CONFIG_HOME: `${folder}/home/ci`,
            XDG_RUNTIME_DIR: `${folder}/home/ci`,
          }
          : { ...env, SECLLAMA_DATA_DIR: `${folder}/home/service` };
        if (name === "ci") await Deno.mkdir(`${folder}/home/ci`, { mode: 0o700 });
        const child = new Deno.Command("/bin/sh", {
          args: ["-e", "-c", script!],
          cwd: work,
          env: blockEnv,
          clearEnv: true,
          stdin: "piped",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const stdin = child.stdin.getWriter();
        await stdin.write(new TextEncoder().encode("the login password\n")).catch(() => {});
        await stdin.close().catch(() => {});
        const { code, stdout, stderr } = await child.output();
        const out = new TextDecoder().decode(stdout);
        assert.equal(code, 0, `${name}:\n${out}\n${new TextDecoder().decode(stderr)}`);
        assert.match(out, EXPECTED[name!]!, name);
      }
      assert.equal((await Deno.stat(`${work}/secllama.key`)).mode! & 0o777, 0o600);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
