/**
 * `deno task compile`: `dist/secllama`, one file with gateway, proxy and command line, and inside it runner and attacker
 * as executables of their own, llama.cpp's libraries and the demo model (src/bundle/ unpacks them).
 *
 *     deno task compile [--testbase] [--target TRIPLE] [--output FILE] [--if-changed]
 *
 * `deno compile` downloads the runtime `denort` from Deno's own host; where that cannot be reached, name a copy in DENORT_BIN,
 * or for tests let scripts/denort.ts recover one: --testbase. Such a program calls itself `+testbase`.
 */
import { dirname, join, resolve } from "node:path";
import type { BuildFacts, PartList } from "../src/bundle/part_list.ts";
import { PROGRAM_PERMISSIONS } from "../src/permissions.ts";
import { RUNNER_V8_FLAGS } from "../src/supervisor/runner_target.ts";
import { VERSION } from "../src/version.ts";
import { bundlePieces, WORKERS } from "./bundle_pieces.ts";
import { carriedPackages } from "./compile_packages.ts";
import { compress, holds, pack, sha256, type Source } from "./compile_parts.ts";
import { findTarget, librariesOf, type Target } from "./compile_targets.ts";
import { obtainLibraries } from "./compile_libraries.ts";
import { DENORT_SHA256 } from "./denort.ts";
import { newest, PROGRAM_SOURCES } from "./newest.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const STAGE = join(ROOT, "build/stage");

function option(name: string): string | undefined {
  const at = Deno.args.indexOf(name);
  return at < 0 ? undefined : Deno.args[at + 1];
}

/** Variables that Deno needs to find its cache; nothing else reaches the build, since some of it is compiled in (OTEL_*). */
const KEPT = ["PATH", "HOME", "DENO_DIR", "TMPDIR", "XDG_CACHE_HOME", "LANG"];
const env: Record<string, string> = {};
for (const name of KEPT) if (Deno.env.has(name)) env[name] = Deno.env.get(name)!;

async function deno(args: readonly string[]): Promise<void> {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    env,
    clearEnv: true,
    cwd: ROOT,
  }).spawn().status;
  if (code !== 0) Deno.exit(code);
}

/** Names the runtime to build on in `env`, and says what it is. */
async function chooseBase(target: Target): Promise<BuildFacts["base"]> {
  let path = Deno.env.get("DENORT_BIN");
  if (Deno.args.includes("--testbase")) {
    if (target.triple !== "x86_64-unknown-linux-gnu") {
      throw new Error("--testbase is for x86_64-unknown-linux-gnu only");
    }
    path = join(ROOT, "build/denort");
    const there = await Deno.readFile(path).then(sha256, () => "");
    if (there !== DENORT_SHA256) {
      await deno(["run", "-A", "--frozen", "scripts/denort.ts", path]);
    }
  }
  if (path === undefined) {
    return { kind: "deno", sha256: null };
  }
  env["DENORT_BIN"] = path;
  const digest = sha256(await Deno.readFile(path));
  return { kind: digest === DENORT_SHA256 ? "testbase" : "named", sha256: digest };
}

/** No code cache: it would lie under a foreseeable name in the shared temporary folder and be believed when it is read back. */
const COMMON = ["--quiet", "--no-config", "--no-lock", "--no-prompt", "--no-code-cache"];

const RUNNER_FLAGS = [
  "--deny-net",
  "--deny-run",
  "--deny-write",
  "--deny-env",
  "--deny-sys",
  "--deny-import",
  "--allow-ffi",
  "--allow-read", // what it may really read is the sandbox's matter
  RUNNER_V8_FLAGS,
];

const PROGRAM_FLAGS = ["--unstable-worker-options", ...PROGRAM_PERMISSIONS];

async function compile(
  target: Target,
  o: { flags: string[]; include?: string[]; output: string; entry: string },
): Promise<Uint8Array> {
  await compiling([
    "compile",
    ...COMMON,
    ...o.flags,
    ...(o.include ?? []).flatMap((path) => ["--include", path]),
    "--target",
    target.triple,
    "--output",
    o.output,
    o.entry,
  ]);
  return await Deno.readFile(o.output);
}

/** Runs `deno compile`; that it cannot have its runtime is said in one line. */
async function compiling(args: readonly string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    env,
    clearEnv: true,
    cwd: ROOT,
    stdout: "inherit",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stderr);
  if (code === 0) return;
  console.error(unreachable(text) ?? text.trimEnd());
  Deno.exit(code);
}

/** Where it failed because Deno's host cannot be reached: what to do, in one line; undefined: it failed for another reason. */
export function unreachable(stderr: string): string | undefined {
  const url = /error sending request for url \((https?:\S*\/(denort-\S+\.zip))\)/.exec(stderr);
  if (!url) return undefined;
  return `error: Deno's runtime cannot be downloaded; where there is a network fetch ${url[1]}, ` +
    `unzip it here and run: DENORT_BIN=$PWD/denort deno task compile`;
}

