/**
 * `deno task test` and `task test:full`: installs what the tests need, checks format, lint and types, and runs all tests.
 * On Debian as root it installs packages with apt-get; elsewhere it says what is missing and fails.
 *
 *     deno run -A scripts/test.ts [--full] [--lanes=N] [PATH…]
 *
 * Test files run in N processes at a time, six more than there are processors and eight at most if it is not said, from a queue with
 * the longest first (scripts/test/queue.ts).
 */
import { checkChanged } from "./test/checked.ts";
import { spawnGuarded } from "./test/guard.ts";
import { mayJoin } from "./test/joined.ts";
import { type Ran, runGroup } from "./test/lane.ts";
import {
  type Counts,
  type Group,
  makeGroups,
  type Row,
  type Seconds,
  takeNext,
} from "./test/queue.ts";
import { FIRST_SECONDS } from "./test/first_seconds.ts";

const full = Deno.args.includes("--full");
const paths = Deno.args.filter((a) => !a.startsWith("--"));
const deno = Deno.execPath();

/** Clients and generators that only tests import are in a configuration of their own: no plain install downloads them. */
const CONFIG = ["--config", "tests/deps.json", "--frozen"];

/** The compiled program that the tests of it use; tests/support/binary.ts makes the same one. */
const TEST_BINARY = ["--testbase", "--if-changed", "--output", "build/test/secllama"];

