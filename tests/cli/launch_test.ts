/** `secllama launch`: the commands of docs/agents.md as they stand there, with programs in the agents' places that say what they got. */
import assert from "node:assert/strict";
import { delimiter, join } from "node:path";
import { AGENTS } from "../../src/cli/launch/agents.ts";
import { startScripted } from "../support/agent_model.ts";
import { until } from "../support/patience.ts";
import { cli, ROOT, secllama } from "../support/serve.ts";
import { denoDir } from "../support/deno_dir.ts";
import { tell } from "../support/signal.ts";

const page = await Deno.readTextFile(join(ROOT, "docs/agents.md"));
const printed = [...page.matchAll(/^ {4}secllama (launch .*)$/gm)].map(([, line]) => line!);
const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** Where an agent has a command with more words, a plain run leaves out the one without. */
const commands = printed.filter((line) =>
  FULL || !printed.some((longer) => longer.startsWith(`${line} `))
);
if (!FULL) {
  const left = printed.length - commands.length;
  console.log(`skipped: ${left} shorter commands, two shells; set SECLLAMA_FULL=1`);
}

const KEY = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;

/** As a shell takes them apart: words, and texts between double quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
}

/** A process that has ended and that nobody waits for is gone. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

Deno.test("launch: docs/agents.md has a section for each agent, which names its package", () => {
  for (const [word, agent] of Object.entries(AGENTS)) {
    const section = page.split(/^## /m).find((one) => one.startsWith(agent.title));
    assert.ok(section, agent.title);
    assert.ok(section.includes(`npm install --global ${agent.package}\n`), agent.package);
    assert.ok(section.includes(`secllama launch ${word}`), word);
  }
});

Deno.test("launch: each command of docs/agents.md, and what goes wrong", async (t) => {
  await using served = await startScripted();
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  for (const { program } of Object.values(AGENTS)) {
    const script = `#!/bin/sh
env
for one in "$@"; do echo "argument $one"; done
for one in "$@" "$CLINE_PROVIDER_SETTINGS_PATH"; do
  case "$one" in "$TMPDIR"/*) echo "file $one"; ls -l "$(dirname "$one")"; cat "$one" ;; esac
done
exit 7
`;
    await Deno.writeTextFile(join(folder, program), script, { mode: 0o755 });
  }
  const port = new URL(served.proxyUrl).port;
  const tmp = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const env = {
    TMPDIR: tmp,
    HOME: served.home,
    PATH: [folder, "/usr/bin", "/bin"].join(delimiter),
    NO_COLOR: "1",
    ANTHROPIC_API_KEY: "sk-real",
    OPENAI_API_KEY: "sk-real",
    SECLLAMA_KEY: KEY,
    SECLLAMA_PROXY_PORT: port,
    DENO_DIR: denoDir(),
  };
  const files = async () => {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(served.home)) names.push(name);
    return names.toSorted();
  };
  const launched = (agent: string) => {
    const [program, ...args] = secllama(["launch", agent]);
    return new Deno.Command(program!, {
      ...{ args, env, clearEnv: true },
      ...{ stdin: "null", stdout: "null", stderr: "null" },
    }).spawn();
  };
  const before = await files();
  try {
    for (const line of commands) {
      await t.step(line, async () => {
        const args = words(line.replace("qwen3-coder", "scripted"));
        const { code, stdout, stderr } = await cli(args, { env });
        const said = stdout + stderr;
        assert.equal(code, args.includes("--print") ? 0 : 7, said);
        assert.ok(said.includes(served.proxyUrl), "the proxy's address");
        assert.ok(said.includes("scripted"), "the model");
        for (const name of AGENTS[args[1]!]!.without) {
          assert.ok(!said.includes(`${name}=sk-real`), `${name} does not reach the agent`);
        }
        assert.ok(!said.includes(KEY), "nor does the key");
        for (const [, mode] of said.matchAll(/^(-\S+) .*\.(?:json|js|yaml)$/gm)) {
          assert.equal(mode, "-rw-------", "a file that only this user can read");
        }
        assert.deepEqual([...Deno.readDirSync(tmp)], [], "its files are gone with it");
        const own = args.indexOf("--");
        if (own < 0) return;
        const theirs = stdout.match(/^argument .*$/gm)!.slice(own - args.length + 1);
        assert.deepEqual(theirs, args.slice(own + 1).map((one) => `argument ${one}`));
      });
    }
    for (const word of FULL ? ["codex", "cline", "pi", "continue"] : ["codex", "cline"]) {
      await t.step(`launch ${word} --print, in a shell`, async () => {
        const { stdout } = await cli(["launch", word, "--print", "--", "it's", "$HOME"], { env });
        const shell = await new Deno.Command("/bin/sh", {
          args: ["-c", stdout],
          env: { ...env, TMPDIR: tmp },
          clearEnv: true,
        }).output();
        const said = new TextDecoder().decode(shell.stdout);
        assert.equal(shell.code, 7, new TextDecoder().decode(shell.stderr));
        assert.ok(said.includes(served.proxyUrl) && said.includes("scripted"), said);
        assert.match(said, /^argument it's\nargument \$HOME$/m);
        for (const { name } of Deno.readDirSync(tmp)) {
          await Deno.remove(join(tmp, name), { recursive: true });
        }
      });
    }
    assert.deepEqual(await files(), before, "nothing was written into the user's folder");

    for (
      const [args, code, message] of [
        [["launch", "cluade"], 2, /no agent of that name.*\n.*did you mean claude\?/],
        [["launch", "claude", "--model", "demo"], 1, /demo cannot call tools.*\n.*secllama show/],
        [["launch", "claude", "--model", "none"], 1, /model 'none' not found/],
        [
          ["launch", "claude", "--print", "--proxy-port", "1"],
          1,
          /no proxy answers on .*:1\n.*serve/,
        ],
      ] as const
    ) {
      await t.step(args.join(" "), async () => {
        const answer = await cli(args, { env });
        assert.notEqual(answer.code, 0);
        assert.match(answer.stderr, message);
        if (code === 2) assert.equal(answer.code, 2);
      });
    }
    await t.step(
      "no proxy and no key store: the hint is what this test's serve was started by",
      async () => {
        const { SECLLAMA_KEY: _, ...without } = env;
        const args = ["launch", "codex", "--proxy-port", "1"];
        const answer = await cli(args, { env: without });
        assert.equal(answer.code, 5, answer.stderr);
        assert.match(
          answer.stderr,
          /none could be started\nhint: start one first, .*: secllama serve --ephemeral\n$/,
        );
      },
    );
    await t.step("an agent that is not installed", async () => {
      await Deno.remove(join(folder, "codex"));
      const answer = await cli(["launch", "codex"], { env });
      assert.match(
        answer.stderr,
        /not installed: no codex in PATH\n.*npm install --global @openai/,
      );
    });
    await t.step("ended, it leaves nothing of an agent that passes no signal on", async () => {
      const pids = join(folder, "pids");
      // The real one is started by a program that waits for it.
      const script = `#!/bin/sh\nsh -c 'sleep 86400 & echo $! $$ > ${pids}; wait' &\nwait\n`;
      await Deno.writeTextFile(join(folder, "codex"), script, { mode: 0o755 });
      const child = launched("codex");
      const read = () => Deno.readTextFile(pids).catch(() => "");
      await until(async () => (await read()).endsWith("\n"), "the agent runs");
      const started = (await read()).trim().split(" ").map(Number);
      const alive = () => started.filter((pid) => isAlive(pid));
      assert.equal(alive().length, 2);
      child.kill("SIGTERM");
      await child.status;
      await until(() => alive().length === 0, "both are gone");
    });
    await t.step(
      "ended twice, it ends an agent that does not want to, and takes its files along",
      async () => {
        const at = join(folder, "stubborn");
        const script = `#!/bin/sh\ntrap '' TERM INT\necho $$ > ${at}\nwhile :; do sleep 1; done\n`;
        await Deno.writeTextFile(join(folder, "cline"), script, { mode: 0o755 });
        const child = launched("cline");
        let ended = false;
        const status = child.status.finally(() => ended = true);
        const read = () => Deno.readTextFile(at).catch(() => "");
        await until(async () => (await read()).endsWith("\n"), "the agent runs");
        assert.equal([...Deno.readDirSync(tmp)].length, 1, "the folder of its files");
        // Signals that come at once are one; how long that is, is the program's.
        await until(() => {
          if (!ended) tell(child, "SIGTERM");
          return ended;
        }, "launch has ended");
        await status;
        assert.equal(isAlive(Number(await read())), false, "the agent has ended");
        assert.deepEqual([...Deno.readDirSync(tmp)], [], "its files are gone with it");
      },
    );
    await t.step("what is not SecLlama gets nothing", async () => {
      const seen: string[] = [];
      const listen = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
      await using other = Deno.serve(listen, async (request) => {
        seen.push(`${new URL(request.url).pathname} ${await request.text()}`);
        return Response.json({ version: "1" });
      });
      const answer = await cli(["launch", "claude", "--proxy-port", String(other.addr.port)], {
        env,
      });
      assert.match(answer.stderr, /is Ollama, or speaks like it; it is not SecLlama/);
      assert.ok(seen.every((line) => !line.includes("scripted")), seen.join("\n"));
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(tmp, { recursive: true });
  }
});
