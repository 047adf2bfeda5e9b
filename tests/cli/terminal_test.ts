/** `secllama run` on a terminal where it is hard: long pastes, a size that changes, wide letters, Ctrl-C, lines that are kept, pictures. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { canSee } from "../../runner/engine/testing.ts";
import { type Colour, makeSeeingModel, plain } from "../../runner/engine/testing_seeing.ts";
import { makeScannedPdf, rgbImage } from "../../src/documents/testing.ts";
import { readChallenge } from "../../src/api/proxy_identity.ts";
import { ROUTES } from "../../src/api/routes.ts";
import { toBase64Url } from "../../src/bytes.ts";
import { ProxyIdentity } from "../../src/proxy/identity.ts";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { bothWays, cli, newHome, startServe } from "../support/serve.ts";
import { onTerminal, type Step } from "../support/terminal.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const READY: Step = ["expect", ">>> "];
const [CTRL_A, CTRL_C, CTRL_D, CTRL_U] = ["\x01", "\x03", "\x04", "\x15"];
const [LEFT, UP, PASTE, PASTED] = ["\x1b[D", "\x1b[A", "\x1b[200~", "\x1b[201~"];

bothWays(
  "run on a terminal: 100 kB are pasted, the size changes, letters are wide, an answer is ended",
  async () => {
    const served = await startServe();
    try {
      const port = new URL(served.proxyUrl).port;
      const long = "lorem ipsum dolor sit amet 日本 ".repeat(FULL ? 30_000 : 2_800);
      const { seen, code } = await onTerminal(served, ["run", "demo", `--proxy-port=${port}`], [
        READY,
        ["send", "/set parameter temperature 0\r"],
        ["expect", "temperature is 0."],
        READY,
        ["send", `Where are my keys?\r`],
        ["expect", "key store"],
        READY,
        // One text, however it comes, and what was said before it stays: it would not have fitted alone either.
        ["send", `${PASTE}${long}first\rend${PASTED}`],
        ["expect", "first␤end"],
        ["send", "\r"],
        ["expect", "longer than the model's context"],
        READY,
        ["send", `${long}\r`], // a terminal that marks no paste
        ["expect", "longer than the model's context"],
        READY,
        // Keys that were pasted are none.
        ["send", `${PASTE}a${CTRL_C}${CTRL_D}\x1b[2Jb${PASTED}`],
        ["expect", "a[2Jb"],
        ["send", CTRL_U],
        ["send", `/show system${LEFT.repeat(6)}日本${"\x7f".repeat(2)}\r`], // two wide letters put in, and taken away
        ["expect", "There is no system."],
        READY,
        ["send", `${"word ".repeat(30)}${CTRL_A}START `],
        ["expect", "START word"],
        ["size", 30],
        ["send", "NARROW "],
        ["expect", "NARROW word"],
        ["send", CTRL_C],
        ["expect", "/bye or Ctrl-D"],
        READY,
        ["send", "What is network isolation?\r"],
        ["expect", "Network"],
        ["send", CTRL_C],
        READY,
        ["size", 100],
        ["send", UP],
        ["expect", "What is network isolation?"],
        ["send", "\r"],
        ["expect", "Network"],
        READY,
        ["send", CTRL_D],
      ]);
      assert.equal(code, 0);
      assert.ok(!seen.includes("\x1b[2J") && !seen.includes("forgotten"));
    } finally {
      await served.stop();
    }
  },
);

Deno.test("run on a terminal: lines are kept sealed only while the user wants that, and forgotten at once", async () => {
  const served = await startServe();
  const { home, env } = await newHome();
  const port = new URL(served.proxyUrl).port;
  try {
    const passphrase = "correct horse battery staple and more of them";
    const [keys, secret] = [join(home, "keys.json"), join(home, "passphrase")];
    await Deno.writeTextFile(secret, passphrase, { mode: 0o600 });
    await makeCheapKeyFile(keys, passphrase);
    const made = await cli(["key", "init", "--key-file", keys, "--passphrase-fd", "0"], {
      env: { ...env, HOME: served.home },
      stdin: passphrase,
    });
    assert.equal(made.code, 0, made.stderr);
    const kept = join(served.home, ".local/share/secllama");
    const args = ["run", "demo", `--proxy-port=${port}`, "--key-file", keys];
    const talk = (steps: readonly Step[]) => onTerminal(served, args, steps);
    const canary = (n: number) => `canary-${n}-of-this-line`;
    const files = () => filesHolding(served.home, /canary/);

    const said = (n: number): Step[] => [["send", `/load ${canary(n)}\r`], [
      "expect",
      "not found",
    ], READY];
    // Off, as it is at first: nothing is written.
    await talk([READY, ...said(1), ["send", CTRL_D]]);
    assert.deepEqual(await files(), []);
    assert.equal(await isThere(join(kept, "run-history")), false);

    // The passphrase is asked for once in a conversation.
    const asked: Step[] = [["expect", "assphrase"], ["send", `${passphrase}\r`]];
    await talk([
      READY,
      ...said(2),
      ["send", "/set history\r"],
      ...asked,
      ["expect", "sealed by your key"],
      READY,
      ...said(3),
      ["send", CTRL_D],
    ]);
    assert.equal(await isThere(join(kept, "run-history")), true);
    assert.deepEqual(await files(), []);

    // The next time its lines are there, and forgotten where that is asked for.
    await talk([
      ...asked,
      READY,
      ["send", UP],
      ["expect", canary(3)],
      ["send", `${CTRL_U}/set nohistory\r`],
      ["expect", "forgotten"],
      READY,
      ["send", UP],
      ["send", `/show system\r`],
      ["expect", "There is no system."],
      READY,
      ...said(4),
      ["send", CTRL_D],
    ]);
    assert.equal(await isThere(join(kept, "run-history")), false);
    assert.deepEqual(await files(), []);
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});

if (!FULL) console.log("skipped: two ways to name a picture of eight; set SECLLAMA_FULL=1");
Deno.test({
  name:
    "run: a picture goes along by --image, by its path in the prompt, dropped and by /file; a model that does not see says so",
  ignore: !canSee(),
  fn: pictures,
});

async function pictures(): Promise<void> {
  const served = await startServe();
  const { home, env: own } = await newHome();
  const env = { ...own, HOME: served.home };
  const port = `--proxy-port=${new URL(served.proxyUrl).port}`;
  try {
    const [model, projector] = ["model", "mmproj"].map((name) => `${served.home}/${name}.gguf`);
    makeSeeingModel(model!, projector!);
    const done = await cli(["import", model!, "--projector", projector!, "--name=eye"], { env });
    assert.equal(done.code, 0, done.stderr);
    const picture = async (name: string, colour: Colour) => {
      const path = join(home, name);
      await Deno.writeFile(path, plain(colour));
      return path;
    };
    const red = await picture("a.bmp", "red");
    const blue = await picture("my holiday (2).bmp", "blue");
    const scan = join(home, "scan.pdf");
    const rgb = new Uint8Array(16 * 16 * 3).map((_, at) => at % 3 === 2 ? 255 : 0);
    await Deno.writeFile(scan, makeScannedPdf([rgbImage(16, 16, rgb)]));
    const ask = "What colour is this?";
    const run = (...args: string[]) => cli(["run", ...args, port], { env });
    for (
      const [args, colour] of [
        [["eye", ask, "--image", red], "red"],
        [["eye", ask, "--image", blue], "blue"],
        [["eye", ask, "--image", scan], "blue"],
        [["eye", `${ask} ${red}`], "red"],
        [["eye", `'${blue}' ${ask}`], "blue"],
        [["eye", ask, blue.replace(/[ ()]/g, (sign) => `\\${sign}`)], "blue"],
        [["eye", ask, blue], "blue"],
      ] as const
    ) {
      // Each is a start of the program.
      if (!FULL && args.length === 3 && args[2] === blue) continue;
      const { code, stdout, stderr } = await run(...args);
      assert.deepEqual([code, stdout.trim()], [0, colour], `${args}: ${stderr}`);
    }
    const blind = await run("demo", "--temperature=0", "Where are my keys?", red);
    assert.match(blind.stderr, /goes as a word: this model reads no pictures/);
    const refused = await run("demo", ask, "--image", red);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /error: .*images[^]*hint: .*secllama show/);

    await onTerminal(served, ["run", "eye", port], [
      READY,
      ["send", `${ask} '${blue}'\r`],
      ["expect", "goes along as a picture"],
      ["expect", "blue"],
      READY,
      ["send", `/clear\r`],
      READY,
      ["send", `${PASTE}${blue.replace(/[ ()]/g, (sign) => `\\${sign}`)}${PASTED}\r`], // dropped
      ["expect", "is a file, and no command"],
      READY,
      ["send", `/file ${red}\r`],
      ["expect", "goes with the next message, as a picture"],
      READY,
      ["send", `${ask}\r`],
      ["expect", "red"],
      READY,
      ["send", CTRL_D],
    ]);
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
}

function isThere(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}

/** Files below a folder that hold what matches. */
async function filesHolding(folder: string, what: RegExp): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) found.push(...await filesHolding(path, what));
    else if (isFile && what.test(await Deno.readTextFile(path))) found.push(path);
  }
  return found;
}

