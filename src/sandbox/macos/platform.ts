/**
 * macOS behind the interface of platform.ts, judged as strictly as Linux: a planned layer that was not read as in force, an
 * attack that was not made or not refused, and no key is given. Never run on macOS; see SECURITY.md.
 */
import { type Macos, openMacosLibc } from "../../macos/libc.ts";
import { openLoopbackListeners } from "../../escape/loopback_listeners.ts";
import { shortcomingsOf } from "../own_report.ts";
import type { Platform } from "../platform.ts";
import { measureMacos } from "./measure.ts";
import { type MacosPlan, makeMacosPlan } from "./plan.ts";
import { type MacosHost, probeMacos, thisMac } from "./probe.ts";

/** Layers that the runner must also have tried against itself, as src/escape/macos.ts reports them. */
const OWN_LAYERS = ["private files", "no writes", "no other program"];

/** Probes this Mac, or the fake one of a test. */
export async function openMacos(
  options: { darwin?: Macos; host?: MacosHost; folder?: string } = {},
): Promise<Platform> {
  const darwin = options.darwin ?? openMacosLibc();
  const host = options.host ?? thisMac(darwin);
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
      return makeMacosPlan(target, { ...capabilities, realPaths }, mode);
    },
    command: ({ argv, env }) => ({ argv, env }),
    before: () => Promise.resolve(),
    findRunner: (childPid) => childPid, // sandbox-exec becomes the runner
    measure: (pid, plan) => measureMacos(darwin, pid, plan as MacosPlan),
    shortcomings: (plan, layers, own) => shortcomingsOf(plan, layers, own, OWN_LAYERS),
    openListeners: () => openLoopbackListeners({ folder: options.folder ?? "/private/tmp" }),
    close: () => Promise.resolve([]),
  };
}
