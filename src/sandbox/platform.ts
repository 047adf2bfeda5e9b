/**
 * What the supervisor needs of an operating system's sandbox: plan, watch, measure, and listeners to attack. One file per
 * system implements it, `openPlatform` picks the one that this process runs on. A system without one is a typed error.
 */
import { SecLlamaError } from "../errors.ts";
import type { Listeners } from "../escape/types.ts";
import { openLinux } from "./linux/platform.ts";
import type { PlannedCommand } from "./linux/spawn.ts";
import { openMacos } from "./macos/platform.ts";
import { openWindows } from "./windows/platform.ts";
import type { AnyGpu, LayerState, Plan, Program, RunnerTarget, SandboxMode } from "./types.ts";

/** A plan of any system: each has layer names of its own. */
export interface AnyPlan extends Omit<Plan, "layers"> {
  readonly layers: readonly {
    readonly layer: string;
    readonly planned: boolean;
    readonly detail: string;
  }[];
}

/** One layer as seen from outside, on the live process. */
export interface AnyLayerReport {
  readonly layer: string;
  readonly state: LayerState;
  readonly observed: string;
}

export interface Platform {
  readonly os: Plan["os"];
  /** What this machine can enforce, one line, as it was probed. */
  readonly facts: string;
  /** Physical memory; 0 if it is not known. */
  readonly memoryBytes: number;
  /** GPUs that are there, the best first: by their device nodes, which says nothing of whether they work. */
  readonly gpus: readonly Exclude<AnyGpu, "none">[];
  /** @throws {SecLlamaError} `sandbox-unavailable` in strict mode, if the machine cannot enforce what strict requires. */
  plan(target: RunnerTarget, mode: SandboxMode): AnyPlan;
  /** What starts it. */
  command(plan: AnyPlan): PlannedCommand;
  /** Does what must be in force before a runner of this plan starts. */
  before(plan: AnyPlan): Promise<void>;
  /** The runner's pid as this process sees it; undefined: it is not there (yet, or any more). */
  findRunner(childPid: number, plan: AnyPlan): number | undefined;
  measure(pid: number, plan: AnyPlan): AnyLayerReport[];
  /** What speaks against a running process, one line each. `own`: its own report, untrusted. */
  shortcomings(plan: AnyPlan, layers: readonly AnyLayerReport[], own: readonly unknown[]): string[];
  openListeners(): Listeners | Promise<Listeners>;
  /** Takes back what `before` did. @returns What could not be taken back, one line each. */
  close(): Promise<readonly string[]>;
}

/**
 * Probes this machine.
 * @param options.launcher Windows: src/sandbox/windows/launch_main.ts as a program.
 * @throws {SecLlamaError} `sandbox-unavailable` on an operating system without a sandbox.
 */
export async function openPlatform(options: { launcher?: Program } = {}): Promise<Platform> {
  switch (Deno.build.os) {
    case "linux":
      return await openLinux();
    case "darwin":
      return await openMacos();
    case "windows":
      if (!options.launcher) throw new TypeError("Windows needs the launcher's program");
      return openWindows({ launcher: options.launcher });
    default:
      throw new SecLlamaError(
        "sandbox-unavailable",
        `there is no sandbox for models on ${Deno.build.os}`,
        { hint: "run the gateway on a Linux machine" },
      );
  }
}
