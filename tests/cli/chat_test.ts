/** `secllama run` as a person uses it: on a terminal, with the real serve behind it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { bothWays, newHome, secllama, startServe } from "../support/serve.ts";
import { onTerminal } from "../support/terminal.ts";

bothWays(
  "run on a terminal: a conversation, its commands, several lines, history, and the end",
  async () => {
    const served = await startServe();
    try {
      const port = new URL(served.proxyUrl).port;
      const { seen, code } = await onTerminal(served, ["run", "demo", `--proxy-port=${port}`], [
        ["expect", ">>> "],
        ["send", "/cler\r"],
        ["expect", "there is no command /cler"],
        ["expect", ">>> "],
        ["send", "/set parameter temperature 0\r"],
        ["expect", "temperature is 0."],
        ["expect", ">>> "],
        ["send", "What is network isolaton\x1b[D\x1b[Di\x05?\r"], // a letter put in, then to the line's end
        ["expect", "Network"],
        ["expect", ">>> "],
        ["send", "\x1b[A"], // the line before
        ["expect", "What is network isolation?"],
        ["send", "\x03"], // thrown away
        ["expect", "/bye or Ctrl-D"],
        ["expect", ">>> "],
        ["send", '"""Where are\r'],
        ["expect", "... "],
        ["send", 'my keys?"""\r'],
        ["expect", ">>> "],
        ["send", '"""/not a command, and """ is part of it\r'],
        ["expect", "... "],
        ["send", 'so it is sent"""\r'],
        ["expect", ">>> "],
        ["send", '/set system """You are\r'],
        ["expect", "... "],
        ["send", 'brief"""\r'],
        ["expect", "message is set."],
        ["expect", ">>> "],
        ["send", "/show system\r"],
        ["expect", "In this conversation:\r\nYou are\r\nbrief"],
        ["expect", ">>> "],
        ["send", "/bin/sh\r"],
        ["expect", "is a file, and no command"],
        ["expect", ">>> "],
        ["send", "\x1b[200~one\rtwo\x1b[201~"],
        ["expect", "one␤two"],
        ["send", "\x15/set verbose\r"],
        ["expect", "follow each answer"],
        ["expect", ">>> "],
        ["send", "hi\r"],
        ["expect", "eval rate:"],
        ["expect", ">>> "],
        ["send", "/save brief\r"],
        ["expect", "brief:latest is made"],
        ["expect", ">>> "],
        ["send", "\x04"],
      ]);
      assert.equal(code, 0);
      const errors = seen.match(/error:.*/g)!.map((line) => line.trim());
      assert.deepEqual(errors.slice(0, 1), ["error: there is no command /cler"]);
      assert.match(errors[1]!, /is a file, and no command$/);
      assert.equal(errors.length, 2);

      // A name that is none is said before anything is typed.
      const none = await onTerminal(served, ["run", "nothing", `--proxy-port=${port}`], []);
      assert.equal(none.code, 1);
      assert.match(none.seen, /'nothing' not found[^]*hint: /);
      assert.doesNotMatch(none.seen, />>> /);
    } finally {
      await served.stop();
    }
  },
);

Deno.test("run: words without quotes are one prompt, a file comes before it, and what is too long is said", async () => {
  const served = await startServe();
  const { home, env } = await newHome();
  const port = new URL(served.proxyUrl).port;
  const run = async (...args: string[]) => {
    const [program, ...rest] = secllama(["run", "demo", `--proxy-port=${port}`, ...args]);
    const { code, stdout, stderr } = await new Deno.Command(program!, {
      args: rest,
      env: { ...env, HOME: served.home },
      clearEnv: true,
      cwd: home,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, out: text(stdout), err: text(stderr) };
  };
  try {
    await Deno.writeTextFile(join(home, "notes.txt"), "Where are my keys?");
    await Deno.writeTextFile(join(home, "long.txt"), "many words ".repeat(20_000));
    await Deno.writeFile(join(home, "binary"), new Uint8Array([0, 255, 1]));
    const words = await run("--temperature=0", "What", "is", "network", "isolation?");
    assert.match(words.out, /^Network/);
    const quoted = await run("--temperature=0", "What is network isolation?");
    assert.equal(words.out, quoted.out);
    assert.equal((await run("--file=notes.txt", "--temperature=0", "--num-predict=3")).code, 0);
    const long = await run("--file=long.txt", "sum this up");
    assert.match(long.err, /longer than the model's context/);
    assert.match(long.err, /hint: nothing was cut/);
    assert.notEqual(long.code, 0);
    assert.match((await run("--file=absent", "x")).err, /there is no file absent/);
    assert.match((await run("--file=binary", "x")).err, /is not a text file/);
    assert.match((await run("--file=.", "x")).err, /is a folder\nhint: /);
    assert.match((await run("--think=very", "x")).err, /--think must be/);
    assert.match((await run("--keepalive=5x", "x")).err, /"5x" is not a duration\nhint: /);
    assert.match((await run("--think=high", "--num-predict=1", "x")).err, /does without: thinking/);
    assert.match((await run("--format=[", "x")).err, /a format is json/);
    const json = await run("--format=json", "--num-predict=20", "--verbose", "hi");
    assert.match(json.err, /eval rate/);
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});
