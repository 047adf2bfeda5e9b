/**
 * From a model's file to a sandboxed runner, and from a started runner to a verdict: the plan is made, listeners are opened
 * for the runner to attack, and what was measured is compared with what was promised. Nothing here trusts the runner's word
 * where the gateway can count or read for itself. It knows no system: each is behind `Platform`.
 */
import { dirname } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { openListeners } from "../escape/listeners.ts";
import type { Listeners } from "../escape/types.ts";
import type { BootMessage, ReadyMessage } from "../api/pipe_messages.ts";
import type { Config } from "../config/config.ts";
import {
  type Companion,
  type Confinement,
  ENGINE_OUTPUT_FD,
  ENGINE_SOCKET,
  type Gpu,
  layerHint,
  type LayerReport,
  openPlatform,
  type Plan,
  type Platform,
  type Program,
  type RunnerTarget,
  type SandboxMode,
} from "../sandbox/mod.ts";
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

/** The files of an installation, which can change while this process lives. */
export interface InstalledFiles extends RunnerFiles {
  /** Before each spawn: makes sure that they are still this program's. @throws {SecLlamaError} If they cannot be had. */
  check(): Promise<void>;
}

export interface Sandbox {
  readonly files: InstalledFiles;
  readonly mode: SandboxMode;
  readonly platform: Platform;
}

/** The runner's own attack on live listeners, as the gateway counted it. */
interface AttackReport {
  /** Every attack was made, every one was refused, and no listener was reached. */
  readonly held: boolean;
  readonly attempted: number;
  /** What speaks against it, one line each. */
  readonly problems: readonly string[];
}

/**
 * `strict`: all that strict promises was measured. `engine`: all that is promised of an engine of somebody else's, which is less.
 * `weakened`: less than that, as the operator allowed. `off`: no sandbox.
 */
type IsolationLevel = "strict" | "engine" | "weakened" | "off";

export interface Measured {
  /** Of the runner, as this process sees it. */
  readonly pid: number;
  readonly level: IsolationLevel;
  readonly layers: readonly LayerReport[];
  /** Planned layers that are not in force, one line each. */
  readonly problems: readonly string[];
  /** What the plan itself leaves out. */
  readonly warnings: readonly string[];
  readonly attacks: AttackReport | null;
  /** What computes the model, if it is somebody else's engine. */
  readonly engine?: string;
  /** Deno's permissions of the runner, in its own words: they bind JavaScript only. */
  readonly permissions: { readonly [name: string]: string };
}

export interface IsolationReport {
  /** As it was when the runner was given its keys. */
  readonly level: IsolationLevel;
  /** Reads the live process again; the attack is the one of its start. */
  measureNow(): Measured;
}

