/** The compiled program as a pipeline uses it: no terminal, no key store, a descriptor that says when it is ready. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { compiledProgram } from "../support/binary.ts";
import { emptyHome, type Home, IGNORE, run, runToEnd } from "./testing.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const QUESTION = "What is network isolation?";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.log("skipped: half of what is refused; set SECLLAMA_FULL=1");

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `binary in a pipeline: ${name}`, ignore: IGNORE, fn });
}

/** Runs a shell script with `$secllama` set. */
function shell(script: string, home: Home, env: Record<string, string> = {}) {
  return runToEnd(["/bin/sh", "-euc", script], {
    env: { ...home.env, secllama: compiledProgram(), ...env },
    cwd: home.home,
  });
}

test("the script of docs/ci.md", async () => {
  await using home = await emptyHome("here");
  const env = { ...home.env, SECLLAMA: compiledProgram(), TMPDIR: home.home };
  const script = join(ROOT, "examples/ci/pipeline.sh");
  const answer = await runToEnd([script, QUESTION], { env });
  assert.equal(answer.code, 0, answer.stderr);
  assert.match(JSON.parse(answer.stdout).message.content, /socket|network/i);
  // The first start unpacks, and with --quiet says not even that.
  assert.equal(answer.stderr, "");
  // What fails is said, and its exit code is the script's.
  const refused = await runToEnd([script, QUESTION], {
    env: { ...env, XDG_CACHE_HOME: "/proc/nowhere" },
  });
  assert.equal(refused.code, 5, refused.stderr);
  assert.match(refused.stderr, /^error: cannot unpack to .*\nhint: /);
  assert.deepEqual(
    [...Deno.readDirSync(home.home)].map((e) => e.name).sort(),
    [".cache", ".local"],
    "nothing else is left",
  );
});

test("--ready-fd: one line and the end; not open, or open for reading, is an error", async () => {
  await using home = await emptyHome();
  const served = await shell(
    `mkfifo ready
     "$secllama" serve --ephemeral --quiet --port 0 --proxy-port 0 --ready-fd 7 7>ready >out 2>err &
     cat ready # ends only when no process holds the descriptor
     kill $!; wait $!; cat out err`,
    home,
  );
  assert.equal(served.code, 0, served.stderr);
  const { gateway, proxy, gatewayPort, proxyPort, pid, ...rest } = JSON.parse(served.stdout);
  assert.deepEqual(rest, { schema: 1, ready: true, model: "demo:latest", isolation: "strict" });
  assert.equal(gateway, `http://127.0.0.1:${gatewayPort}`);
  assert.equal(proxy, `http://127.0.0.1:${proxyPort}`);
  assert.ok(pid > 0);
  await Deno.writeTextFile(join(home.home, "file"), "");
  for (const redirection of ["", "7<file"]) {
    const bad = await shell(`"$secllama" serve --ephemeral --ready-fd 7 ${redirection}`, home);
    assert.equal(bad.code, 2, bad.stderr);
    assert.match(bad.stderr, /^error: --ready-fd: descriptor 7 .*\nhint: .*7>FILE/);
  }
  for (const fd of FULL ? ["1", "x", "-1", ""] : ["1", "x"]) {
    assert.equal((await run(["serve", "--ephemeral", `--ready-fd=${fd}`], home)).code, 2, fd);
  }
});

test("wait: 0 when the proxy answers, 5 when the time is over", async () => {
  await using home = await emptyHome();
  const { code, stdout, stderr } = await shell(
    `code=0; "$secllama" wait --proxy-port 8198 --timeout 300ms 2>late || code=$?; echo $code
     "$secllama" serve --ephemeral --quiet --port 0 --proxy-port 8198 &
     "$secllama" wait --proxy-port 8198 --timeout 300s || echo "late: $?"; echo $?
     "$secllama" wait --proxy-port 8198 --timeout 300s; echo $?
     kill $!; wait $!; cat late`,
    home,
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^5\n0\n0\nerror: no proxy answers on 127\.0\.0\.1:8198\nhint: /);
});

test("a key from a descriptor: the same key at every start, and no copy on disk", async () => {
  await using home = await emptyHome();
  const secret = crypto.getRandomValues(new Uint8Array(32)).toBase64();
  const { code, stdout, stderr } = await shell(
    `printf 'sl1:%s\\n' '${secret}' >key; mkfifo ready
     for i in 1 2; do
       "$secllama" serve --key-fd 3 --port 0 --proxy-port 0 --ready-fd 7 3<key 7>ready >banner &
       read -r line <ready
       port=$(printf '%s' "$line" | sed 's/.*"proxyPort":\\([0-9]*\\).*/\\1/')
       "$secllama" run demo '${QUESTION}' --proxy-port "$port" --json | grep -c content
       kill $!; wait $!
       sed -n 's/^ *key *\\([0-9a-f]*\\).*/\\1/p' banner
     done; rm key
     grep -rl '${secret}' . || echo none`,
    home,
  );
  assert.equal(code, 0, stderr);
  const [one, first, two, second, copies] = stdout.trim().split("\n");
  assert.deepEqual([one, two, copies], ["1", "1", "none"]);
  assert.match(first!, /^[0-9a-f]{16}$/);
  assert.equal(second, first);
});

test("no colour, no question, and an exit code for each kind of failure", async () => {
  await using home = await emptyHome();
  const cases: [string, number, RegExp][] = [
    ['"$secllama" nonsense', 2, /unknown command/],
    ['SECLLAMA_PORT=x "$secllama" serve', 2, /SECLLAMA_PORT must be/],
    ['"$secllama" run demo hello --proxy-port 8197', 5, /no proxy answers/],
    // No key store, no terminal: it does not ask, and makes no key that nobody chose.
    ['"$secllama" serve --port 0 --proxy-port 0', 5, /key store/i],
    ['"$secllama" key status --key-fd 9', 2, /--key-fd/],
    ['"$secllama" show nothing', 1, /not found/],
  ];
  for (const [command, wanted, message] of cases.filter((_, at) => FULL || at % 2 === 1)) {
    const { code, stdout, stderr } = await shell(`${command} </dev/null`, home);
    assert.equal(code, wanted, `${command}: ${stderr}`);
    assert.match(stderr, message, command);
    assert.match(stderr, /^error: /m);
    assert.ok(!(stdout + stderr).includes("\x1b"), command);
  }
});
