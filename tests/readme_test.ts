/** The README's claims, run as it prints them; only the ports are others. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli, newHome, ROOT, secllama, type Served, startServe } from "./support/serve.ts";

const readme = await Deno.readTextFile(join(ROOT, "README.md"));
/** What the console block shows: `$ command`, and what follows it. */
const shown = [...readme.matchAll(/^\$ (.+)\n([^$]*)/gm)].map(([, command, output]) => ({
  command: command!.replace(/\s+#.*$/, ""),
  output: output!,
}));

function shell(command: string, env: Record<string, string>): Promise<Deno.CommandOutput> {
  return new Deno.Command("/bin/sh", {
    args: ["-c", command],
    env,
    clearEnv: true,
    stdin: "null",
  }).output();
}

Deno.test("readme: its curl lines answer as it shows, and its banner has the lines that it shows", async () => {
  const served = await startServe();
  try {
    const [serve, chat, plain] = shown;
    assert.match(serve!.command, /task serve$/);
    const rows = (text: string) => [...text.matchAll(/^ {2}(\w+) /gm)].map(([, word]) => word);
    assert.deepEqual(rows(served.banner), rows(serve!.output));
    // As root. Another user has the runner's word for more of them.
    const layers = (text: string) => /isolation strict: (.*?), its own attack/.exec(text)?.[1];
    if (Deno.uid() === 0) assert.equal(layers(serve!.output), layers(served.banner));
    const here = (command: string) =>
      command.replace("http://127.0.0.1:11434", served.proxyUrl)
        .replace("http://127.0.0.1:11435", served.gatewayUrl);
    const run = async (command: string) => {
      const { stdout } = await shell(here(command).replace("curl", "curl -sS"), {
        PATH: "/usr/bin:/bin",
      });
      return new TextDecoder().decode(stdout);
    };
    const lines = (await run(chat!.command)).trim().split("\n").map((line) => JSON.parse(line));
    assert.ok(lines.length > 3 && lines.at(-1).done);
    assert.match(lines.map((line) => line.message.content).join(""), /network/i);
    const refused = JSON.parse(await run(plain!.command));
    const printed = JSON.parse(plain!.output.split("\n")[0]!);
    assert.deepEqual([refused.error, refused.code], [printed.error, printed.code]);
    assert.ok(refused.hint.startsWith(printed.hint.replace(/…$/, "")));
    await ownCommands(served);
  } finally {
    await served.stop();
  }
});

/** What each of its commands says, on either output, in a folder with a model and a Modelfile. */
const SAYS: { readonly [command: string]: RegExp } = {
  'run demo "Where are my keys?"': /^Your keys are in the key store of your operating system/,
  "import ./model.gguf": /model/,
  "pull registry.example/me/model":
    /^error: pulling from registry\.example is not allowed\nhint: to allow/,
  "create mine -f Modelfile": /mine/,
  // There is no key store here; with one: tests/keyring.
  "key rotate": /^error: the key store is not available: .*\nhint: /,
};

/** The block of commands, each as it is printed. */
async function ownCommands({ env, proxyUrl }: Served): Promise<void> {
  const block = [...readme.matchAll(/^npx -y deno@[\d.]+ task secllama (.+)$/gm)]
    .map(([, command]) => command!.replace(/\s+#.*$/, ""));
  assert.deepEqual(block, Object.keys(SAYS), "each is run");
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    await Deno.copyFile(join(ROOT, "models/demo.gguf"), join(folder, "model.gguf"));
    await Deno.writeTextFile(join(folder, "Modelfile"), "FROM demo\nSYSTEM Be short.\n");
    const program = secllama([]).map((word) => `'${word}'`).join(" ");
    for (const command of block) {
      const { stdout, stderr } = await shell(`cd '${folder}' && exec ${program} ${command}`, {
        ...env,
        OLLAMA_HOST: new URL(proxyUrl).host,
      });
      const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assert.match(said, SAYS[command]!, command);
    }
    const list = await cli(["list"], { env });
    assert.match(list.stdout, /^mine:latest [^]*^model:latest /m);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readme: each test that it names is there", async () => {
  // One command may name several. Without a path it is all of them.
  const paths = [...readme.matchAll(/task test +([^\s`#][^`#\n]*)/g)].flatMap((match) =>
    match[1]!.trim().split(/\s+/)
  );
  const rows = readme.split("\n").filter((line) => /^\|.*task test /.test(line));
  assert.ok(paths.length >= rows.length && rows.length >= 11);
  for (const path of paths) {
    assert.match(path, /^(tests|src|runner)\/[\w/]+(\.ts)?$/, "a path, and nothing else");
    const { isFile } = await Deno.stat(join(ROOT, path));
    assert.ok(!isFile || path.endsWith("_test.ts"), path);
  }
  const scripts = [...readme.matchAll(/\b((?:scripts|bench)\/[\w/]+(?:\.ts)?)/g)];
  assert.ok(scripts.length >= 3);
  for (const [path] of scripts) await Deno.stat(join(ROOT, path));
});

Deno.test("readme: its settings are settings, and one that is mistyped is refused as it says", async () => {
  const { home, env } = await newHome();
  try {
    const [, assignment] = /`(SECLLAMA_\w+=\w+) npx -y deno@[\d.]+ task serve`/.exec(readme)!;
    const [program, ...args] = secllama(["serve", "--ephemeral", "--port=0", "--proxy-port=0"]);
    const { code, stderr } = await shell(
      `${assignment} ${[program, ...args].map((word) => `'${word}'`).join(" ")}`,
      env,
    );
    assert.equal(code, 2);
    assert.match(new TextDecoder().decode(stderr), /must be true or false/);
    const config = (await cli(["help", "config"], { env })).stdout;
    for (const [, name] of readme.matchAll(/^\| `(SECLLAMA_\w+)`/gm)) {
      assert.ok(config.includes(name!), name);
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("readme: the figures that it shows are what there is", async () => {
  const { ATTACKS } = await import("../src/escape/attacks/list.ts");
  const { CHANNELS } = await import("../src/escape/channels/list.ts");
  const { interpreter } = await import("../src/linux/syscall_interpreter.ts");
  const engines = await Deno.readTextFile(join(ROOT, "docs/engines.md"));
  for (
    const [page, pattern] of [[readme, /doctor +# (\d+) attacks/], [
      engines,
      /(\d+) attacks of/,
    ]] as const
  ) {
    assert.equal(Number(pattern.exec(page)![1]), ATTACKS.length);
  }
  const sandbox = await Deno.readTextFile(join(ROOT, "docs/sandbox.md"));
  const [, bytes] = /behind (\d+) bytes of\s+machine code/.exec(sandbox)!;
  assert.equal(Number(bytes), interpreter("x86_64").code.length);
  const [, ways] = /tries (\d+) ways/.exec(sandbox)!;
  assert.equal(Number(ways), CHANNELS.length);
  const [, tried] = /its own attack held: (\d+) ways out tried/.exec(readme)!;
  assert.ok(Number(tried) > 0);
  const [, digest] = /sha256:([0-9a-f]{12})…/.exec(readme)!;
  const hash = await crypto.subtle.digest(
    "SHA-256",
    await Deno.readFile(join(ROOT, "models/demo.gguf")),
  );
  assert.equal(new Uint8Array(hash).toHex().slice(0, 12), digest);
  const deno = JSON.parse(await Deno.readTextFile(join(ROOT, "package.json")));
  for (const [, version] of readme.matchAll(/deno@([\d.]+)/g)) {
    assert.ok(JSON.stringify(deno).includes(version!) || version === Deno.version.deno, version);
  }
});
