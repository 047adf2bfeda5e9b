/**
 * What every operating system's sandbox shares: the target that is to run, the plan made for it, and the report of what was
 * measured. `policy → plan → report`: a policy is data, a plan is a pure function of policy, target and capabilities, and a
 * report never repeats a plan: it says what was seen.
 */

import type { EngineKind } from "../api/engine_kinds.ts";

/** A program with its arguments; `{path}` arguments are host paths, which the plan translates. */
export interface Program {
  /** Absolute host path. */
  readonly executable: string;
  /** In their order. */
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

/** What a runner may compute on besides the processor: on Linux a vendor's GPU, on macOS any GPU, by Metal. */
export type Gpu = "none" | "nvidia" | "amd" | "intel" | "metal";

/** How much memory a runner may take, as the two that count it do. */
export interface MemoryLimits {
  /** Bytes of private memory (weights are mapped and not counted). */
  readonly privateBytes: number;
  /** Bytes of all its memory, as a cgroup counts it: mapped files included as far as they are in memory. */
  readonly groupBytes: number;
}

/** What is to run inside. */
export interface RunnerTarget extends Program {
  /** Host paths of files and folders that it reads: bundle, libraries, the one model. All else is out of its sight. */
  readonly readOnly: readonly string[];
  /** What else it computes on. */
  readonly gpu: Gpu;
  /** Absent: as much as there is. */
  readonly memory?: MemoryLimits;
  /** Absent: the runner is alone. */
  readonly companion?: Companion;
}

/**
 * An engine of somebody else's that runs beside the runner, in the same sandbox, and that the runner reaches over one Unix socket.
 * Linux only. It sees its own files where they are on the host, and the runner's where the runner sees them.
 */
export interface Companion extends Program {
  /** Whose policy it gets. */
  readonly kind: EngineKind;
  /** Host paths of what it reads besides its executable and the runner's model: libraries, folders of its own. */
  readonly readOnly: readonly string[];
  /** Of what the runner reads, what it reads as well: the model. */
  readonly shared: readonly string[];
}

/** Where a system's sandbox is entered by a program of ours, which restricts itself and starts the target: Windows. */
export interface LaunchedTarget extends RunnerTarget {
  /** Enters the sandbox and starts the target. */
  readonly launcher: Program;
}

/** What the operator asks of the sandbox: all of it or no start, what this machine has of it, or none. */
export type SandboxMode = "strict" | "best-effort" | "off";

/** One layer of a system's sandbox; each system has layer names of its own. */
export interface PlannedLayer<Name extends string = string> {
  /** The layer's name. */
  readonly layer: Name;
  /** Whether it is to be in force. */
  readonly planned: boolean;
  /** What it does here, or why it is left out. */
  readonly detail: string;
}

/** How to start a program: the whole argv and the whole environment. */
export interface PlannedCommand {
  /** Program and arguments. */
  readonly argv: readonly string[];
  /** Of the spawned chain; nothing of this process's is passed on. */
  readonly env: { readonly [name: string]: string };
}

/** What a runner is to be held by: made before it is started, and measured against afterwards. */
export interface Plan<Name extends string = string> extends PlannedCommand {
  /** The operating system. */
  readonly os: "linux" | "macos" | "windows";
  /** Name of the policy that it was made from. */
  readonly policy: string;
  /** "full": all layers; "reduced": meets strict with fewer; "weak": does not meet strict; "none": disabled by the operator. */
  readonly level: "full" | "reduced" | "weak" | "none";
  /** Every layer of this system, planned or not. */
  readonly layers: readonly PlannedLayer<Name>[];
  /** What is weaker than it should be, one sentence each; repeated by every report. */
  readonly warnings: readonly string[];
  /** Whether the runner is a child of the spawned process (`unshare` forks) or that process itself. */
  readonly forks: boolean;
  /** Where the runner sees a host path. @throws {RangeError} If it was not given to it. */
  pathMap(hostPath: string): string;
}

/** What a reading came to. */
export type LayerState = "enforced" | "missing" | "not planned" | "unreadable";

/** One layer as seen from outside, on the live process. */
export interface LayerReport<Name extends string = string> {
  /** The layer's name. */
  readonly layer: Name;
  /** What was read, held against the plan. */
  readonly state: LayerState;
  /** The reading: "5 of 5 threads: Seccomp 2". */
  readonly observed: string;
  /** Of a layer in force that the kernel does not show as a whole: the runner's own report stands for the rest. */
  readonly word?: "runner";
}

/** What a runner says of itself: the gateway does not trust it, and only holds it against the runner. */
export type { OwnReport } from "../api/pipe_messages.ts";
