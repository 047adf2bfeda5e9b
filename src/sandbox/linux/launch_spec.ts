/** What the launcher does, as the plan says it; `launch_steps.ts` makes system calls of it. Holds no secret. */
import type { CgroupPlan } from "./cgroup_life.ts";
import type { Access } from "../../linux/landlock.ts";
import type { Limits, LinuxGpu } from "./policy.ts";

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
  /** Give up root for this user and group id. */
  readonly user: number | null;
  readonly landlock: {
    readonly abi: number;
    readonly rules: readonly { readonly path: string; readonly access: Access }[];
  } | null;
  /** The allowlist of this GPU's policy; null: no filter. */
  readonly seccomp: LinuxGpu | null;
  readonly limits: Limits;
  readonly exec: {
    readonly path: string;
    readonly argv: readonly string[];
    readonly env: { readonly [name: string]: string };
  };
}
