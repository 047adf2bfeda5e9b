/**
 * docs/firm.md and docs/compliance.md as they are printed: the blocks that tests/e2e/firm_test.ts does not run, and each command of the
 * controls with what the page says that it prints. Addresses of ports are the only thing that is changed.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { loadSettings } from "../../src/config/settings.ts";
import { keysetHost } from "../support/keyset_host.ts";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { blocksOf, PageShell } from "../support/page_blocks.ts";
import { newHome, ROOT, type Served, startServe } from "../support/serve.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const page = (name: string) => Deno.readTextFile(join(ROOT, "docs", name));
const firm = await page("firm.md");
const compliance = await page("compliance.md");
/** By their number: a command, and what it prints. */
const shown = new Map(
  [...compliance.matchAll(/^(\d+)\. [^]*?```console\n\$ (.+)\n([^]*?)```/gm)].map((
    [, number, command, output],
  ) => [Number(number), { command: command!, output: output! }]),
);

/** What a page prints, `…` for anything in a line and a line of it for any lines. */
function patternOf(output: string): RegExp {
  const lines = output.trimEnd().split("\n").map((line) =>
    line === "…"
      ? "(?:.*\\n)*?"
      : line.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("…", ".*") + "\\n"
  );
  return new RegExp(`^${lines.join("")}$`);
}

Deno.test("firm's pages: each control names a command that is shown", () => {
  const controls = [...compliance.matchAll(/^\| [^|]+ \| [^|]+ \| +([\d, ]+) +\| [^|]*\|$/gm)];
  assert.ok(controls.length >= 45, `${controls.length} controls`);
  const used = new Set(controls.flatMap(([, numbers]) => numbers!.split(",").map(Number)));
  assert.deepEqual([...used].sort((a, b) => a - b), [...shown.keys()]);
});

Deno.test("firm's pages: the commands that they name for it all take the options for keys", () => {
  const [, named] = /same options for every command of ([^]*?);/.exec(firm)!;
  const groups = [...named!.matchAll(/`(\w+)`/g)].map(([, word]) => word!);
  assert.ok(groups.length >= 8, groups.join());
  for (const { path, options } of COMMANDS.filter(({ path }) => groups.includes(path[0]!))) {
    for (const option of ["key-fd", "key-file", "passphrase-fd"]) {
      assert.ok(option in options, `${path.join(" ")} --${option}`);
    }
  }
});

