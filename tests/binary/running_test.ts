/** What happens to a compiled program's files while it runs: its own is deleted or replaced, the unpacked ones are changed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { compiledProgram } from "../support/binary.ts";
import { chat, type Served, startServe } from "../support/serve.ts";
import { emptyHome, IGNORE, onlyFolder, run } from "./testing.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) {
  console.log(
    "skipped: a file that is deleted only, and that two builds are the same; set SECLLAMA_FULL=1",
  );
}
const QUESTION = "What is network isolation?";

async function runnerPid(served: Served): Promise<number> {
  const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
  return status.runners[0].pid;
}

/** Ends the runner, so that the next request needs a new one. */
async function killRunner(served: Served): Promise<void> {
  const pid = await runnerPid(served);
  Deno.kill(pid, "SIGKILL");
  while (await Deno.stat(`/proc/${pid}`).then(() => true, () => false)) {
    await new Promise((r) => setTimeout(r, 10));
  }
}

Deno.test({
  name: "binary: it goes on when its file is deleted, or another has its place",
  ignore: IGNORE,
  async fn() {
    await using home = await emptyHome();
    const program = join(home.home, "secllama");
    for (const replaced of FULL ? [false, true] : [true]) {
      await Deno.copyFile(compiledProgram(), program);
      const served = await startServe({
        program,
        env: { XDG_CACHE_HOME: join(home.home, "cache") },
      });
      try {
        await Deno.remove(program);
        if (replaced) await Deno.copyFile("/bin/false", program);
        // Nothing unpacked is left either: all that a new runner needs comes from the file that runs.
        await Deno.remove(onlyFolder(join(home.home, "cache/secllama")), { recursive: true });
        await killRunner(served);
        const answer = await chat(served.proxyUrl, QUESTION);
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        assert.match(served.stderr(), /unpacking to/);
      } finally {
        assert.equal((await served.stop()).code, 0);
      }
    }
  },
});

Deno.test({
  name: "binary: a runner changed on disk is not started again, and put right",
  ignore: IGNORE,
  async fn() {
    await using home = await emptyHome();
    const cache = join(home.home, "cache");
    const served = await startServe({
      program: compiledProgram(),
      env: { XDG_CACHE_HOME: cache },
    });
    try {
      const runner = join(onlyFolder(join(cache, "secllama")), "secllama-runner");
      const size = Deno.statSync(runner).size;
      Deno.removeSync(runner);
      Deno.writeTextFileSync(runner, "#!/bin/sh\necho changed >&2\n");
      Deno.truncateSync(runner, size);
      Deno.chmodSync(runner, 0o555);
      await killRunner(served);
      const answer = await chat(served.proxyUrl, QUESTION);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.match(served.stderr(), /are not those of this program: unpacking them again/);
      assert.equal(Deno.statSync(runner).size, size);
      const magic = new Uint8Array(4);
      using file = Deno.openSync(runner);
      file.readSync(magic);
      assert.equal(new TextDecoder().decode(magic), "\x7fELF");
    } finally {
      await served.stop();
    }
  },
});

Deno.test({
  name: "binary: two builds are the same, byte for byte, whatever the environment has",
  ignore: IGNORE || !FULL,
  async fn() {
    await using home = await emptyHome();
    const second = join(home.home, "secllama");
    // Bundled at another time: what is stored with the files must not say when.
    for (const name of ["runner.js", "attacker.js"]) {
      const bundle = new URL(`../../build/${name}`, import.meta.url);
      await Deno.utime(bundle, new Date(), new Date());
    }
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--frozen", "scripts/compile.ts", "--testbase", "--output", second],
      cwd: new URL("../../", import.meta.url).pathname,
      // What is in the environment must not reach the build: OTEL_DENO would be compiled in.
      env: { OTEL_DENO: "true", DENO_V8_FLAGS: "--stack-size=900", NODE_OPTIONS: "--no-warnings" },
      stdout: "null",
    }).output();
    assert.ok(success);
    const [a, b] = await Promise.all([Deno.readFile(compiledProgram()), Deno.readFile(second)]);
    assert.equal(a.length, b.length);
    let differing = 0;
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) differing++;
    assert.equal(differing, 0);
    assert.ok(a.length <= 165e6, `${a.length} bytes`);
  },
});

Deno.test({
  name: "binary: version names the build, its base and every part, with digests",
  ignore: IGNORE,
  async fn() {
    await using home = await emptyHome("here");
    const short = await run(["version"], home);
    assert.match(short.stdout, /^secllama \d+\.\d+\.\d+\+testbase \(sealed\/1, deno 2\.9\.4, /);
    const facts = JSON.parse((await run(["version", "--json"], home)).stdout);
    const file = new Uint8Array(
      await crypto.subtle.digest("SHA-256", await Deno.readFile(compiledProgram())),
    );
    assert.equal(facts.program.sha256, file.toHex());
    assert.equal(facts.base.kind, "testbase");
    const names = (facts.parts as { name: string }[]).map((p) => p.name);
    for (const wanted of ["secllama-runner", "lib/libllama.v0.4.0.so", "demo.gguf"]) {
      assert.ok(names.includes(wanted), wanted);
    }
    // One library for each generation of processor, so that a fast machine is not held back by an old one.
    assert.equal(names.filter((n) => n.startsWith("lib/libggml-cpu-")).length, 14);
    const packages = (facts.packages as { name: string; integrity: string }[]).map((p) => p.name);
    for (const wanted of ["hono", "hpke", "hash-wasm", "smol-toml", "qr"]) {
      assert.ok(packages.includes(wanted), wanted);
    }
    await assert.rejects(Deno.stat(home.cache), Deno.errors.NotFound, "it unpacks nothing");
  },
});
