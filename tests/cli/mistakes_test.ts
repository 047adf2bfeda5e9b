/** The mistakes of mistakes.md, each made, and what it is told graded by its text: what, why, how. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { GATEWAY_PERMISSIONS, newHome, ROOT, secllama } from "../support/serve.ts";
import { runToEnd } from "../support/run_to_end.ts";

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
  "wrong.key": "my secret key\n",
  "typo.toml": "prot = 8080\n",
};

async function table(): Promise<Mistake[]> {
  const text = await Deno.readTextFile(join(ROOT, "tests/cli/mistakes.md"));
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

Deno.test("mistakes: each is told what is wrong, why, and how to go on", async () => {
  const mistakes = await table();
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
    const lines = together.map(({ command }) => JSON.stringify(wordsOf(placed(command))));
    const main = new URL("mistakes_main.ts", import.meta.url).pathname;
    const config = join(ROOT, "deno.json");
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", ...GATEWAY_PERMISSIONS, "--config", config, main],
      env,
      clearEnv: true,
      cwd: home,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(lines.join("\n")));
    await writer.close();
    const { stdout } = await child.output();
    const answers = new TextDecoder().decode(stdout).trim().split("\n");
    const said: Said[] = answers.map((line) => JSON.parse(line));
    assert.equal(said.length, together.length);
    const program = secllama([]).map((word) => `'${word}'`).join(" ");
    for (const { command } of alone) {
      const script = `secllama() { ${program} "$@"; }; ${placed(command)}`;
      said.push(await runToEnd(["/bin/sh", "-c", script], { env, cwd: home }));
    }
    const faults = [...together, ...alone].flatMap((mistake, i) =>
      grade(mistake, said[i]!, placed).map((fault) => `${mistake.command}: ${fault}`)
    );
    assert.deepEqual(faults, []);
  } finally {
    busy.close();
    await ended.catch(() => {});
    await ollama.shutdown();
    await Deno.remove(home, { recursive: true });
  }
});

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
