/**
 * What every operating system's sandbox shares: the target that is to run, the plan made for it, and the report of what was
 * measured. `policy → plan → report`: a policy is data, a plan is a pure function of policy, target and capabilities, and a
 * report never repeats a plan: it says what was seen.
 */

/** A program with its arguments; `{path}` arguments are host paths, which the plan translates. */
export interface Program {
  /** Absolute host path. */
  readonly executable: string;
  readonly args: readonly Argument[];
}

/**
 * Literal text, a host path, or host paths joined into one argument (`--allow-read=<a>,<b>`). Paths are given as the runner will see
 * them.
 */
export type Argument =
  | string
  | { readonly path: string }
  | { readonly prefix: string; readonly paths: readonly string[] };

/** A GPU with a policy of its own on Linux. */
export type Gpu = "none" | "nvidia" | "amd" | "intel";
/** What a runner may compute on: on macOS any GPU is Metal. */
export type AnyGpu = Gpu | "metal";

/** What is to run inside. */
export interface RunnerTarget extends Program {
  /** Host paths of files and folders that it reads: bundle, libraries, the one model. All else is out of its sight. */
  readonly readOnly: readonly string[];
  readonly gpu: Gpu;
  /** macOS: the GPU is wanted. */
  readonly metal?: boolean;
  /** Bytes of private memory that the runner may take (weights are mapped and not counted). */
  readonly memoryLimitBytes?: number;
  /** Bytes of all its memory, as a cgroup counts it: mapped files included as far as they are in memory. */
  readonly groupMemoryBytes?: number;
}

/** Where a system's sandbox is entered by a program of ours, which restricts itself and starts the target: Windows. */
export interface LaunchedTarget extends RunnerTarget {
  readonly launcher: Program;
}

export interface SandboxMode {
  /** SECLLAMA_ENABLE_SANDBOX */
  readonly sandbox: boolean;
  /** SECLLAMA_STRICT_NETWORK_ISOLATION */
  readonly strict: boolean;
}

export type LayerName =
  | "user namespace"
  | "network namespace"
  | "pid namespace"
  | "mount namespace"
  | "ipc namespace"
  | "uts namespace"
  | "cgroup namespace"
  | "private root"
  | "unprivileged user"
  | "no capabilities"
  | "no new privileges"
  | "landlock"
  | "seccomp"
  | "stage 2"
  | "limits"
  | "cgroup"
  | "dies with the gateway";

export interface PlannedLayer {
  readonly layer: LayerName;
  readonly planned: boolean;
  /** What it does here, or why it is left out. */
  readonly detail: string;
}

export interface Plan {
  readonly os: "linux" | "macos" | "windows";
  readonly policy: string;
  /** "full": all layers; "reduced": meets strict with fewer; "weak": does not meet strict; "none": disabled by the operator. */
  readonly level: "full" | "reduced" | "weak" | "none";
  readonly argv: readonly string[];
  /** The whole environment of the spawned chain. */
  readonly env: { readonly [name: string]: string };
  readonly layers: readonly PlannedLayer[];
  /** What is weaker than it should be, one sentence each; repeated by every report. */
  readonly warnings: readonly string[];
  /** Whether the runner is a child of the spawned process (`unshare` forks) or that process itself. */
  readonly forks: boolean;
  /** Where the runner sees a host path. @throws {RangeError} If it was not given to it. */
  pathMap(hostPath: string): string;
}

export type LayerState = "enforced" | "missing" | "not planned" | "unreadable";

/** One layer as seen from outside, on the live process. */
export interface LayerReport {
  readonly layer: LayerName;
  readonly state: LayerState;
  /** The reading: "5 of 5 threads: Seccomp 2". */
  readonly observed: string;
}
