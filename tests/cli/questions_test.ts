/** Each question that a command asks, left in each way: what is said of it, and that nothing was begun. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { EXIT } from "../../src/errors.ts";
import { pause } from "../../src/pause.ts";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { HANG_MS } from "../support/patience.ts";
import { cli, newHome, secllama } from "../support/serve.ts";
import { atTerminal, type Step } from "../support/terminal.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const [SIGHUP, SIGTERM] = [1, 15];
const SECRET = "correct horse battery staple and more of them";
/** The key file that is there, under {@link SECRET}, and another that is not. */
const [OLD, NEW] = ["old.key", "new.key"];

interface Question {
  readonly args: readonly string[];
  /** Up to the question. */
  readonly steps: readonly Step[];
}

const typed = (question: string, answer: string): Step[] => [["expect", question], [
  "send",
  `${answer}\r`,
]];

const QUESTIONS: readonly Question[] = [
  { args: ["key", "init", "--key-file", NEW], steps: [["expect", "Passphrase of the key file:"]] },
  {
    args: ["key", "init", "--key-file", NEW],
    steps: [...typed("Passphrase of the key file:", SECRET), ["expect", "The same again:"]],
  },
  {
    args: ["serve", "--key-file", OLD, "--port=0", "--proxy-port=0"],
    steps: [["expect", "Passphrase of the key file:"]],
  },
  {
    args: ["serve", "--port=0", "--proxy-port=0"],
    steps: [...typed("not at all:", "1"), ["expect", "Passphrase of the key file:"]],
  },
  { args: ["serve", "--port=0", "--proxy-port=0"], steps: [["expect", "not at all:"]] },
  { args: ["pull", "registry.example/me/model"], steps: [["expect", "[y/N]"]] },
  { args: ["proxy", "--pair", "https://127.0.0.1:1"], steps: [["expect", "The ten words:"]] },
  { args: ["proxy", "--pair", "-"], steps: [["expect", "an empty line ends"]] },
  { args: ["uninstall"], steps: [["expect", "type yes:"]] },
  { args: ["key", "import", OLD, "--key-file", NEW], steps: [["expect", "Passphrase of"]] },
];

const WAYS: { readonly [way: string]: Step } = {
  "Ctrl-C": ["send", "\x03"],
  "Ctrl-D": ["send", "\x04"],
  "nothing": ["send", "\r"],
  "SIGTERM": ["signal", SIGTERM],
  "the window is closed": ["signal", SIGHUP],
};

/** A home with settings and a key file, which a question may be asked of. */
async function made(): Promise<{ home: string; env: Record<string, string> }> {
  const { home, env } = await newHome();
  await makeCheapKeyFile(join(home, OLD), SECRET);
  await Deno.mkdir(join(home, ".local/share/secllama"), { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(join(home, ".local/share/secllama/config.toml"), "");
  return { home, env };
}

async function filesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) found.push(...await filesIn(path));
    else if (!name.endsWith(".lock")) found.push(path);
  }
  return found.sort();
}

Deno.test("questions: whoever leaves one is told what was not done, and has begun nothing", async () => {
  const faults: unknown[] = [];
  const ways = Object.entries(WAYS);
  if (!FULL) console.log("skipped: all but one way to leave each; SECLLAMA_FULL=1 tries them all");
  for (const [i, { args, steps }] of QUESTIONS.entries()) {
    for (const [way, step] of FULL ? ways : [ways[i % ways.length]!]) {
      const { home, env } = await made();
      try {
        const before = await filesIn(home);
        const { seen, code } = await atTerminal(secllama(args), [...steps, step], {
          env,
          cwd: home,
        });
        const said = code === -SIGHUP && way === "the window is closed" ||
          code !== EXIT.ok && Object.values<number>(EXIT).includes(code) &&
            /error:\S* .{8,}/.test(seen) && /hint:\S* .{8,}/.test(seen) &&
            !/nobody was there|there is no key file|^\s+at /m.test(seen) &&
            (way === "nothing" || !/differ/.test(seen));
        const after = await filesIn(home);
        if (!said || String(after) !== String(before)) {
          faults.push({ args, way, code, seen, after });
        }
      } finally {
        await Deno.remove(home, { recursive: true });
      }
    }
  }
  assert.deepEqual(faults, []);
});

Deno.test("questions: a wrong passphrase is asked for again, three times in all; one from a descriptor is not", async () => {
  const { home, env } = await made();
  try {
    const at = (...steps: Step[]) =>
      atTerminal(secllama(["key", "list", "--key-file", OLD]), steps, { env, cwd: home });
    const ask = "Passphrase of the key file:";
    const init = ["key", "init", "--key-file", join(home, OLD), "--passphrase-fd", "0"];
    assert.equal((await cli(init, { env, stdin: SECRET })).code, EXIT.ok);
    const wrong: Step[] = [...typed(ask, "wrong"), ["expect", "does not open"]];
    const right = await at(...wrong, ...wrong, ...typed(ask, SECRET));
    assert.equal(right.code, EXIT.ok, right.seen);
    const none = await at(...wrong, ...wrong, ...wrong);
    assert.equal(none.code, EXIT.locked, none.seen);
    assert.equal(none.seen.split(ask).length - 1, 3);
    await Deno.writeTextFile(join(home, "secret"), "wrong");
    const words = secllama(["key", "list", "--key-file", OLD, "--passphrase-fd", "3"]);
    const line = `exec ${words.map((word) => `'${word}'`).join(" ")} 3<secret`;
    const given = await atTerminal(["/bin/sh", "-c", line], [], { env, cwd: home });
    assert.deepEqual([given.code, given.seen.includes(ask)], [EXIT.locked, false]);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("questions: a command that waits for what has no end is ended by a second signal", async () => {
  const { home, env } = await newHome();
  try {
    const settings = join(home, "settings");
    assert.ok((await new Deno.Command("/usr/bin/mkfifo", { args: [settings] }).output()).success);
    const [program, ...args] = secllama(["list"]);
    const child = new Deno.Command(program!, {
      args,
      env: { ...env, SECLLAMA_CONFIG: settings },
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    // It can be opened once the command reads it.
    using _silent = await Deno.open(settings, { write: true });
    let ended: Deno.CommandStatus | undefined;
    void child.status.then((status) => ended = status);
    while (ended === undefined) {
      child.kill("SIGTERM");
      await pause(100, AbortSignal.timeout(HANG_MS));
    }
    assert.deepEqual([ended.signal, ended.code !== 0], [null, true]);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
