/** `secllama pull` as a user meets it: refused, asked about on a terminal, noted, offline. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeGguf } from "../../src/models/testing.ts";
import { cli, newHome, secllama } from "../support/serve.ts";
import { pushModel, registryIgnored, startDockerRegistry } from "./docker_registry.ts";
import { HANG_MS } from "../support/patience.ts";
import { tell } from "../support/signal.ts";

/** Runs a command on a terminal of its own (util-linux `script`) and types `answer`. */
async function onTerminal(
  args: readonly string[],
  o: { env: Record<string, string>; answer: string },
): Promise<{ code: number; text: string }> {
  const line = secllama(args)
    .map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("/usr/bin/script", {
    args: ["-qec", line, "/dev/null"],
    env: { ...o.env, TERM: "xterm", SHELL: "/bin/sh" },
    clearEnv: true,
    cwd: o.env["HOME"]!,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const decoder = new TextDecoder();
  let text = "";
  let typed = false;
  const timer = setTimeout(() => tell(child, "SIGKILL"), HANG_MS);
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (!typed && text.includes("[y/N]")) {
      typed = true;
      await writer.write(new TextEncoder().encode(`${o.answer}\n`));
    }
  }
  await writer.close().catch(() => {});
  const { code } = await child.status;
  await child.stderr.cancel();
  clearTimeout(timer);
  return { code, text };
}

Deno.test({
  name: "pull: the command",
  ignore: registryIgnored(),
  fn: async (t) => {
    await using registry = await startDockerRegistry();
    const { host } = registry;
    await pushModel(host, "me/mine:v1", [["model", makeGguf()], ["system", "Be kind."]]);
    const name = `${host}/me/mine:v1`;
    const { home, env } = await newHome();
    const config = join(home, ".local/share/secllama/config.toml");
    try {
      await t.step(
        "no registry is allowed at first, and a script is told which setting",
        async () => {
          const refused = await cli(["pull", name], { env });
          assert.equal(refused.code, 9);
          assert.match(
            refused.stderr,
            /^error: pulling from 127\.0\.0\.1:\d+ is not allowed\nhint: .*SECLLAMA_REGISTRIES.*registries = \["127/m,
          );
          await assert.rejects(Deno.stat(config), Deno.errors.NotFound);
        },
      );

      await t.step("on a terminal it asks; no is no", async () => {
        const { code, text } = await onTerminal(["pull", name], { env, answer: "n" });
        assert.equal(code, 9, text);
        assert.match(text, /Pull from 127\.0\.0\.1:\d+\? It learns your address/);
        await assert.rejects(Deno.stat(config), Deno.errors.NotFound);
      });

      await t.step("yes is noted, beside what the file says already", async () => {
        await Deno.writeTextFile(config, "# mine\nnum_parallel = 2\n");
        const { code, text } = await onTerminal(["pull", name], { env, answer: "y" });
        assert.equal(code, 0, text);
        assert.match(text, /\[#{24}\] 100% /);
        assert.match(text, /pulled 127\.0\.0\.1:\d+\/me\/mine:v1@sha256:[0-9a-f]{64} /);
        assert.equal(
          await Deno.readTextFile(config),
          `registries = ["${host}"]\n# mine\nnum_parallel = 2\n`,
        );
      });

      await t.step("then scripts may, quietly or as JSON lines", async () => {
        const again = await cli(["pull", name], { env });
        assert.equal(again.code, 0, again.stderr);
        assert.match(again.stdout, /^up to date \S+@sha256:[0-9a-f]{64} /);
        assert.equal(again.stderr, "");
        const json = await cli(["pull", name, "--json"], { env });
        const lines = json.stdout.trim().split("\n").map((line) => JSON.parse(line));
        assert.equal(lines[0].status, "pulling manifest");
        assert.equal(lines.at(-1).status, "success");
        assert.equal(lines.at(-1).name, name);
        const shown = await cli(["show", name, "--system"], { env });
        assert.equal(shown.stdout, "Be kind.\n");
      });

      await t.step("offline forbids it, by flag and by setting", async () => {
        for (
          const [args, more] of [
            [["pull", name, "--offline"], {}],
            [["pull", name], { SECLLAMA_OFFLINE: "true" }],
          ] as const
        ) {
          const { code, stderr } = await cli(args, { env: { ...env, ...more } });
          assert.equal(code, 9);
          assert.match(stderr, /^error: nothing is fetched: offline is on$/m);
        }
        const { code } = await cli(["pull", name], { env: { ...env, SECLLAMA_OFFLINE: "yes" } });
        assert.equal(code, 2);
      });
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});
