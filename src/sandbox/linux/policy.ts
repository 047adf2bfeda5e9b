/** The Linux policies of `sandbox-profiles/`, typed. Data: nothing is decided here. */
import base from "../../../sandbox-profiles/linux.json" with { type: "json" };
import amd from "../../../sandbox-profiles/linux-gpu-amd.json" with { type: "json" };
import intel from "../../../sandbox-profiles/linux-gpu-intel.json" with { type: "json" };
import nvidia from "../../../sandbox-profiles/linux-gpu-nvidia.json" with { type: "json" };
import type { Access } from "../../linux/landlock.ts";
import { type PolicyPart, type SeccompPolicy, widen } from "../../linux/seccomp.ts";
import type { Gpu } from "../types.ts";

/** A GPU that has a policy on Linux. */
export type LinuxGpu = Exclude<Gpu, "metal">;

export type Namespace = "user" | "net" | "ipc" | "uts" | "cgroup" | "pid" | "mount";

interface FileRule {
  readonly path: string;
  readonly access: Access;
  readonly why?: string;
}

/** Limits of setrlimit(2), by the names of `LIMITS` in launch_steps.ts. */
export type Limits = { readonly [name: string]: number };

interface LinuxPolicy {
  readonly name: string;
  readonly description: string;
  readonly namespaces: readonly Namespace[];
  /** The id that root gives itself up for. */
  readonly uid: number;
  /** Shared libraries of the executable and of llama.cpp's, looked up in the loader's default folders. */
  readonly libraries: readonly string[];
  readonly files: readonly FileRule[];
  readonly limits: Limits;
  /** Threads and processes in a runner's cgroup. */
  readonly tasks: number;
  readonly seccomp: SeccompPolicy;
  /** The filter that the runner adds once the model is loaded. */
  readonly stage2: SeccompPolicy;
}

interface GpuPolicy {
  readonly name: string;
  readonly description: string;
  /** Nodes opened for reading and writing; those that do not exist are left out. */
  readonly devices: readonly string[];
  readonly files: readonly string[];
  readonly libraries: readonly string[];
  /** What the allowlist is widened by: drivers have hundreds of ioctls, and open their devices for writing. */
  readonly seccomp: PolicyPart;
  /** What stage 2 leaves open beside its own list. */
  readonly stage2: PolicyPart;
}

export const BASE_POLICY = base as unknown as LinuxPolicy;
export const GPU_POLICIES: Record<Exclude<LinuxGpu, "none">, GpuPolicy> = { nvidia, amd, intel };

/** @throws {RangeError} For a GPU that Linux cannot have. */
export function linuxGpu(gpu: Gpu): LinuxGpu {
  if (gpu === "metal") throw new RangeError("there is no Metal on Linux");
  return gpu;
}

/** The allowlist of `linux`, widened for a GPU. */
export function seccompFor(gpu: LinuxGpu): SeccompPolicy {
  return gpu === "none"
    ? BASE_POLICY.seccomp
    : widen(BASE_POLICY.seccomp, GPU_POLICIES[gpu].seccomp);
}
