/** Linux behind the interface of platform.ts. */
import { linux, SystemCallError } from "../../linux/libc.ts";
import type { Platform } from "../platform.ts";
import { probeCapabilities } from "./capabilities.ts";
import { sweepGroups } from "./cgroup_life.ts";
import { findGpus } from "./gpu.ts";
import { findRunnerPid, judgeRunner, measureRunner } from "./measure.ts";
import { makeLinuxPlan } from "./plan.ts";
import { linuxGpu, stage2More } from "./policy.ts";
import { startRunner } from "./spawn.ts";
import { runnerUser } from "./users.ts";

/** Probes this machine, and removes the cgroups that a killed gateway left. */
export async function openLinux(): Promise<Platform> {
  const capabilities = await probeCapabilities();
  sweepGroups(linux(), capabilities.cgroup.places);
  const { kernel, landlockAbi, seccomp, namespaces, cgroup } = capabilities;
  return {
    os: "linux",
    facts: `kernel ${kernel}, Landlock ABI ${landlockAbi}, seccomp ${seccomp ? "yes" : "no"}, ` +
      `namespaces ${namespaces.usable ? "yes" : `no (${namespaces.reason})`}, ` +
      `cgroup ${cgroup.reason === "" ? "yes" : `not for ${cgroup.reason}`}`,
    memoryBytes: capabilities.memoryBytes,
    gpus: findGpus(capabilities.files, vendorOf),
    plan(target, mode) {
      const user = capabilities.uid === 0 ? runnerUser(linux()) : undefined;
      const plan = makeLinuxPlan(target, capabilities, mode, user);
      const gpu = linuxGpu(target.gpu);
      return {
        plan,
        stage2More: stage2More(gpu, target.companion !== undefined),
        start: (options) => startRunner(plan, options),
        findRunner: (childPid) => findRunnerPid(childPid, plan.forks),
        measure: (pid) => measureRunner(pid, plan),
        judge: (layers, own) => judgeRunner(plan, layers, own),
      };
    },
    close: () => Promise.resolve([]),
  };
}

/** By native calls: Deno refuses /sys to a process without all permissions. */
function vendorOf(node: string): string | undefined {
  try {
    return linux().readText(`/sys/class/drm/${node}/device/vendor`, 16).trim();
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}
