/**
 * The runner as a target of the sandbox, from a model's file: which program is started, all that it may read, and how much memory it
 * may take. Knows no system: {@link Platform} makes a plan of it.
 */
import { dirname } from "node:path";
import type { BootMessage } from "../api/pipe_messages.ts";
import { SecLlamaError } from "../errors.ts";
import type { Companion, Gpu, Platform, Program, RunnerTarget } from "../sandbox/mod.ts";
import type { Sandbox } from "./isolation.ts";
import { memoryCeiling, readMachineMemory } from "./memory.ts";

/** Where the runner's parts are on this installation. */
export interface RunnerFiles {
  /** Runs the runner's bundle; null: the runner is an executable of its own. */
  readonly deno: string | null;
  readonly runner: string;
  /** llama.cpp's libraries. */
  readonly libDir: string;
  /** llama.cpp's library for pictures; absent: models read text only. */
  readonly visionLibrary?: string;
  /** The same with a GPU backend; absent: `libDir` is all there is. */
  readonly gpuLibDir?: string;
  /** Starts a runner inside its sandbox, on a system where that takes a program of ours. */
  readonly launcher?: Program;
}

/** Flags of the Deno program inside: no configuration, no cache, no network, no child, no write. */
const SEALED_OFF = [
  "run",
  "--quiet",
  "--no-config",
  "--no-lock",
  "--no-remote",
  "--no-npm",
  "--no-prompt",
  "--cached-only",
];
const DENIED = [
  "--deny-net",
  "--deny-run",
  "--deny-write",
  "--deny-env",
  "--deny-sys",
  "--deny-import",
];

/**
 * Start flags of a runner's V8. Stage 2 denies executable memory, so it must not compile; and it cannot ask how much memory the
 * machine has (sysinfo(2) also tells how much is free), from which it would choose these sizes.
 */
export const RUNNER_V8_FLAGS =
  "--v8-flags=--jitless,--max-old-space-size=4096,--max-semi-space-size=32";

/** Memory that is asked for and never touched, which the limit counts and an estimate does not: stacks, heaps that may grow. */
const UNTOUCHED_BYTES = 2 ** 29;
const LEAST_MEMORY = 2 * 2 ** 30;

/** Of the machine's memory, what no runner gets past; and what the operator's own limit can raise that to. */
const [MOST, MOST_BY_ORDER] = [0.95, 0.98];

/**
 * Private memory that one runner may take (RLIMIT_DATA). Weights that are copied into another order are private: whatever is
 * admitted must be able to load. It is never all that the machine has.
 * @param machineBytes 0: not known.
 */
export function privateMemory(machineBytes: number, limitBytes = 0): number {
  const wanted = Math.max(LEAST_MEMORY, memoryCeiling(machineBytes, limitBytes)) + UNTOUCHED_BYTES;
  if (machineBytes === 0) return wanted;
  const most = Math.max(MOST * machineBytes, Math.min(limitBytes, MOST_BY_ORDER * machineBytes));
  return Math.min(wanted, Math.floor(most));
}

/** The machine's memory, or its control group's, as admission counts it; 0: not known. */
function totalMemory({ memoryBytes }: Platform): number {
  const total = Math.min(memoryBytes || Infinity, readMachineMemory().totalBytes);
  return total === Infinity ? 0 : total;
}

/** The executable and llama.cpp's libraries, as far as they are mapped. */
const PROGRAM_BYTES = 2 ** 28;

/** @throws {SecLlamaError} `model-failed` if a file is not there. */
function mappedBytes(paths: readonly string[]): number {
  try {
    return paths.reduce((sum, path) => sum + Deno.statSync(path).size, PROGRAM_BYTES);
  } catch (cause) {
    throw new SecLlamaError("model-failed", "a file of the model is missing", {
      hint: "check the store with: secllama verify",
      cause,
    });
  }
}

/** What a runner needs besides its model. */
export interface RunnerNeeds {
  readonly adapterPaths?: readonly string[];
  /** A smaller model that guesses tokens ahead. */
  readonly draftPath?: string | undefined;
  /** The encoder of a model that sees; it takes the installation's library for pictures. */
  readonly projectorPath?: string | undefined;
  /** Default: none. */
  readonly gpu?: Gpu;
  /** What computes the model in its place; it reads the model, its adapters and its own files. */
  readonly companion?: Companion | undefined;
  /** What all models together may take, as the operator said; 0: what the machine has. */
  readonly limitBytes?: number;
}

/** The runner as a target of the sandbox: what is started, and all that it may read. */
export function runnerTarget(
  files: RunnerFiles,
  modelPath: string,
  o: RunnerNeeds = {},
): RunnerTarget {
  const { gpu = "none" } = o;
  const libDir = libraryFolder(files, gpu);
  const model = modelFiles(files, modelPath, o);
  if (files.deno === null) {
    return {
      executable: files.runner, // its flags were fixed when it was compiled
      args: [],
      readOnly: [libDir, ...model],
      gpu,
    };
  }
  const readOnly = [files.runner, libDir, ...model];
  return {
    executable: files.deno,
    args: [...SEALED_OFF, ...DENIED, RUNNER_V8_FLAGS, "--allow-ffi", {
      prefix: "--allow-read=",
      paths: readOnly,
    }, { path: files.runner }],
    readOnly,
    gpu,
  };
}

/** What a runner reads beside its libraries. Each once: a manifest may name one file as several things. */
function modelFiles(
  files: RunnerFiles,
  modelPath: string,
  { adapterPaths = [], draftPath, projectorPath, companion }: RunnerNeeds,
): string[] {
  const vision = visionOf(files, { projectorPath, companion });
  const read = [modelPath, ...adapterPaths, ...(draftPath === undefined ? [] : [draftPath])];
  // The engine gets it by way of the runner's files.
  if (companion && projectorPath !== undefined) read.push(projectorPath);
  if (vision !== null) {
    // Its folder, as no single file may be run. A compiled program has it among the other libraries, which are given anyhow.
    const folder = dirname(vision.libraryPath);
    if (folder !== files.libDir) read.push(folder);
    read.push(vision.projectorPath);
  }
  return [...new Set(read)];
}

/** The library and the encoder for pictures, as this process sees the files; null: the runner itself reads no pictures. */
export function visionOf(
  files: RunnerFiles,
  { projectorPath, companion }: RunnerNeeds,
): BootMessage["vision"] {
  const { visionLibrary: libraryPath } = files;
  return projectorPath === undefined || libraryPath === undefined || companion
    ? null
    : { libraryPath, projectorPath };
}

/** The folder of llama.cpp's libraries for that device. */
export function libraryFolder(files: RunnerFiles, gpu: Gpu): string {
  return gpu === "none" ? files.libDir : files.gpuLibDir ?? files.libDir;
}

/** As {@link runnerTarget}, with the limits of this machine. @throws {SecLlamaError} `model-failed` if a file is not there. */
export function limitedTarget(
  sandbox: Pick<Sandbox, "files" | "platform">,
  modelPath: string,
  o: RunnerNeeds = {},
): RunnerTarget {
  const privateBytes = privateMemory(totalMemory(sandbox.platform), o.limitBytes);
  const groupBytes = privateBytes + mappedBytes(modelFiles(sandbox.files, modelPath, o));
  return {
    ...runnerTarget(sandbox.files, modelPath, o),
    ...(o.companion ? { companion: o.companion } : {}),
    memory: { privateBytes, groupBytes },
  };
}
