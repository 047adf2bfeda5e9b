/**
 * How one role starts another: from source `deno run` with the permissions that the role needs and no more, from a compiled
 * program the program itself. Only here is the difference known.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SecLlamaError } from "../errors.ts";
import type { Tui } from "./tui.ts";
import type { Config } from "../config/config.ts";
import { cacheDirectory } from "../bundle/cache_folder.ts";
import { carried } from "../bundle/carried.ts";
import { ownPath } from "../bundle/start_again.ts";
import { openParts, type UnpackedParts } from "../bundle/unpacked.ts";
import { backendsIn, chooseGpu, type GpuChoice } from "../supervisor/gpu.ts";
import type { Program } from "../sandbox/mod.ts";
import type { InstalledFiles, RunnerFiles, Sandbox } from "../supervisor/isolation.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** npm's name of the package that brings llama.cpp for this machine, and its folder of libraries. */
function libraryFolder(): string {
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const target = Deno.build.os === "darwin"
    ? (arch === "arm64" ? "mac-arm64-metal" : "mac-x64")
    : Deno.build.os === "windows"
    ? `win-${arch}`
    : `linux-${arch}`;
  const version = "3.21.1";
  return join(
    ROOT,
    "node_modules/.deno",
    `@node-llama-cpp+${target}@${version}`,
    `node_modules/@node-llama-cpp/${target}/bins/${target}`,
  );
}

/** What a role needs to know of the command that starts it. */
export interface Starter {
  readonly env: { readonly [name: string]: string | undefined };
  readonly tui: Tui;
}

let unpacked: Promise<UnpackedParts> | undefined;

/** The unpacked parts of a compiled program; null from source. Opened once a process. */
async function ownParts({ env, tui }: Starter): Promise<UnpackedParts | null> {
  const inside = carried();
  if (!inside) return null;
  return await (unpacked ??= openParts({
    carried: inside,
    cacheDir: cacheDirectory(env),
    uid: Deno.build.os === "windows" ? null : Deno.uid(),
    home: env["HOME"],
    onNote: (line) => tui.note(line),
  }));
}

/**
 * Finds the runner's programs and libraries.
 * @throws {SecLlamaError} `model-failed` with a hint if one is missing; in a compiled program `unpack-failed` or
 * `unpack-refused`.
 */
export async function runnerFiles(
  starter: Starter,
  config: Pick<Config, "gpuLibraries"> = { gpuLibraries: "" },
): Promise<InstalledFiles> {
  const gpu = config.gpuLibraries === ""
    ? {}
    : { gpuLibDir: await realFolder(config.gpuLibraries) };
  const launcher = Deno.build.os === "windows" ? { launcher: windowsLauncher() } : {};
  const parts = await ownParts(starter);
  if (parts) {
    const suffix = Deno.build.os === "windows" ? ".exe" : "";
    return {
      deno: null,
      runner: parts.path(`secllama-runner${suffix}`),
      libDir: parts.path("lib"),
      ...launcher,
      ...gpu,
      check: () => parts.check(),
    };
  }
  const files = {
    deno: Deno.execPath(),
    runner: join(ROOT, "build/runner.js"),
    libDir: libraryFolder(),
  };
  for (
    const [path, hint] of [
      [files.runner, "run: deno task bundle"],
      [files.libDir, "run: deno install"],
    ] as const
  ) {
    try {
      await Deno.stat(path);
    } catch (cause) {
      throw new SecLlamaError("model-failed", `a part of SecLlama is missing: ${path}`, {
        hint,
        cause,
      });
    }
  }
  return {
    ...files,
    ...launcher,
    libDir: await Deno.realPath(files.libDir),
    ...gpu,
    check: () => Promise.resolve(), // from source the files are the user's own, to be changed as they like
  };
}

function windowsLauncher(): Program {
  const executable = Deno.execPath();
  return Deno.build.standalone ? { executable, args: ["launch"] } : {
    executable,
    args: [
      "run",
      "--quiet",
      "--no-config",
      "--no-lock",
      "--no-remote",
      "--no-npm",
      "--no-prompt",
      "--allow-ffi",
      { path: join(ROOT, "build/launch.js") },
    ],
  };
}

/** @throws {SecLlamaError} `bad-config` if it is not a folder. */
async function realFolder(path: string): Promise<string> {
  try {
    if ((await Deno.stat(path)).isDirectory) return await Deno.realPath(path);
  } catch { /* said below */ }
  throw new SecLlamaError("bad-config", `the folder of GPU libraries is not there: ${path}`, {
    field: "gpu_libraries",
    hint: "see docs/gpu.md",
  });
}

/**
 * The GPU that runners are to use.
 * @throws {SecLlamaError} `bad-config` if one is asked for by name and cannot be used.
 */
export async function openGpu(config: Config, sandbox: Sandbox): Promise<GpuChoice> {
  const { files, platform } = sandbox;
  return chooseGpu(config.gpu, {
    found: platform.gpus,
    sandbox: config.enableSandbox,
    backends: await backendsIn(files.gpuLibDir ?? files.libDir),
  });
}

/** The demo model of this installation, if it is there. */
export async function embeddedDemoPath(starter: Starter): Promise<string | undefined> {
  const parts = await ownParts(starter);
  const path = parts ? parts.path("demo.gguf") : join(ROOT, "models/demo.gguf");
  return existsSync(path) ? path : undefined;
}

/**
 * The attacker in the runner's place, for `doctor`; disposing it removes what was unpacked for it.
 * @throws {SecLlamaError} As `runnerFiles`.
 */
export async function attackerProgram(
  starter: Starter,
  files: RunnerFiles,
): Promise<{ path: string } & Disposable> {
  const parts = await ownParts(starter);
  if (!parts) {
    return {
      path: files.runner.replace(/runner\.js$/, "attacker.js"),
      [Symbol.dispose]: () => {},
    };
  }
  const folder = await Deno.makeTempDir({ dir: parts.path(".."), prefix: ".doctor-" });
  const path = parts.unpackInto(folder, "secllama-attacker");
  return { path, [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
}

/** What the proxy's process may do. */
export function proxyPermissions(
  o: { dataDir: string; gatewayHost: string },
): string[] {
  const hosts = [...new Set(["127.0.0.1", "localhost", "[::1]", o.gatewayHost])];
  return [
    "--no-prompt",
    "--deny-import",
    `--allow-net=${hosts.join(",")}`,
    `--allow-read=${[o.dataDir, ROOT].join(",")}`,
    `--allow-write=${o.dataDir}`,
    "--allow-run=/usr/bin/secret-tool,/usr/bin/gdbus",
    "--allow-ffi",
    "--allow-sys=uid",
    "--allow-env",
  ];
}

/** The argv of a role of this same program. */
export function selfArgv(role: readonly string[], permissions: readonly string[]): string[] {
  if (Deno.build.standalone) {
    return [Deno.build.os === "linux" ? ownPath() : Deno.execPath(), ...role];
  }
  return [
    Deno.execPath(),
    "run",
    "--quiet",
    "--frozen",
    ...permissions,
    join(ROOT, "main.ts"),
    ...role,
  ];
}
