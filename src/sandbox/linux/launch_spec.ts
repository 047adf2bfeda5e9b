/** What the launcher does, as the plan says it; `launch_steps.ts` makes system calls of it. Holds no secret. */
import type { CgroupPlan } from "./cgroup_life.ts";
import type { Access } from "../../linux/landlock.ts";
import type { EngineKind } from "../../api/engine_kinds.ts";
import type { FilterOf, Limits, LinuxGpu } from "./policy.ts";

/**
 * program: executable and loader · library: mapped executable · content: a folder may hold libraries, a file is data ·
 * data: never executable · device: a node.
 */
export type BindKind = "program" | "library" | "content" | "data" | "device";

export interface Bind {
  readonly from: string;
  readonly to: string;
  readonly kind: BindKind;
}

export interface PrivateRoot {
  readonly hostname: string;
  readonly binds: readonly Bind[];
  /** Symbolic links: where they are, where they lead. */
  readonly links: readonly { readonly at: string; readonly to: string }[];
  /** A folder in memory that can be written to, for an engine's socket; absent: there is none. */
  readonly writable?: {
    readonly at: string;
    readonly bytes: number;
    /** Whether what is in it may be executed. */
    readonly executable: boolean;
    /** Whose it is; null: of who launches. */
    readonly user: number | null;
  };
}

/** A file or folder that is opened while the launcher is still root, because the runner's user may be unable to reach its path. */
export interface Handle {
  /** Its descriptor: the runner finds it at {@link handlePath}. */
  readonly fd: number;
  readonly path: string;
  /** Whether it stays open in the runner. */
  readonly kept: boolean;
}

/** Leads to what is open there, whatever the folders above it allow (proc(5)). */
export function handlePath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** What is executed. */
export interface Exec {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: { readonly [name: string]: string };
  /** The working folder; absent: `/`. */
  readonly folder?: string;
}

/** Landlock's part of a launch. */
interface LandlockPlan {
  readonly abi: number;
  readonly rules: readonly { readonly path: string; readonly access: Access }[];
}

/** A second program, which is started before the runner, as its child, in everything that the runner is in. */
export interface CompanionSpec {
  readonly kind: EngineKind;
  readonly landlock: LandlockPlan | null;
  readonly limits: Limits;
  readonly exec: Exec;
}

export interface LaunchSpec {
  /** Groups that are made for the runner and that it starts in. */
  readonly cgroup: CgroupPlan | null;
  /**
   * The gateway's namespaces, by path of the own one: the launcher refuses to go on in any of them, and so an `unshare` that
   * did nothing ends here, before a mount of the host's is touched.
   */
  readonly leave: { readonly [path: string]: string };
  /** Build and pivot into a root that holds these and nothing else. */
  readonly root: PrivateRoot | null;
  /** Without a root of its own, but with a user to change to: what that user reaches by descriptor only. */
  readonly handles: readonly Handle[];
  /** Give up root for this user and group id. */
  readonly user: number | null;
  readonly landlock: LandlockPlan | null;
  /** The allowlist of this GPU's policy; null: no filter. */
  readonly seccomp: LinuxGpu | null;
  /** Whose allowlist. */
  readonly filter: FilterOf;
  readonly limits: Limits;
  readonly exec: Exec;
  /** Null: the runner is alone. */
  readonly companion: CompanionSpec | null;
}
