/** The mistakes of mistakes.md, each made, and what it is told graded by its text: what, why, how. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { keyringIgnored, startKeyring } from "../keyring/daemon.ts";
import { makeProgram } from "../keyring/program.ts";
import { cli, newHome, ROOT, secllama } from "../support/serve.ts";
import { runToEnd } from "../support/run_to_end.ts";
import { FROM_SOURCE, sayAll } from "./mistakes_run.ts";

interface Mistake {
  readonly name: string;
  readonly command: string;
  readonly exit: number;
  readonly what: string;
  readonly why: string;
  readonly how: string;
}

interface Said {
  readonly code: number;
  readonly stderr: string;
}

const FILES = {
  "notes.txt": "hello\n",
  "empty.gguf": "",
  "Modelfile": "FROM nothing-here\n",
  "Modelfile.typo": "FORM demo\n",
  "Modelfile.param": "FROM demo\nPARAMETER temprature 0.3\n",
  "Modelfile.word": "FROM demo\nPARAMETER temperature hot\n",
  "Modelfile.open": 'FROM demo\nSYSTEM """You are\n',
  "Modelfile.role": "FROM demo\nMESSAGE robot hi\n",
  "wrong.key": "my secret key\n",
  "typo.toml": "prot = 8080\n",
};

/** The table under a heading of the page that begins so. */
async function table(heading: string): Promise<Mistake[]> {
  const page = await Deno.readTextFile(join(ROOT, "tests/cli/mistakes.md"));
  const text = page.split(/^#+ /m).find((part) => part.startsWith(heading))!;
  const rows = text.split("\n").filter((line) => line.startsWith("| ")).slice(2);
  return rows.map((line) => {
    const cells = line.slice(2, -2).split(/ (?<!\\)\| /).map((cell) =>
      cell.trim().replace(/^`|`$/g, "").replaceAll("\\|", "|")
    );
    const [name, command, exit, what, why, how] = cells as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    return { name, command, exit: Number(exit), what, why, how };
  });
}

/** Words of a command line, with "…" for those that hold spaces, and the variables before it. */
function wordsOf(command: string): { args: string[]; env: Record<string, string> } {
  const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) =>
    quoted ?? bare!
  );
  const at = words.indexOf("secllama");
  const env = Object.fromEntries(
    words.slice(0, at).map((word) => word.split("=") as [string, string]),
  );
  return { args: words.slice(at + 1), env };
}

/** Makes them one after the other, in one process of `mistakes_main.ts`. */
function makeAll(
  mistakes: readonly Mistake[],
  placed: (text: string) => string,
  o: Parameters<typeof sayAll>[1],
): Promise<Said[]> {
  return sayAll(mistakes.map(({ command }) => wordsOf(placed(command))), o);
}

Deno.test("mistakes: each is told what is wrong, why, and how to go on", async () => {
  const mistakes = await table("The mistakes");
  assert.ok(mistakes.length >= 50);
  const { home, env } = await newHome();
  for (const [name, text] of Object.entries(FILES)) {
    await Deno.writeTextFile(join(home, name), text);
  }
  await Deno.mkdir(join(home, "afolder"));
  // The one speaks no language, the other Ollama's.
  const busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ended = (async () => {
    for await (const connection of busy) connection.close();
  })();
  const ollama = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => Response.json({ version: "0.5.1" }),
  );
  const ports = { BUSY: String(busy.addr.port), OLLAMA: String(ollama.addr.port), FOLDER: home };
  const placed = (text: string) =>
    text.replaceAll(/\b(BUSY|OLLAMA|FOLDER)\b/g, (word) => ports[word as keyof typeof ports]);
  const alone = mistakes.filter(({ command }) => /[|<>]/.test(command));
  const together = mistakes.filter((mistake) => !alone.includes(mistake));
  try {
    const said = await makeAll(together, placed, { argv: FROM_SOURCE, env, cwd: home });
    const program = secllama([]).map((word) => `'${word}'`).join(" ");
    for (const { command } of alone) {
      const script = `secllama() { ${program} "$@"; }; ${placed(command)}`;
      said.push(await runToEnd(["/bin/sh", "-c", script], { env, cwd: home }));
    }
    assert.deepEqual(faultsOf([...together, ...alone], said, placed), []);
  } finally {
    busy.close();
    await ended.catch(() => {});
    await ollama.shutdown();
    await Deno.remove(home, { recursive: true });
  }
});

