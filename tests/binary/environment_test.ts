/** Hostile variables, a hostile PATH and a hostile argv[0]: each is first shown to work on a program that does nothing about it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { compiledProgram } from "../support/binary.ts";
import { type Served, startServe } from "../support/serve.ts";
import { allAtOnce, FULL, hostile, listen, QUESTION, test } from "./hostile.ts";
import { emptyHome, run, runToEnd } from "./testing.ts";
import { denoDir } from "../support/deno_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** A library of the base system that neither Deno nor SecLlama needs: mapped only if it was preloaded. */
const PRELOADED = "/lib/x86_64-linux-gnu/libnss_files.so.2";

/** What a program that does nothing about its environment does: `plain maps`, `plain post`, `plain`. */
const PLAIN = `
if (Deno.args[0] === "maps") {
  const args = ["/proc/" + Deno.pid + "/maps"];
  const { stdout } = await new Deno.Command("/bin/cat", { args, clearEnv: true }).output();
  await Deno.stdout.write(stdout);
} else if (Deno.args[0] === "post") {
  await fetch("http://127.0.0.1:8199/", { method: "POST", body: "a prompt" }).catch(() => {});
} else {
  console.log("a secret");
  await new Promise((r) => setTimeout(r, 300));
}`;

let plain: Promise<string> | undefined;

