/**
 * macOS behind the interface of platform.ts, judged as strictly as Linux: a planned layer that was not read as in force, an
 * attack that was not made or not refused, and no key is given. Never run on macOS; see SECURITY.md.
 */
import { type Macos, openMacosLibc } from "../../macos/libc.ts";
import { plannedOf, problemsOf } from "../judge.ts";
import type { Platform } from "../platform.ts";
import { spawnCommand } from "../spawn.ts";
import { measureMacos } from "./measure.ts";
import { makeMacosPlan } from "./plan.ts";
import { type MacosHost, probeMacos, thisHost } from "./probe.ts";

/** Layers that the runner must also have tried against itself, as src/escape/macos.ts reports them. */
const OWN_LAYERS = ["private files", "no writes", "no other program"];

/** Probes this Mac. */
export async function openMacos(): Promise<Platform> {
  const system = openMacosLibc();
  return await macosPlatform({ system, host: thisHost(system) });
}

/** The platform on top of a host. */
export async function macosPlatform(
  { system, host }: { system: Macos; host: MacosHost },
): Promise<Platform> {
  const capabilities = await probeMacos(host);
  const { arch, sandboxExec, reason } = capabilities;
  return {
    os: "macos",
    facts: `macOS on ${arch}, sandbox-exec ${sandboxExec ? "yes" : `no (${reason})`}`,
    memoryBytes: 0, // sandbox-exec sets no limits
    gpus: arch === "aarch64" ? ["metal"] : [],
    plan(target, mode) {
      const paths = [target.executable, ...target.readOnly];
      const realPaths = Object.fromEntries(paths.map((path) => [path, host.realPath(path)]));
      const plan = makeMacosPlan(target, { ...capabilities, realPaths }, mode);
      return {
        plan,
        stage2More: null,
        start: (options) => Promise.resolve().then(() => spawnCommand(plan, options)),
        findRunner: (childPid) => childPid, // sandbox-exec becomes the runner
        measure: (pid) => measureMacos(system, pid, plan),
        judge: (layers, own) => problemsOf(layers, own, plannedOf(plan, OWN_LAYERS)),
      };
    },
    close: () => Promise.resolve([]),
  };
}