/** Times are stored with the files: without this no two builds would be the same. */
async function resetTimes(folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) await resetTimes(path);
    await Deno.utime(path, 0, 0);
  }
}

async function sources(target: Target): Promise<Source[]> {
  const exe = target.platform.startsWith("windows") ? ".exe" : "";
  const out: Source[] = [];
  for (
    const [name, entry, always] of [
      ["secllama-runner", "runner.js", true],
      ["secllama-attacker", "attacker.js", false],
    ] as const
  ) {
    // A copy: the bundle's own time says when it was made, and is what `deno task bundle` goes by.
    const inputs = join(STAGE, "runner");
    await Deno.mkdir(inputs, { recursive: true });
    await Deno.copyFile(join(ROOT, "build", entry), join(inputs, entry));
    await resetTimes(inputs);
    const bytes = await compile(target, {
      flags: RUNNER_FLAGS,
      output: join(STAGE, name + exe),
      entry: join(inputs, entry),
    });
    out.push({ name: name + exe, bytes, executable: true, always });
  }
  const set = librariesOf(target);
  if (!set) throw new Error(`no libraries are pinned for ${target.platform}`);
  for (const { name, bytes } of await obtainLibraries(target, set)) {
    out.push({ name: `lib/${name}`, bytes, executable: false, always: true });
  }
  const vision = join(ROOT, "build/vision", target.platform, "libmtmd.so");
  if (await Deno.stat(vision).then(() => true, () => false)) {
    const bytes = await Deno.readFile(vision);
    out.push({ name: "lib/libmtmd.so", bytes, executable: false, always: true });
  } else {console.error(
      `note: without pictures: ${target.platform} has none from: deno task vision`,
    );}
  const demo = await Deno.readFile(join(ROOT, "models/demo.gguf"));
  out.push({ name: "demo.gguf", bytes: demo, executable: false, always: true });
  return out;
}

/** Whether anything that goes into the program is newer than it. */
async function isCurrent(output: string): Promise<boolean> {
  const built = await Deno.stat(output).then((s) => s.mtime!.getTime(), () => 0);
  const scripts = [...Deno.readDirSync(join(ROOT, "scripts"))].map(({ name }) => name)
    .filter((name) => /^(compile|denort|bundle)\w*\.ts$/.test(name));
  const madeOf = [
    ...PROGRAM_SOURCES,
    ...scripts.map((name) => `scripts/${name}`),
    "build/vision",
  ];
  return await newest(madeOf.map((path) => join(ROOT, path))) <= built;
}

async function main(): Promise<void> {
  const target = findTarget(option("--target") ?? Deno.build.target);
  const output = resolve(option("--output") ?? join(ROOT, "dist/secllama"));
  if (Deno.args.includes("--if-changed") && await isCurrent(output)) return;
  const base = await chooseBase(target);
  await Deno.remove(STAGE, { recursive: true }).catch(() => {});
  await Deno.mkdir(STAGE, { recursive: true });
  await Deno.mkdir(dirname(output), { recursive: true });
  // Bundled first, and compiled without a configuration: `deno compile` would take all of node_modules along.
  // In chunks, so that a command loads no more than it needs.
  const app = join(STAGE, "app");
  await bundlePieces(app, env);
  const entry = join(app, "main.js");
  const parts = await sources(target);
  const build: BuildFacts = {
    version: VERSION,
    target: target.triple,
    base,
    llamaCpp: librariesOf(target)!.package,
    packages: await carriedPackages(ROOT),
  };
  const listFile = join(app, "parts.json");
  const payloadFile = join(app, "parts.zst");
  const temp = join(STAGE, "secllama");
  const program = async () => {
    await resetTimes(app);
    return await compile(target, {
      flags: PROGRAM_FLAGS,
      include: [listFile, payloadFile, ...WORKERS.map((path) => join(app, `src/${path}.js`))],
      output: temp,
      entry,
    });
  };
  // Which blocks of the runner the program will hold shows only on a built one: once with an empty list, then with the real one.
  await Deno.writeTextFile(listFile, "{}");
  await Deno.writeTextFile(payloadFile, "");
  let built = await program();
  for (let round = 0;; round++) {
    const { parts: cut, payload } = pack(parts, built);
    const list: PartList = { schema: 1, build, payloadBytes: payload.length, parts: cut };
    await Deno.writeTextFile(listFile, JSON.stringify(list));
    await Deno.writeFile(payloadFile, compress(payload, base.kind !== "testbase"));
    built = await program();
    if (holds(cut, payload, built)) break;
    if (round === 2) throw new Error("the runtime's bytes move with what is inside");
  }
  await Deno.rename(temp, output);
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(`made ${output}  ${mb(built.length)}  sha256:${sha256(built)}`);
  if (base.kind === "testbase") console.log("on the test base: for tests only");
}

if (import.meta.main) await main();