/** A compiled program that is not ours, on the same runtime. */
function plainProgram(): Promise<string> {
  return plain ??= (async () => {
    const folder = await Deno.makeTempDir({ prefix: "secllama-plain-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    return await compilePlain(folder, {});
  })();
}

async function compilePlain(folder: string, env: Record<string, string>): Promise<string> {
  const source = join(folder, "plain.ts");
  await Deno.writeTextFile(source, PLAIN);
  const { code: exit, stderr } = await runToEnd([
    Deno.execPath(),
    "compile",
    "--quiet",
    "--no-config",
    "--no-lock",
    "-A",
    "--output",
    join(folder, "plain"),
    source,
  ], {
    env: {
      HOME: folder,
      PATH: "/usr/bin:/bin",
      DENORT_BIN: join(ROOT, "build/denort"),
      ...env,
    },
    cwd: folder,
  });
  assert.equal(exit, 0, stderr);
  return join(folder, "plain");
}

async function processes(served: Served): Promise<{ [role: string]: number }> {
  const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
  const children = await Deno.readTextFile(`/proc/${served.pid}/task/${served.pid}/children`);
  const proxy = children.trim().split(" ").map(Number).find((pid) =>
    Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("--from-serve")
  );
  return { gateway: served.pid, proxy: proxy!, runner: status.runners[0].pid };
}

test("SSLKEYLOGFILE gets no secret of a TLS connection", async () => {
  await using home = await emptyHome();
  const at = (name: string) => join(home.home, name);
  const made = await runToEnd([
    ...["/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"],
    ...["ec_paramgen_curve:P-256", "-nodes", "-keyout", at("k.pem"), "-out", at("c.pem")],
    ...["-subj", "/CN=a", "-addext", "subjectAltName=DNS:localhost"],
  ], home);
  assert.equal(made.code, 0, made.stderr);
  // That the runtime writes them is shown in src/app/environment_test.ts.
  const served = await startServe({
    program: compiledProgram(),
    env: { SSLKEYLOGFILE: at("log") },
    args: ["--ephemeral", "--no-preload", "--tls-cert", at("c.pem"), "--tls-key", at("k.pem")],
  });
  try {
    const hello = await runToEnd(
      ["/usr/bin/curl", "-sk", `https://localhost:${new URL(served.gatewayUrl).port}/`],
      home,
    );
    assert.equal(hello.stdout, "Ollama is running", hello.stderr);
  } finally {
    await served.stop();
  }
  assert.equal((await Deno.stat(at("log"))).size, 0);
});

test("DENO_*, NODE_* and others change nothing, and are errors if they come back", async () => {
  await using home = await emptyHome();
  const hostile = {
    DENO_V8_FLAGS: "--help",
    DENO_LOG: "debug",
    DENO_CERT: "/nonexistent",
    DENO_TLS_CA_STORE: "nonsense",
    DENO_INTERNAL_CHILD_ENTRYPOINT: "/nonexistent",
    DENO_SERVE_ADDRESS: "tcp:127.0.0.1:1",
    NODE_OPTIONS: "--require /nonexistent.cjs",
    NODE_EXTRA_CA_CERTS: "/nonexistent",
    NODE_TLS_REJECT_UNAUTHORIZED: "0",
    RUST_BACKTRACE: "full",
    GLIBC_TUNABLES: "glibc.malloc.check=3",
    DENO_DIR: join(home.home, "deno"),
  };
  const plain = await plainProgram();
  const unprotected = await runToEnd([plain], { env: { ...home.env, ...hostile } });
  assert.match(unprotected.stderr, /DEBUG/, "positive control: the runtime does read them");
  const quiet = await run(["version"], home);
  const loud = await run(["version"], { env: { ...home.env, ...hostile } });
  // The first start's own lines, before ours runs, are the runtime's: what counts is what the second one does.
  assert.equal(loud.stdout, quiet.stdout);
  assert.equal(loud.code, 0);
  await assert.rejects(Deno.stat(hostile.DENO_DIR), Deno.errors.NotFound);
  // One that ends the runtime before our first line: by its own message, which names the variable.
  const channel = await run(["version"], { env: { ...home.env, NODE_CHANNEL_FD: "0" } });
  assert.notEqual(channel.code, 0);
  assert.match(channel.stderr, /NODE_CHANNEL_FD/);
  const back = await run(["version"], {
    env: { ...home.env, LD_BIND_NOW: "1", SECLLAMA_STARTED_AGAIN: "1" },
  });
  assert.equal(back.code, 9);
  assert.match(back.stderr, /^error: LD_BIND_NOW is set.*\nhint: run: env -u LD_BIND_NOW/);
});

test("whatever argv[0] or the file's name says, it is the same program", async () => {
  await using home = await emptyHome();
  const { stdout: wanted } = await run(["version"], home);
  const exec = (argv0: string) =>
    runToEnd([
      "/usr/bin/python3",
      "-c",
      "import os, sys; os.execv(sys.argv[1], [sys.argv[2], 'version'])",
      compiledProgram(),
      argv0,
    ], { env: home.env });
  const odd = [" ", "deno", "-sh", "a".repeat(9000)];
  for (const argv0 of FULL ? [...odd, "node", "/etc/passwd", "../x", "--help"] : odd) {
    const named = await exec(argv0);
    assert.deepEqual([named.code, named.stdout], [0, wanted], `${argv0}: ${named.stderr}`);
  }
  for (const name of ["deno", "se c'llama", ...FULL ? ["node", "secllama-runner"] : []]) {
    const link = join(home.home, name);
    await Deno.symlink(compiledProgram(), link);
    const linked = await runToEnd([link, "version"], { env: { ...home.env, LD_BIND_NOW: "1" } });
    assert.deepEqual([linked.code, linked.stdout], [0, wanted], `${name}: ${linked.stderr}`);
  }
});

hostile("a preloaded library, a false library folder: in none of the processes", async (home) => {
  const folder = join(home.home, "lib");
  await Deno.mkdir(folder);
  await Deno.copyFile("/lib/x86_64-linux-gnu/libgcc_s.so.1", join(folder, "libgcc_s.so.1"));
  const env = { LD_PRELOAD: PRELOADED, LD_LIBRARY_PATH: folder };
  const plain = await plainProgram();
  const unprotected = await runToEnd([plain, "maps"], { env: { ...home.env, ...env } });
  for (const file of [PRELOADED.split("/").pop()!, folder]) {
    assert.ok(unprotected.stdout.includes(file), `positive control: ${unprotected.stderr}`);
  }
  return {
    env,
    async during(served) {
      for (const [role, pid] of Object.entries(await processes(served))) {
        const maps = await Deno.readTextFile(`/proc/${pid}/maps`);
        assert.ok(maps.includes("libc.so.6"), role);
        for (const file of [PRELOADED.split("/").pop()!, folder]) {
          assert.ok(!maps.includes(file), `${role} has ${file}`);
        }
        assert.doesNotMatch(await Deno.readTextFile(`/proc/${pid}/environ`), /\0?LD_/);
      }
    },
  };
});

hostile("an HTTP proxy gets neither a prompt nor anything else", async (home, stack) => {
  const listener = stack.use(listen());
  const proxy = `http://127.0.0.1:${listener.port}`;
  const env = Object.fromEntries(
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((n) => [n, n.toLowerCase()])
      .map((name) => [name, proxy]),
  );
  const plain = await plainProgram();
  await runToEnd([plain, "post"], { env: { ...home.env, ...env } });
  assert.ok(listener.got.some((text) => text.includes("a prompt")), "positive control");
  listener.got.length = 0;
  return {
    env,
    async during(served) {
      const answer = await run(
        ["run", "demo", QUESTION, `--proxy-port=${new URL(served.proxyUrl).port}`],
        { env: { ...home.env, HOME: served.home, ...env } },
      );
      assert.equal(answer.code, 0, answer.stderr);
      assert.match(answer.stdout, /network|socket/i);
      assert.equal(listener.got.join(), "");
    },
    async after(served) {
      assert.equal(listener.got.join(), "");
      // From source too, where Deno itself may ask its registry through the proxy, but a prompt must not go that way.
      const source = await runToEnd([
        Deno.execPath(),
        "run",
        "--quiet",
        "-A",
        join(ROOT, "main.ts"),
        "run",
        "demo",
        "a prompt",
        // Where nobody listens any more.
        `--proxy-port=${new URL(served.proxyUrl).port}`,
      ], {
        env: {
          ...home.env,
          DENO_DIR: denoDir(),
          ...env,
        },
        cwd: ROOT,
      });
      assert.equal(source.code, 5, source.stderr);
      assert.ok(!listener.got.some((text: string) => text.includes("a prompt")));
    },
  };
});

hostile("OTEL_DENO exports nothing", async (home, stack) => {
  const listener = stack.use(listen());
  const env = {
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${listener.port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_METRIC_EXPORT_INTERVAL: "50",
    OTEL_BSP_SCHEDULE_DELAY: "50",
    OTEL_BLRP_SCHEDULE_DELAY: "50",
    OTEL_DENO_CONSOLE: "capture",
  };
  // `deno compile` reads OTEL_DENO when it builds: such a program exports wherever the variable says when it runs.
  const plain = await compilePlain(home.home, {
    OTEL_DENO: "true",
    OTEL_DENO_CONSOLE: "capture",
  });
  await runToEnd([plain], { env: { ...home.env, ...env } });
  assert.ok(listener.got.some((text) => text.includes("/v1/")), "positive control");
  listener.got.length = 0;
  return {
    env,
    after() {
      assert.equal(listener.got.join(), "");
      return Promise.resolve();
    },
  };
});

hostile(
  "false unshare, setpriv, secret-tool and gdbus first in PATH are not started",
  async (home) => {
    const bin = join(home.home, "bin");
    await Deno.mkdir(bin);
    const marker = join(home.home, "started");
    const names = [
      "unshare",
      "setpriv",
      "secret-tool",
      "gdbus",
      "dbus-send",
      "readlink",
      "sh",
      "env",
    ];
    for (const name of names) {
      await Deno.writeTextFile(join(bin, name), `#!/bin/sh\necho ${name} >> ${marker}\nexit 0\n`);
      await Deno.chmod(join(bin, name), 0o755);
    }
    const PATH = `${bin}:/usr/bin:/bin`;
    await runToEnd(["/bin/sh", "-c", names.join(";")], { env: { PATH } });
    assert.deepEqual(
      (await Deno.readTextFile(marker)).trim().split("\n"),
      names,
      "positive control: a program that trusts PATH starts them",
    );
    await Deno.remove(marker);
    return {
      env: { PATH },
      args: ["--ephemeral-fallback"],
      async during(served) {
        assert.match(served.banner, /isolation +strict/);
        await run(["key", "status"], { env: { ...home.env, PATH } });
      },
      async after() {
        await assert.rejects(Deno.readTextFile(marker), Deno.errors.NotFound);
      },
    };
  },
);

hostile("nothing is read from or left in the temporary folder", async (home) => {
  const TMPDIR = join(home.home, "tmp");
  await Deno.mkdir(TMPDIR);
  const plain = await plainProgram();
  for (let i = 0; i < 2; i++) await runToEnd([plain], { env: { ...home.env, TMPDIR } });
  assert.deepEqual(
    [...Deno.readDirSync(TMPDIR)].map((e) => e.name),
    ["deno-compile-plain.cache"],
    "positive control: what deno compile does unless it is told not to",
  );
  await Deno.remove(join(TMPDIR, "deno-compile-plain.cache"));
  return {
    env: { TMPDIR },
    async after() {
      assert.equal((await run(["list"], { env: { ...home.env, TMPDIR } })).code, 0);
      assert.deepEqual([...Deno.readDirSync(TMPDIR)].map((e) => e.name), []);
    },
  };
});

allAtOnce();
