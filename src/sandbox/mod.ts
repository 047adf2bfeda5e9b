/**
 * The runner's sandbox: what this machine can enforce → plan for a target → measurement of the process that runs, behind one
 * interface for every operating system. Linux has been run; macOS and Windows have not.
 */
import { SecLlamaError } from "../errors.ts";
import { type Hardening, hardenProcess } from "../linux/harden.ts";
import { linux } from "../linux/libc.ts";
import type { Capabilities } from "./linux/capabilities.ts";
import { type LinuxPlan, makeLinuxPlan } from "./linux/plan.ts";
import type { RunnerTarget, SandboxMode } from "./types.ts";

export * from "./types.ts";
export { type AnyLayerReport, type AnyPlan, openPlatform, type Platform } from "./platform.ts";
export { type Capabilities, probeCapabilities, type ProbeOptions } from "./linux/capabilities.ts";
export type { LaunchSpec } from "./linux/launch_spec.ts";
export { findRunnerPid, measure, type OwnReport, shortcomings } from "./linux/measure.ts";
export { type LinuxPlan, makeLinuxPlan, type PlanOverrides } from "./linux/plan.ts";
export { type HitCounts, ProbeListeners } from "../escape/linux_listeners.ts";
export { GPU_POLICIES, LINUX_POLICIES } from "./linux/policy.ts";
export { type PlannedCommand, spawnPlanned } from "./linux/spawn.ts";
export type { AttackResult, AttackTargets, Listeners } from "../escape/types.ts";

/**
 * The best plan for this machine.
 * @throws {SecLlamaError} `sandbox-unavailable` in strict mode, if the machine cannot enforce what strict requires.
 */
export function makePlan(target: RunnerTarget, caps: Capabilities, mode: SandboxMode): LinuxPlan {
  return makeLinuxPlan(target, caps, mode);
}

/**
 * Makes this process (gateway, proxy) undumpable: other processes of the same user can then neither trace it nor read its
 * memory, environment and descriptors. Does nothing on systems other than Linux.
 * @throws {SecLlamaError} `sandbox-failed` if the kernel refuses.
 */
export function hardenSelf(): Hardening | null {
  if (Deno.build.os !== "linux") return null;
  const hardening = hardenProcess(linux());
  if (hardening.errors.length > 0) {
    throw new SecLlamaError(
      "sandbox-failed",
      `this process could not be hardened: ${hardening.errors.join("; ")}`,
    );
  }
  return hardening;
}
