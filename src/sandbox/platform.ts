/**
 * What the supervisor needs of an operating system's sandbox: a plan that can be started, measured and judged, and listeners to
 * attack. One file per system implements it, `openPlatform` picks the one that this process runs on. A system without one is a
 * typed error.
 */
import { SecLlamaError } from "../errors.ts";
import { openLinux } from "./linux/platform.ts";
import { openMacos } from "./macos/platform.ts";
import type { PolicyPart } from "../linux/seccomp.ts";
import type { StartOptions } from "./spawn.ts";
import { openWindows } from "./windows/platform.ts";
import type {
  Gpu,
  LayerReport,
  OwnReport,
  Plan,
  Program,
  RunnerTarget,
  SandboxMode,
} from "./types.ts";

/** One runner's sandbox. */
export interface Confinement {
  /** What is to be in force, and how it is started. */
  readonly plan: Plan;
  /** What the runner's own lockdown leaves open, for the driver of its GPU. */
  readonly stage2More: PolicyPart | null;
  /**
   * Starts the runner; what must be in force before is in force by then.
   * @throws {SecLlamaError} `sandbox-failed` if a step of it is refused.
   * @throws If the program cannot be started.
   */
  start(options?: StartOptions): Promise<Deno.ChildProcess>;
  /** The runner's pid as this process sees it; undefined: it is not there (yet, or any more). */
  findRunner(childPid: number): number | undefined;
  /** Every layer that can be read from outside, as it is on this process now. */
  measure(pid: number): LayerReport[];
  /** What speaks against a running process, one line each. `own`: its own report, untrusted. */
  judge(layers: readonly LayerReport[], own: readonly OwnReport[]): string[];
}

/** This machine's sandbox, probed once. */
export interface Platform {
  /** The operating system. */
  readonly os: Plan["os"];
  /** What this machine can enforce, one line, as it was probed. */
  readonly facts: string;
  /** Physical memory; 0 if it is not known. */
  readonly memoryBytes: number;
  /** GPUs that are there, the best first: by their device nodes, which says nothing of whether they work. */
  readonly gpus: readonly Exclude<Gpu, "none">[];
  /**
   * A sandbox for one runner. Nothing is started yet.
   * @throws {SecLlamaError} `sandbox-unavailable` in strict mode, if the machine cannot enforce what strict requires.
   */
  plan(target: RunnerTarget, mode: SandboxMode): Confinement;
  /** Takes back what starts have changed on this machine. @returns What could not be taken back, one line each. */
  close(): Promise<readonly string[]>;
}

/**
 * Probes this machine.
 *
 * @example
 * ```ts
 * const platform = await openPlatform();
 * async function start(target: Parameters<Platform["plan"]>[0]): Promise<string[]> {
 *   const confinement = platform.plan(target, "strict");
 *   const { pid } = await confinement.start();
 *   // What speaks against it; its own report would come over its standard output.
 *   return confinement.judge(confinement.measure(confinement.findRunner(pid) ?? pid), []);
 * }
 * ```
 * @param launcher Asked for where a runner is started by a program of ours (Windows: src/sandbox/windows/launch_main.ts).
 * @throws {SecLlamaError} `sandbox-unavailable` on an operating system without a sandbox.
 */
export async function openPlatform(
  launcher: () => Promise<Program | undefined> = () => Promise.resolve(undefined),
): Promise<Platform> {
  switch (Deno.build.os) {
    case "linux":
      return await openLinux();
    case "darwin":
      return await openMacos();
    case "windows": {
      const program = await launcher();
      if (!program) throw new TypeError("Windows needs the launcher's program");
      return openWindows(program);
    }
    default:
      throw new SecLlamaError(
        "sandbox-unavailable",
        `there is no sandbox for models on ${Deno.build.os}`,
        { hint: "run the gateway on a Linux machine" },
      );
  }
}
