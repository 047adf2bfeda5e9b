/**
 * How one role starts another: from source `deno run` with the permissions that the role needs and no more, from a compiled
 * program the program itself. Only here is the difference known.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SecLlamaError } from "../errors.ts";
import type { Config } from "../config/config.ts";
import { backendsIn, chooseGpu, type GpuChoice } from "../supervisor/gpu.ts";
import type { RunnerFiles, Sandbox } from "../supervisor/isolation.ts";

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

/** The folder beside a compiled program: runner, libraries and demo model. */
export function compiledFolder(): string {
  return join(dirname(Deno.execPath()), "secllama-lib");
}

/**
 * Finds the runner's programs and libraries.
 * @throws {SecLlamaError} `model-failed` with a hint if one is missing.
 */
export async function runnerFiles(
  config: Pick<Config, "gpuLibraries"> = { gpuLibraries: "" },
): Promise<RunnerFiles> {
  const compiled = Deno.build.standalone;
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  const files = compiled
    ? {
      deno: null,
      runner: join(compiledFolder(), `secllama-runner${suffix}`),
      libDir: join(compiledFolder(), "lib"),
    }
    : {
      deno: Deno.execPath(),
      runner: join(ROOT, "build/runner.js"),
      libDir: libraryFolder(),
    };
  const again = compiled ? "install SecLlama again" : undefined;
  for (
    const [path, hint] of [
      [files.runner, again ?? "run: deno task bundle"],
      [files.libDir, again ?? "run: deno install"],
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
    libDir: await Deno.realPath(files.libDir),
    ...(config.gpuLibraries === "" ? {} : { gpuLibDir: await realFolder(config.gpuLibraries) }),
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
  return Deno.build.standalone ? [Deno.execPath(), ...role] : [
    Deno.execPath(),
    "run",
    "--quiet",
    "--frozen",
    ...permissions,
    join(ROOT, "main.ts"),
    ...role,
  ];
}
