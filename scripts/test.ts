/**
 * `deno task test` and `task test:full`: installs what the tests need, checks format, lint and types, and runs all tests.
 * On Debian as root it installs packages with apt-get; elsewhere it says what is missing and fails.
 *
 *     deno run -A scripts/test.ts [--full] [PATH…]
 */
const full = Deno.args.includes("--full");
const paths = Deno.args.filter((a) => !a.startsWith("--"));
const deno = Deno.execPath();

/** Clients and generators that only tests import are in a configuration of their own: no plain install downloads them. */
const CONFIG = ["--config", "tests/deps.json", "--frozen"];

/** The compiled program that the tests of it use; tests/support/binary.ts makes the same one. */
const TEST_BINARY = ["--testbase", "--if-changed", "--output", "build/test/secllama"];

/** Program that shows the package is there → Debian's package. */
const NEEDS: readonly (readonly [program: string, debianPackage: string])[] = [
  ["/usr/bin/unshare", "util-linux"],
  ["/usr/bin/setpriv", "util-linux"],
  ["/usr/bin/dbus-run-session", "dbus-daemon"],
  ["/usr/bin/gdbus", "libglib2.0-bin"],
  ["/usr/bin/secret-tool", "libsecret-tools"],
  ["/usr/bin/gnome-keyring-daemon", "gnome-keyring"],
  ["/usr/bin/python3", "python3"],
  ["/usr/bin/openssl", "openssl"],
  ["/usr/sbin/ip", "iproute2"],
  ["/usr/sbin/debootstrap", "debootstrap"],
  ["/usr/bin/podman", "podman"],
  ["/usr/bin/crun", "crun"],
  ["/usr/lib/python3/dist-packages/cryptography/__init__.py", "python3-cryptography"],
  ["/usr/lib/python3/dist-packages/requests/__init__.py", "python3-requests"],
  ["/usr/lib/python3/dist-packages/httpx/__init__.py", "python3-httpx"],
  ["/usr/lib/python3/dist-packages/aiohttp/__init__.py", "python3-aiohttp"],
  // Its text/template is what Ollama's templates are held against.
  ["/usr/bin/go", "golang-go"],
  ["/usr/lib/python3/dist-packages/jsonschema/__init__.py", "python3-jsonschema"],
  ["/usr/bin/curl", "curl"],
  ["/usr/bin/wget", "wget"],
  ["/usr/bin/docker-registry", "docker-registry"],
  ["/usr/bin/script", "bsdutils"],
  ["/usr/bin/zsh", "zsh"],
  ["/usr/bin/fish", "fish"],
  ["/usr/bin/mandoc", "mandoc"],
  ["/usr/bin/man", "man-db"],
  ["/usr/bin/minisign", "minisign"],
  ["/usr/bin/shellcheck", "shellcheck"],
  ["/usr/bin/ruby", "ruby"],
  ["/usr/bin/systemd-analyze", "systemd"],
  // A systemd of its own, with a user's manager in it.
  ["/usr/lib/systemd/user/dbus.socket", "dbus-user-session"],
  ["/usr/share/pam-configs/systemd", "libpam-systemd"],
  ["/usr/bin/chromium", "chromium"],
  // RFC 9180's vectors.
  [
    "/usr/share/gocode/src/github.com/cloudflare/circl/hpke/testdata/vectors_v08_779d028.json",
    "golang-github-cloudflare-circl-dev",
  ],
  ["/usr/lib/python3/dist-packages/jinja2/__init__.py", "python3-jinja2"],
  ["/usr/lib/python3/dist-packages/capstone/__init__.py", "python3-capstone"],
];

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function run(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<void> {
  const { code } = await new Deno.Command(program, {
    args: [...args],
    env,
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  if (code !== 0) {
    console.error(
      `error: ${program.split("/").pop()} ${args.slice(0, 3).join(" ")} ended with ${code}`,
    );
    Deno.exit(code);
  }
}

async function installNeeds(): Promise<void> {
  const missing = new Set<string>();
  for (const [program, name] of NEEDS) if (!await exists(program)) missing.add(name);
  if (missing.size === 0) return;
  const words = [...missing].join(" ");
  if (Deno.build.os !== "linux" || Deno.uid() !== 0 || !await exists("/usr/bin/apt-get")) {
    console.error(`error: the tests need these packages: ${words}`);
    console.error(`hint: as root on Debian, run: apt-get install ${words}`);
    Deno.exit(1);
  }
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await run("/usr/bin/apt-get", ["update", "-qq"], env);
  await run(
    "/usr/bin/apt-get",
    ["install", "-y", "-qq", "--no-install-recommends", ...missing],
    env,
  );
}

/** Runs the tests, passing their output on, and returns the counts that Deno's summary line gives. */
async function runTests(): Promise<
  { passed: number; failed: number; ignored: number; code: number }
> {
  const child = new Deno.Command(deno, {
    args: [
      "test",
      "-A",
      "--no-check",
      ...CONFIG,
      ...(paths.length ? paths : ["src", "runner", "tests"]),
    ],
    env: { NO_COLOR: "1", ...(full ? { SECLLAMA_FULL: "1" } : {}) },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    Deno.stdout.writeSync(chunk);
    text = (text + decoder.decode(chunk, { stream: true })).slice(-4096);
  }
  const { code } = await child.status;
  const count = (word: string) =>
    Number(new RegExp(`(\\d+) ${word}`).exec(text.slice(text.lastIndexOf(" | ") - 200))?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed"), ignored: count("ignored"), code };
}

await installNeeds();
await run(deno, ["task", "--quiet", "bundle"]);
if (paths.length === 0) {
  await run(deno, ["fmt", "--check", "--quiet"]);
  await run(deno, ["lint", "--quiet"]);
  // As whoever clones it and has only the product's own packages. The examples in the documentation too.
  await run(deno, ["check", "--quiet", "--frozen", "--doc", "main.ts", "runner", "src"]);
  await run(deno, [
    "check",
    "--quiet",
    ...CONFIG,
    "main.ts",
    "runner",
    "src",
    "tests",
    "scripts",
    "bench",
  ]);
}
if (paths.length === 0 && Deno.build.target === "x86_64-unknown-linux-gnu") {
  await run(deno, ["run", "-A", "--frozen", "scripts/compile.ts", ...TEST_BINARY]);
}
const { passed, failed, ignored, code } = await runTests();
console.log(`\n${passed} passed, ${failed} failed, ${ignored} skipped`);
if (code === 0 && passed === 0) {
  console.error("error: no test ran");
  Deno.exit(1);
}
Deno.exit(code);