Deno.test("run on a terminal: Ctrl-C ends each answer, however often, and no conversation", async () => {
  const { home } = await newHome();
  const dataDir = join(home, ".local/share/secllama");
  await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
  const identity = await ProxyIdentity.make();
  const listen = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  await using proxy = Deno.serve(listen, async (request) => {
    const { pathname } = new URL(request.url);
    const asked = await request.json();
    if (pathname === ROUTES.identity.path) {
      const signature = await identity.sign(readChallenge(asked)!);
      return Response.json({ signature: toBase64Url(signature!) });
    }
    if (pathname !== ROUTES.chat.path) return Response.json({ done: true });
    // An answer that goes on until nobody reads it.
    let timer: ReturnType<typeof setInterval>;
    let n = 0;
    const body = new ReadableStream<string>({
      start(answer) {
        const say = () => {
          const message = { role: "assistant", content: `word${n++} ` };
          answer.enqueue(JSON.stringify({ model: "demo", message, done: false }) + "\n");
        };
        say();
        timer = setInterval(say, 50);
      },
      cancel: () => clearInterval(timer),
    });
    return new Response(body.pipeThrough(new TextEncoderStream()));
  });
  try {
    await identity.announce(dataDir, proxy.addr.port);
    // Each is later than one Ctrl-C that comes twice could be.
    const ended: Step[] = [["send", "go on\r"], ["expect", "word15"], ["send", CTRL_C], READY];
    const args = ["run", "demo", `--proxy-port=${proxy.addr.port}`];
    const { seen, code } = await onTerminal({ home }, args, [
      READY,
      ...ended,
      ...ended,
      ...ended,
      ["send", "/show system\r"],
      ["expect", "There is no system."],
      READY,
      ["send", CTRL_D],
    ]);
    assert.equal(code, 0, seen);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
