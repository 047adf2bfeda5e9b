/**
 * Where the parts of this installation are: the runner's program, llama.cpp's libraries, the demo model. From source they lie
 * in the tree, in a compiled program they are unpacked first.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SecLlamaError } from "../errors.ts";
import type { Config } from "../config/config.ts";
import { cacheDirectory } from "../bundle/cache_folder.ts";
import { carried } from "../bundle/carried.ts";
import { openParts, type UnpackedParts } from "../bundle/unpacked.ts";
import type { Program } from "../sandbox/mod.ts";
import type { InstalledFiles } from "../supervisor/isolation.ts";
import type { RunnerFiles } from "../supervisor/runner_target.ts";
import { tempFolder } from "../temp_folder.ts";

/** Of the source tree. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

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

const NO_LIBRARIES = { gpuLibraries: "", engineLibraries: "" };

interface InstallationOptions {
  readonly env: { readonly [name: string]: string | undefined };
  /** Gets one line while parts are unpacked, which takes a while the first time. */
  readonly onNote: (line: string) => void;
}

/** One for each command: it unpacks the parts once, when they are first asked for. */
export class Installation {
  readonly #options: InstallationOptions;
  #unpacked: Promise<UnpackedParts> | undefined;

  constructor(options: InstallationOptions) {
    this.#options = options;
  }

  /**
   * The runner's programs and libraries.
   * @throws {SecLlamaError} `model-failed` with a hint if one is missing; in a compiled program `unpack-failed` or
   * `unpack-refused`.
   */
  async runnerFiles(
    config: Pick<Config, "gpuLibraries" | "engineLibraries"> = NO_LIBRARIES,
  ): Promise<InstalledFiles> {
    const gpu = config.gpuLibraries === ""
      ? {}
      : { gpuLibDir: await realFolder(config.gpuLibraries, "GPU") };
    const launcher = Deno.build.os === "windows" ? { launcher: windowsLauncher() } : {};
    const parts = await this.#parts();
    const files = { ...(parts ? unpackedFiles(parts) : await sourceFiles()), ...launcher, ...gpu };
    if (config.engineLibraries === "") return files;
    // The library for pictures is built against the release that is carried.
    const { visionLibrary: _, ...others } = files;
    return { ...others, libDir: await realFolder(config.engineLibraries, "engine") };
  }

  /** The path of the demo model that comes with this installation; undefined: it is not there. */
  async demoModel(): Promise<string | undefined> {
    const parts = await this.#parts();
    const path = parts ? parts.path("demo.gguf") : join(ROOT, "models/demo.gguf");
    return existsSync(path) ? path : undefined;
  }

  /** Whether the library for pictures comes with this installation. */
  async readsPictures(): Promise<boolean> {
    const parts = await this.#parts();
    return visionIn(parts ? parts.path("lib") : BUILT_VISION).visionLibrary !== undefined;
  }

  /**
   * The attacker in the runner's place, for `doctor`; disposing it removes what was unpacked for it.
   * @throws {SecLlamaError} As {@link runnerFiles}.
   */
  async attacker(files: RunnerFiles): Promise<{ path: string } & Disposable> {
    const parts = await this.#parts();
    if (!parts) {
      return {
        path: files.runner.replace(/runner\.js$/, "attacker.js"),
        [Symbol.dispose]: () => {},
      };
    }
    const folder = await tempFolder({ dir: parts.path(".."), prefix: ".doctor-" });
    const path = parts.unpackInto(folder.path, "secllama-attacker");
    return { path, [Symbol.dispose]: () => folder[Symbol.dispose]() };
  }

  /** The unpacked parts of a compiled program; null from source. */
  async #parts(): Promise<UnpackedParts | null> {
    const inside = carried();
    if (!inside) return null;
    const { env, onNote } = this.#options;
    return await (this.#unpacked ??= openParts({
      carried: inside,
      cacheDir: cacheDirectory(env),
      uid: Deno.build.os === "windows" ? null : Deno.uid(),
      home: env["HOME"],
      onNote,
    }));
  }
}

function unpackedFiles(parts: UnpackedParts): InstalledFiles {
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  return {
    deno: null,
    runner: parts.path(`secllama-runner${suffix}`),
    libDir: parts.path("lib"),
    ...visionIn(parts.path("lib")),
    check: () => parts.check(),
  };
}

/** Where `deno task vision` puts it. */
const BUILT_VISION = join(ROOT, `build/vision/${Deno.build.os}-${Deno.build.arch}`);

/** The library for pictures, where the folder has it: see `deno task vision`. */
function visionIn(folder: string): { visionLibrary?: string } {
  const path = join(folder, "libmtmd.so");
  return existsSync(path) ? { visionLibrary: path } : {};
}

async function sourceFiles(): Promise<InstalledFiles> {
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
    libDir: await Deno.realPath(files.libDir),
    ...visionIn(BUILT_VISION),
    check: () => Promise.resolve(), // from source the files are the user's own, to be changed as they like
  };
}

function windowsLauncher(): Program {
  const executable = Deno.execPath();
  return Deno.build.standalone ? { executable, args: ["launch-runner"] } : {
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
async function realFolder(path: string, what: "GPU" | "engine"): Promise<string> {
  try {
    if ((await Deno.stat(path)).isDirectory) return await Deno.realPath(path);
  } catch { /* said below */ }
  throw new SecLlamaError("bad-config", `the folder of ${what} libraries is not there: ${path}`, {
    field: what === "GPU" ? "gpu_libraries" : "engine_libraries",
    hint: what === "GPU" ? "see secllama help gpu" : "see secllama help engines",
  });
}