/** Program that shows the package is there → Debian's package. */
const NEEDS: readonly (readonly [program: string, debianPackage: string])[] = [
  // The library for pictures is built from source.
  ["/usr/bin/git", "git"],
  ["/usr/bin/g++", "g++"],
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
  ["/usr/bin/gcc", "gcc"],
  ["/usr/bin/podman", "podman"],
  ["/usr/bin/crun", "crun"],
  ["/usr/lib/python3/dist-packages/cryptography/__init__.py", "python3-cryptography"],
  ["/usr/lib/python3/dist-packages/requests/__init__.py", "python3-requests"],
  // llama.cpp's own tests of its server.
  ["/usr/lib/python3/dist-packages/pytest/__init__.py", "python3-pytest"],
  ["/usr/lib/python3/dist-packages/httpx/__init__.py", "python3-httpx"],
  ["/usr/lib/python3/dist-packages/aiohttp/__init__.py", "python3-aiohttp"],
  // Its text/template is what Ollama's templates are held against.
  ["/usr/bin/go", "golang-go"],
  ["/usr/lib/python3/dist-packages/jsonschema/__init__.py", "python3-jsonschema"],
  ["/usr/bin/curl", "curl"],
  ["/usr/bin/wget", "wget"],
  ["/usr/bin/pdftoppm", "poppler-utils"],
  ["/usr/bin/docker-registry", "docker-registry"],
  ["/usr/bin/script", "bsdutils"],
  ["/usr/bin/zsh", "zsh"],
  ["/usr/bin/fish", "fish"],
  ["/usr/bin/mandoc", "mandoc"],
  ["/usr/bin/man", "man-db"],
  ["/usr/bin/minisign", "minisign"],
  ["/usr/bin/shellcheck", "shellcheck"],
  ["/usr/bin/ruby", "ruby"],
  ["/usr/bin/promtool", "prometheus"],
  ["/usr/bin/systemd-analyze", "systemd"],
  ["/usr/sbin/rsyslogd", "rsyslog"],
  // Balancers before several hosts.
  ["/usr/sbin/haproxy", "haproxy"],
  ["/usr/sbin/nginx", "nginx-light"],
  ["/usr/bin/caddy", "caddy"],
  // The store of a fleet.
  ["/usr/sbin/nats-server", "nats-server"],
  // A systemd of its own, with a user's manager in it.
  ["/usr/lib/systemd/user/dbus.socket", "dbus-user-session"],
  ["/usr/share/pam-configs/systemd", "libpam-systemd"],
  ["/usr/bin/chromium", "chromium"],
  // Ends a process at the n-th of its writes.
  ["/usr/bin/strace", "strace"],
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

/**
 * As `run`, beside others, which end when it fails.
 * @param says When what it says is shown: once it has `ended`, or as it `goes`.
 */
async function runBeside(
  args: readonly string[],
  says: "ended" | "goes" = "ended",
): Promise<void> {
  // A compiler that it has started must not outlive this script.
  const child = spawnGuarded([deno, ...args]);
  const show = async (
    from: ReadableStream<Uint8Array<ArrayBuffer>>,
    to: { writeSync(chunk: Uint8Array): number },
  ) => {
    const held: Uint8Array[] = [];
    for await (const chunk of from) {
      if (says === "goes") to.writeSync(chunk);
      else held.push(chunk);
    }
    return () => held.forEach((chunk) => to.writeSync(chunk));
  };
  const rest = await Promise.all([
    show(child.stdout, Deno.stdout),
    show(child.stderr, Deno.stderr),
  ]);
  const { code } = await child.status;
  await child.stdin.close().catch(() => {});
  for (const write of rest) write();
  if (code === 0) return;
  console.error(`error: deno ${args.slice(0, 3).join(" ")} ended with ${code}`);
  Deno.exit(code);
}

/** Format, lint and types; in a full run also of what passed and has not changed since. */
async function checkSources(): Promise<void> {
  // As whoever clones it and has only the product's own packages. The examples in the documentation too.
  const check = ["check", "--quiet", "--frozen", "--doc"];
  const all = ["main.ts", "runner", "src", "tests", "scripts", "bench"];
  const checks = {
    format: () => runBeside(["fmt", "--check", "--quiet"]),
    lint: () => runBeside(["lint", "--quiet"]),
    "the program's types": () => runBeside([...check, "main.ts", "runner", "src"]),
    "all types": () => runBeside(["check", "--quiet", ...CONFIG, ...all]),
  };
  const left = await checkChanged(checks, { anew: full });
  if (left.length > 0) console.log(`unchanged since it passed: ${left.join(", ")}`);
}

/** What tests use and takes a while to make. */
async function build(program: boolean): Promise<void> {
  const script = ["run", "-A", "--frozen"];
  await runBeside([...script, "scripts/test/program.ts", "--if-changed"]);
  // First: the program carries it.
  if (Deno.build.os === "linux") {
    await runBeside([...script, "scripts/vision/build.ts", "--if-missing"]);
  }
  if (!program) return;
  await runBeside([...script, "scripts/compile.ts", ...TEST_BINARY]);
  await runBeside([...script, "scripts/test/program.ts", "--compiled-runner"]);
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

/** The test files in a folder, or the file itself. @throws {Deno.errors.NotFound} */
async function testFiles(path: string): Promise<string[]> {
  const name = path.replace(/^\.\/|\/+$/g, "");
  if (!(await Deno.stat(name)).isDirectory) return [name];
  const found: string[] = [];
  for await (const entry of Deno.readDir(name)) {
    const inside = `${name}/${entry.name}`;
    // Packages of the tests bring tests of their own.
    if (entry.name === "node_modules") continue;
    if (entry.isDirectory) found.push(...await testFiles(inside));
    else if (/(^|[._])test\.(ts|js|mjs)$/.test(entry.name)) found.push(inside);
  }
  return found;
}

/** These write into the tree for a moment, which must not be while it is checked. */
const WRITES_INTO_TREE = /^tests\/(import_rule|library\/examples|packaging\/kubernetes)_test\.ts$/;

/** Where the seconds of the last run are kept, for the order of the next. */
const SECONDS = "build/test/seconds.json";

async function lastSeconds(): Promise<Seconds> {
  const text = await Deno.readTextFile(SECONDS).catch(() => "{}");
  return { ...FIRST_SECONDS, ...JSON.parse(text) };
}

/**
 * Runs the tests in `lanes` processes at a time, with `more` in their environment. A group's output comes when it ends; that of one
 * alone as it goes.
 */
async function runTests(
  lanes: number,
  more: Readonly<Record<string, string>>,
): Promise<Counts & { failures: string[] }> {
  const files = new Set<string>();
  for (const path of paths.length ? paths : ["src", "runner", "tests"]) {
    for (const file of await testFiles(path)) files.add(file);
  }
  const known = await lastSeconds();
  const waiting = makeGroups([...files], known);
  const sum = { passed: 0, failed: 0, ignored: 0, failures: [] as string[] };
  const seconds: Record<string, number> = { ...known };
  await Deno.mkdir("build/test", { recursive: true });
  const groups = waiting.length;
  const take = async (ran: Ran, group: Group) => {
    sum.passed += ran.passed;
    sum.failed += ran.failed;
    sum.ignored += ran.ignored;
    sum.failures.push(...ran.failures);
    Object.assign(seconds, ran.seconds);
    if (groups > 1) console.log(`\n=== ${title(group, ran)}\n${ran.text.trim()}`);
    await Deno.writeTextFile(SECONDS, JSON.stringify(seconds, null, 1));
  };
  let count = 0;
  const busy = new Set<Row>();
  let wake = Promise.withResolvers<void>();
  const lane = async () => {
    while (waiting.length > 0) {
      const group = takeNext(waiting, busy, lanes);
      if (!group) {
        await wake.promise;
        continue;
      }
      if (group.row) busy.add(group.row);
      const number = count++;
      if (group.files.some((file) => WRITES_INTO_TREE.test(file))) await checking;
      const joined: string[] = [];
      for (const file of groups === 1 ? [] : group.files) {
        if (mayJoin(await Deno.readTextFile(file))) joined.push(file);
      }
      const ran = await runGroup(group, {
        deno,
        args: ["-A", "--no-check", ...CONFIG],
        env: { NO_COLOR: "1", ...more, ...(full ? { SECLLAMA_FULL: "1" } : {}) },
        times: `build/test/times-${Deno.pid}-${number}`,
        ...(joined.length > 1 ? { joined: { files: joined, module: `${modules}/${number}` } } : {}),
        ...(groups === 1 ? { show: (chunk) => Deno.stdout.writeSync(chunk) } : {}),
      });
      if (group.row) busy.delete(group.row);
      wake.resolve();
      wake = Promise.withResolvers();
      await take(ran, group);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return sum;
}

function title({ files }: Group, { took }: Ran): string {
  const name = files.length === 1 ? files[0]! : `${files[0]} and ${files.length - 1} more`;
  return `${name}  ${took.wall.toFixed(0)} s, ${took.processors.toFixed(0)} s of processors`;
}

function laneCount(): number {
  const said = Deno.args.find((arg) => arg.startsWith("--lanes="))?.slice("--lanes=".length);
  // A test waits a good part of its time, for a process to start or to end: six lanes kept two processors busy for 83 % of it. Two
  // more were added since; how busy eight keep them has not been measured.
  if (said === undefined) return Math.min(navigator.hardwareConcurrency + 6, 8);
  if (/^[1-9]\d?$/.test(said)) return Number(said);
  console.error(`error: --lanes=${said}: a number from 1 to 99 is expected`);
  Deno.exit(1);
}

// Whoever is killed tells nobody: `deno task`, say, of which this is the child.
const parent = Deno.ppid;
Deno.unrefTimer(setInterval(() => Deno.ppid === parent || Deno.exit(1), 500));
const lanes = laneCount();
// The one waits for Debian's packages, the other for npm's.
await Promise.all([installNeeds(), runBeside(["task", "--quiet", "bundle"], "goes")]);
const built = paths.length === 0 && Deno.build.target === "x86_64-unknown-linux-gnu";
// Beside the tests: it is one process after the other, mostly of one thread, and ends the run if it fails.
const checking = paths.length === 0 ? checkSources() : Promise.resolve();
if (paths.length === 0) await build(built);
// What the compiled program unpacks: once for all files. tests/support/binary.ts has the names.
const cache = await Deno.makeTempDir({ prefix: "secllama-cache-" });
/** Not in build/, which the configuration leaves out. */
const modules = await Deno.makeTempDir({ prefix: "secllama-joined-" });
globalThis.addEventListener("unload", () => {
  for (const folder of [cache, modules]) {
    try {
      Deno.removeSync(folder, { recursive: true });
    } catch { /* whoever is being ended still writes there */ }
  }
});
const { passed, failed, ignored, failures } = await runTests(lanes, {
  TESTS_CACHE: cache,
  ...(paths.length === 0 ? { TESTS_BUNDLED: "1" } : {}),
  ...(built ? { TESTS_BUILT: "1" } : {}),
});
await checking;
if (failures.length > 0) console.log(`\nfailed:\n  ${failures.join("\n  ")}`);
console.log(`\n${passed} passed, ${failed} failed, ${ignored} skipped`);
if (failed === 0 && passed === 0) {
  console.error("error: no test ran");
  Deno.exit(1);
}
Deno.exit(failed === 0 ? 0 : 1);
