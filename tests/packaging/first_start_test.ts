/** What the first command in a fresh clone says while it gets its packages: with a cache and no network, and with neither. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { countPackages, hintOf, Progress } from "../../scripts/packages.ts";
import { type Ended, runToEnd } from "../support/run_to_end.ts";
import { ROOT } from "../support/serve.ts";
import { denoDir } from "../support/deno_dir.ts";

const MAIN = `import { installPackages } from "./scripts/packages.ts";
await installPackages();
console.log("there");
`;

/** A folder with what the first step of a clone reads. */
async function clone(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-clone-" });
  await Deno.mkdir(join(folder, "scripts"));
  for (const name of ["deno.json", "deno.lock", "package.json", "scripts/packages.ts"]) {
    await Deno.copyFile(join(ROOT, name), join(folder, name));
  }
  await Deno.writeTextFile(join(folder, "main.ts"), MAIN);
  return folder;
}

/** Without a network, and with this cache. */
function start(folder: string, cache: string): Promise<Ended> {
  const run = [Deno.execPath(), "run", "--quiet", "--allow-all", "--frozen", "main.ts"];
  return runToEnd(["/usr/bin/unshare", "--net", ...run], {
    cwd: folder,
    env: { PATH: "/usr/bin:/bin", HOME: folder, DENO_DIR: cache },
  });
}

const CACHE = denoDir();
const asRoot = Deno.build.os === "linux" && Deno.uid() === 0;
if (!asRoot) console.log("skipped: the first start without a network needs root on Linux");

Deno.test({
  name: "first start: with everything cached it needs no network and says one line, and then none",
  ignore: !asRoot,
  async fn() {
    const folder = await clone();
    try {
      const first = await start(folder, CACHE);
      assert.equal(first.code, 0, first.stderr);
      assert.match(first.stderr, /^getting \d+ packages, for the first time only \(.*\)\n$/);
      assert.equal(first.stdout, "there\n");
      assert.deepEqual(await start(folder, CACHE), { code: 0, stdout: "there\n", stderr: "" });
      await Deno.writeTextFile(join(folder, "build/packages.sha256"), "of another lock");
      assert.match((await start(folder, CACHE)).stderr, /^getting/, "a lock that changed");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "first start: with neither cache nor network it says what could not be had, why, and what to do",
  ignore: !asRoot,
  async fn() {
    const folder = await clone();
    try {
      const stamp = join(folder, "build/packages.sha256");
      await Deno.mkdir(join(folder, "build"));
      await Deno.writeTextFile(stamp, "of another lock");
      const { code, stdout, stderr } = await start(folder, join(folder, "empty"));
      const [getting, error, hint, ...more] = stderr.trimEnd().split("\n");
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.match(getting!, /^getting \d+ packages/);
      assert.match(error!, /^error: the packages cannot be had: .*: .*(connect|dns|network)/i);
      assert.match(hint!, /^hint: check the network, then run the same command again/);
      assert.deepEqual(more, []);
      await assert.rejects(Deno.stat(stamp), Deno.errors.NotFound, "whose packages are half there");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("first start: what Deno reports is counted, however it is cut; the packages are those of this system", () => {
  const report = "Download https://packages.example:8443/a/-/a-1.0.0.tgz\nInitialize a@1.0.0\n" +
    "Initialize @b/c@2.0.0\nerror: Failed caching npm package 'd@1.0.0'\n\nCaused by:\n" +
    "    0: error sending request\nStack backtrace:\n   0: <unknown>\n";
  for (let cut = 0; cut <= report.length; cut++) {
    const progress = new Progress();
    progress.take(report.slice(0, cut));
    progress.take(report.slice(cut));
    assert.equal(progress.done, 2);
    assert.equal(progress.host, "packages.example:8443");
    assert.deepEqual(progress.errors, [
      "error: Failed caching npm package 'd@1.0.0'",
      "0: error sending request",
    ]);
  }
  const lock = JSON.stringify({
    npm: {
      a: {},
      b: { os: ["linux"] },
      c: { os: ["win32"] },
      d: { os: ["darwin", "linux"], cpu: ["arm64"] },
    },
  });
  assert.equal(countPackages(lock, "linux", "aarch64"), 3);
  assert.equal(countPackages(lock, "linux", "x86_64"), 2);
  assert.equal(countPackages(lock, "windows", "x86_64"), 2);
});

Deno.test("first start: behind a firm's proxy that opens TLS, the hint is to trust it, not to look for a network", () => {
  const said =
    "error sending request for url (https://registry.example/x.tgz): client error (Connect): ";
  assert.match(
    hintOf(`${said}invalid peer certificate: UnknownIssuer`),
    /DENO_TLS_CA_STORE=system/,
  );
  assert.equal(
    hintOf(`${said}dns error: failed to lookup address information`),
    "check the network",
  );
});
