/**
 * The runner's sandbox: what this machine can enforce → plan for a target → measurement of the process that runs, behind one
 * interface for every operating system. Linux has been run; macOS and Windows have not.
 */
import { SecLlamaError } from "../errors.ts";
import { type Hardening, hardenProcess } from "../linux/harden.ts";
import { linux } from "../linux/libc.ts";
import { ENGINE_POLICY } from "./linux/policy.ts";

export * from "./types.ts";
export { type Confinement, openPlatform, type Platform } from "./platform.ts";
export type { StartOptions } from "./spawn.ts";
export { type EngineProgram, findEngine } from "./linux/engine_files.ts";
export type { EngineKind } from "../api/engine_kinds.ts";
export { ENGINE_OUTPUT_FD } from "./linux/companion_steps.ts";
export { layerHint, startHint } from "./linux/hints.ts";
export type { Hardening } from "../linux/harden.ts";
export type {
  ConditionalRule,
  MemoryTest,
  PolicyPart,
  ReasonedCalls,
  Test,
  Value,
  ValueTest,
  Variable,
} from "../linux/seccomp.ts";
export type { Arch } from "../linux/syscalls.ts";

/** Where an engine listens, as it and its runner see it. */
export const ENGINE_SOCKET: string = ENGINE_POLICY.socket;

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
      {
        hint: "a filter around this process refuses prctl or prlimit: look at the seccomp profile",
      },
    );
  }
  return hardening;
}