Deno.test("firm's pages: each setting that they print is read", async () => {
  const { home, env } = await newHome();
  try {
    const blocks = [...firm.matchAll(/```toml\n([^]*?)```/g)].map(([, block]) => block!);
    assert.ok(blocks.length >= 6);
    const data = join(home, "data");
    await Deno.mkdir(data, { mode: 0o700 });
    for (const block of blocks) {
      await Deno.writeTextFile(join(data, "config.toml"), block, { mode: 0o600 });
      const { config } = await loadSettings({ env: { ...env, SECLLAMA_DATA_DIR: data } });
      const { config: without } = await loadSettings({ env: { ...env, SECLLAMA_DATA_DIR: home } });
      assert.notDeepEqual(config, without, block);
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

if (!FULL) console.log("skipped: forty commands; SECLLAMA_FULL=1 runs them");
Deno.test({
  name: "firm's pages: receipts, backup, and what each control's command says",
  ignore: !FULL,
  fn: commands,
});

async function commands(t: Deno.TestContext): Promise<void> {
  const { home, env: base } = await newHome();
  const { dataDir, serve } = await keysetHost(home, 1);
  const at = (name: string) => join(home, name);
  const other = at("other");
  await Deno.mkdir(join(other, "data"), { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(at("words"), "a cow on the moon");
  await Deno.writeTextFile(at("policy.json"), JSON.stringify({ version: 1, allow: [] }));
  const metricsPort = (() => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return listener.addr.port;
  })();
  const config = `audit = "on"\nrequire_token = true\nmetrics_port = ${metricsPort}\n`;
  await Deno.writeTextFile(join(dataDir, "config.toml"), config, { mode: 0o600 });
  const env = { ...base, ...serve.env, XDG_STATE_HOME: at("state") };
  const keys = { file: at("keys.json"), passphrase: at("passphrase"), backup: at("words") };
  let served: Served | undefined;
  try {
    served = await startServe({
      env,
      args: serve.args.filter((arg) => arg !== "--no-proxy"),
      under: serve.under,
    });
    const { proxyUrl, gatewayUrl } = served;
    const shell = await PageShell.open(
      home,
      { ...env, SECLLAMA_PROXY_PORT: new URL(proxyUrl).port },
      keys,
    );
    const here = (text: string) =>
      text.replaceAll("http://127.0.0.1:11434", proxyUrl)
        .replaceAll("127.0.0.1:9464", `127.0.0.1:${metricsPort}`);
    await t.step(
      "a day: roles, a token, a client that goes, strangers, a model that is refused",
      async () => {
        await shell.run(
          "secllama role set staff --models 'demo,llama*' --kinds chat,completions --requests-minute 60 " +
            "--hours 'mon-fri 00:00-24:00, sat-sun' --time-zone Europe/Berlin",
        );
        const token = await shell.run("secllama token create reports --role staff --expires 90d");
        const key = /slt_\S+/.exec(token)![0];
        const ask = await fetch(`${proxyUrl}/v1/chat/completions`, {
          method: "POST",
          headers: { "x-api-key": key, "content-type": "application/json" },
          body: JSON.stringify({ model: "demo", messages: [{ role: "user", content: "Hello" }] }),
        });
        assert.equal(ask.status, 200, await ask.text());
        await shell.run('secllama clients revoke "laptop 0"');
        const plain = await fetch(`${gatewayUrl}/api/chat`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: "{}",
        });
        assert.equal(plain.status, 426);
        await plain.body?.cancel();
        await Deno.copyFile(join(ROOT, "models/demo.gguf"), at("other.gguf"));
        await shell.run(
          `SECLLAMA_MODEL_POLICY=${at("policy.json")} secllama import other.gguf --name other`,
          9,
        );
      },
    );
    await t.step("receipts, as printed", async () => {
      await shell.run("secllama audit key > audit.pem");
      const [ask, verify] = await blocksOf("docs/firm.md", "Receipts");
      const said = await shell.run(`${here(ask!)}\n${verify}`);
      assert.match(said, /the request is this one[^]*the reply is this one/);
      // The page's own, which the lists below do not show.
      await shell.run("secllama token revoke receipts");
    });
    for (const [number, { command, output }] of shown) {
      await t.step(`control ${number}: ${command}`, async () => {
        assert.match(await shell.run(here(command)), patternOf(output));
      });
    }
    await t.step("a backup goes to another machine, as printed", async () => {
      const [backup, restore] = await blocksOf("docs/firm.md", "Backup, and another machine");
      await shell.run(backup!);
      await Deno.copyFile(at("passphrase"), join(other, "passphrase"));
      await makeCheapKeyFile(
        join(other, "keys.json"),
        await Deno.readTextFile(join(other, "passphrase")),
      );
      await Deno.copyFile(at("host.backup"), join(other, "host.backup"));
      const there = await PageShell.open(other, {
        ...base,
        SECLLAMA_DATA_DIR: join(other, "data"),
        XDG_STATE_HOME: join(other, "state"),
      }, {
        file: join(other, "keys.json"),
        passphrase: join(other, "passphrase"),
        backup: at("words"),
      });
      assert.match(await there.run(restore!), /restored what was backed up/);
      assert.match(await there.run("secllama role list"), /staff/);
    });
    const promtool = "/usr/bin/promtool";
    const noProm = !await Deno.stat(promtool).then(() => true, () => false);
    if (noProm) console.log("skipped: Debian's prometheus is not installed");
    await t.step({
      name: "Prometheus takes the scrape configuration",
      ignore: noProm,
      fn: async () => {
        const [, yaml] = /```yaml\n(scrape_configs:[^]*?)```/.exec(firm)!;
        await Deno.writeTextFile(at("prometheus.yml"), yaml!);
        await shell.run(`${promtool} check config ${at("prometheus.yml")}`);
      },
    });
  } finally {
    await served?.stop().catch(() => {});
    await Deno.remove(home, { recursive: true });
  }
}
