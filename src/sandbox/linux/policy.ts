/** The Linux policies of `sandbox-profiles/`, typed. Data: nothing is decided here. */
import base from "../../../sandbox-profiles/linux.json" with { type: "json" };
import amd from "../../../sandbox-profiles/linux-gpu-amd.json" with { type: "json" };
import intel from "../../../sandbox-profiles/linux-gpu-intel.json" with { type: "json" };
import engine from "../../../sandbox-profiles/linux-engine.json" with { type: "json" };
import nvidia from "../../../sandbox-profiles/linux-gpu-nvidia.json" with { type: "json" };
import type { Access } from "../../linux/landlock.ts";
import { type PolicyPart, type SeccompPolicy, widen } from "../../linux/seccomp.ts";
import type { EngineKind } from "../../api/engine_kinds.ts";
import type { Gpu } from "../types.ts";

/** A GPU that has a policy on Linux. */
export type LinuxGpu = Exclude<Gpu, "metal">;

export type Namespace = "user" | "net" | "ipc" | "uts" | "cgroup" | "pid" | "mount";

interface FileRule {
  readonly path: string;
  readonly access: Access;
  readonly why?: string;
}

/** Limits of setrlimit(2), by the names of `LIMITS` in process_steps.ts. */
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

/** What is let pass beside `linux` where an engine of somebody else's is in the sandbox. */
interface EnginePolicy {
  readonly name: string;
  /** Inside: in memory, the only place that can be written to. */
  readonly folder: string;
  /** In that folder. */
  readonly socket: string;
  /** Of the runner that speaks to it. */
  readonly runner: { readonly seccomp: PolicyPart; readonly stage2: PolicyPart };
  /** Of the engine itself, which has one filter only. */
  readonly programs: Readonly<Record<EngineKind, EngineProgramPolicy>>;
}

interface EngineProgramPolicy {
  readonly description: string;
  /** Whether it may keep files in the folder, and not only its socket. */
  readonly scratch: boolean;
  readonly limits: Limits;
  readonly seccomp: PolicyPart;
}

export const ENGINE_POLICY = engine as unknown as EnginePolicy;
export const BASE_POLICY = base as unknown as LinuxPolicy;
export const GPU_POLICIES: Record<Exclude<LinuxGpu, "none">, GpuPolicy> = { nvidia, amd, intel };

/** @throws {RangeError} For a GPU that Linux cannot have. */
export function linuxGpu(gpu: Gpu): LinuxGpu {
  if (gpu === "metal") throw new RangeError("there is no Metal on Linux");
  return gpu;
}

/** What a runner's second filter leaves open beside its own list; null: nothing. */
export function stage2More(gpu: LinuxGpu, withEngine: boolean): PolicyPart | null {
  const parts = [
    ...(gpu === "none" ? [] : [GPU_POLICIES[gpu].stage2]),
    ...(withEngine ? [ENGINE_POLICY.runner.stage2] : []),
  ];
  if (parts.length === 0) return null;
  return {
    calls: Object.assign({}, ...parts.map(({ calls }) => calls)),
    conditional: parts.flatMap(({ conditional }) => conditional),
  };
}

/** Whose filter it is: a runner's that is alone, a runner's beside an engine, or that engine's. */
export type FilterOf = "runner" | "runner with an engine" | EngineKind;

/** The allowlist of `linux`, widened for a GPU and for an engine. */
export function seccompFor(gpu: LinuxGpu, whose: FilterOf = "runner"): SeccompPolicy {
  const policy = gpu === "none"
    ? BASE_POLICY.seccomp
    : widen(BASE_POLICY.seccomp, GPU_POLICIES[gpu].seccomp);
  if (whose === "runner") return policy;
  return widen(
    policy,
    whose === "runner with an engine"
      ? ENGINE_POLICY.runner.seccomp
      : ENGINE_POLICY.programs[whose].seccomp,
  );
}