interface PreparedSpawn {
  readonly start: Confinement["start"];
  /** As the runner sees them. */
  readonly modelPath: string;
  readonly adapterPaths: readonly string[];
  readonly vision: BootMessage["vision"];
  readonly foreign: BootMessage["foreign"];
  readonly libDir: string;
  readonly targets: object | null;
  /** What stage 2 leaves open beside its own list. */
  readonly stage2More: BootMessage["stage2More"];
  /** @throws {SecLlamaError} `sandbox-breached` or `sandbox-failed` if strict and something does not hold. */
  prove(childPid: number, ready: ReadyMessage): Promise<void>;
  /** After `prove`. */
  report(): IsolationReport;
  close(): void;
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

/** What the settings ask of the sandbox. */
export function sandboxMode(
  { enableSandbox, strictNetworkIsolation }: Pick<
    Config,
    "enableSandbox" | "strictNetworkIsolation"
  >,
): SandboxMode {
  if (!enableSandbox) return "off";
  return strictNetworkIsolation ? "strict" : "best-effort";
}

/**
 * Probes the machine, while the files are still being checked.
 * @throws {SecLlamaError} `sandbox-unavailable` on an operating system whose sandbox is not there yet; what `files` throws.
 */
export async function openSandbox(
  { files, mode }: { files: InstalledFiles | Promise<InstalledFiles>; mode: SandboxMode },
): Promise<Sandbox> {
  const probing = openPlatform(async () => (await files).launcher);
  const [platform, checked] = await Promise.all([probing, files]);
  return { files: checked, mode, platform };
}

/** What a runner needs besides its model. */
interface RunnerNeeds {
  readonly adapterPaths?: readonly string[];
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
  { adapterPaths = [], projectorPath, companion }: RunnerNeeds,
): string[] {
  const vision = visionOf(files, { projectorPath, companion });
  const read = [modelPath, ...adapterPaths];
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

/** As this process sees the files; null: the runner itself reads no pictures. */
function visionOf(
  files: RunnerFiles,
  { projectorPath, companion }: RunnerNeeds,
): BootMessage["vision"] {
  const { visionLibrary: libraryPath } = files;
  return projectorPath === undefined || libraryPath === undefined || companion
    ? null
    : { libraryPath, projectorPath };
}

function libraryFolder(files: RunnerFiles, gpu: Gpu): string {
  return gpu === "none" ? files.libDir : files.gpuLibDir ?? files.libDir;
}

/** As {@link runnerTarget}, with the limits of this machine. @throws {SecLlamaError} `model-failed` if a file is not there. */
export function limitedTarget(
  sandbox: Sandbox,
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

/**
 * Plans one runner and opens the listeners that it will attack.
 * @throws {SecLlamaError} `sandbox-unavailable` if strict and this machine cannot enforce it.
 */
export async function prepareSpawn(
  sandbox: Sandbox,
  modelPath: string,
  o: RunnerNeeds = {},
): Promise<PreparedSpawn> {
  const { platform, files } = sandbox;
  const { gpu = "none", adapterPaths = [] } = o;
  await files.check();
  const confinement = platform.plan(limitedTarget(sandbox, modelPath, o), sandbox.mode);
  const { plan } = confinement;
  const { companion } = o;
  const vision = visionOf(files, o);
  const listeners = sandbox.mode !== "off" ? await openListeners() : null;
  let report: IsolationReport | undefined;
  return {
    start: confinement.start,
    modelPath: plan.pathMap(modelPath),
    adapterPaths: adapterPaths.map((path) => plan.pathMap(path)),
    vision: vision && {
      libraryPath: plan.pathMap(vision.libraryPath),
      projectorPath: plan.pathMap(vision.projectorPath),
    },
    foreign: companion
      ? { kind: companion.kind, socket: ENGINE_SOCKET, outputFd: ENGINE_OUTPUT_FD }
      : null,
    libDir: plan.pathMap(libraryFolder(files, gpu)),
    targets: listeners?.targets ?? null,
    stage2More: confinement.stage2More,
    async prove(childPid, ready) {
      const pid = confinement.findRunner(childPid);
      if (pid === undefined) {
        throw new SecLlamaError(
          "sandbox-failed",
          "failed to apply sandbox: the runner was not found",
          {
            hint:
              "it ended, or /proc is mounted so that this program cannot see it (hidepid): try again",
          },
        );
      }
      const attacks = listeners ? await judgeAttacks(listeners, ready) : null;
      const measureNow = (): Measured => {
        const layers = confinement.measure(pid);
        const problems = sandbox.mode !== "off" ? confinement.judge(layers, ready.lockdown) : [];
        return {
          pid,
          level: levelOf(sandbox.mode, plan, { problems, attacks, companion }),
          layers,
          problems,
          warnings: plan.warnings,
          ...(companion ? { engine: companion.kind } : {}),
          attacks,
          permissions: ready.permissions,
        };
      };
      const { problems, level } = measureNow();
      if (sandbox.mode === "strict") refuseUnlessEnforced(problems, attacks);
      report = { level, measureNow };
    },
    report: () => report!,
    close: () => listeners?.close(),
  };
}

async function judgeAttacks(listeners: Listeners, ready: ReadyMessage): Promise<AttackReport> {
  const results = ready.attacks;
  const problems = await listeners.judge(results);
  return {
    held: problems.length === 0,
    attempted: results.filter(({ outcome }) => outcome !== "not run").length,
    problems,
  };
}

function refuseUnlessEnforced(missing: readonly string[], attacks: AttackReport | null): void {
  if (missing.length > 0) {
    throw new SecLlamaError("sandbox-failed", `failed to apply sandbox: ${missing.join("; ")}`, {
      hint: layerHint(missing),
    });
  }
  if (attacks === null || !attacks.held) {
    throw new SecLlamaError(
      "sandbox-breached",
      `the runner was stopped: ${attacks?.problems.join("; ") ?? "its self-test did not run"}`,
      {
        hint: "no prompt was served; please report this with the output of: secllama doctor --json",
      },
    );
  }
}

function levelOf(
  mode: SandboxMode,
  plan: Plan,
  { problems, attacks, companion }: {
    problems: readonly string[];
    attacks: AttackReport | null;
    companion: Companion | undefined;
  },
): IsolationLevel {
  if (mode === "off") return "off";
  const holds = problems.length === 0 && attacks?.held === true;
  if (mode !== "strict" || !holds || plan.level === "weak") return "weakened";
  return companion ? "engine" : "strict";
}