function faultsOf(
  mistakes: readonly Mistake[],
  said: readonly Said[],
  placed: (text: string) => string,
): string[] {
  return mistakes.flatMap((mistake, i) =>
    grade(mistake, said[i]!, placed).map((fault) => `${mistake.command}: ${fault}`)
  );
}

/** What is missing in an answer. */
function grade(
  { exit, what, why, how }: Mistake,
  { code, stderr }: Said,
  placed: (text: string) => string,
): string[] {
  const line = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(stderr)?.[1] ?? "";
  const [error, hint] = [line("error"), line("hint")];
  const faults = code === exit ? [] : [`exit ${code}, not ${exit}`];
  if (!error.includes(placed(what))) faults.push(`what: ${error}`);
  if (!error.includes(placed(why))) faults.push(`why: ${error}`);
  if (!hint.includes(placed(how))) faults.push(`how: ${hint}`);
  if (/^\s+at |docs\/|\.ts:\d/m.test(stderr)) faults.push(`a stack, or a file: ${stderr}`);
  return faults;
}

/** Debian's `nobody`. */
const NOBODY = 65_534;
const asRoot = Deno.build.os === "linux" && Deno.uid() === 0;
if (!asRoot) console.log("skipped: mistakes with another user's files are made by root as nobody");

Deno.test({
  name: "mistakes: with what is another user's, each is told what, why and how",
  ignore: !asRoot,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "secllama-other-" });
    const home = join(folder, "home");
    try {
      const { deno, script } = await makeProgram(folder, "tests/cli/mistakes_main.ts");
      await Deno.mkdir(join(home, "roots"), { recursive: true, mode: 0o700 });
      await Deno.mkdir(join(home, "notmine"), { mode: 0o755 });
      for (const name of ["secret.gguf", "secret.toml", "secret.key", "secret.Modelfile"]) {
        await Deno.writeTextFile(join(home, name), "x", { mode: 0o600 });
      }
      await Deno.chown(home, NOBODY, NOBODY);
      const placed = (text: string) => text.replaceAll("FOLDER", home);
      const mistakes = await table("What is another user's");
      const user = ["/usr/bin/setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
      const said = await makeAll(mistakes, placed, {
        argv: [...user, deno, "run", "--no-config", "--cached-only", "--allow-all", script],
        env: { HOME: home, PATH: "/usr/bin:/bin", NO_COLOR: "1" },
        cwd: home,
      });
      assert.ok(mistakes.length >= 8);
      assert.deepEqual(faultsOf(mistakes, said, placed), []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "mistakes: with a key store that is locked, each is told what, why and how",
  ignore: keyringIgnored(),
  async fn() {
    const home = await Deno.makeTempDir({ prefix: "secllama-locked-" });
    try {
      {
        await using keyring = await startKeyring({ password: "pw", home });
        const made = await cli(["key", "init"], { env: keyring.env });
        assert.equal(made.code, 0, made.stderr);
      }
      await using keyring = await startKeyring({ password: null, home });
      const mistakes = await table("A key store that is locked");
      const said = await makeAll(mistakes, (text) => text, {
        argv: FROM_SOURCE,
        env: keyring.env,
        cwd: home,
      });
      assert.ok(mistakes.length >= 6);
      assert.deepEqual(faultsOf(mistakes, said, (text) => text), []);
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});
