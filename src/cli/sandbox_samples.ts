/**
 * Plans for systems other than this one, for `sandbox plan --os`: a usual installation and what such a machine can do are assumed,
 * nothing is probed, and none of these plans has been run on its system.
 */
import { makeMacosPlan } from "../sandbox/macos/plan.ts";
import type { LaunchedTarget, Plan, SandboxMode } from "../sandbox/types.ts";
import { makeWindowsPlan } from "../sandbox/windows/plan.ts";

/** @throws {SecLlamaError} `sandbox-unavailable` as the plan of that system does. */
export function samplePlan(os: "macos" | "windows", mode: SandboxMode): Plan {
  const [separator, app, model] = os === "macos"
    ? [
      "/",
      "/Applications/SecLlama",
      "/Users/user/Library/Application Support/SecLlama/models/blobs/sha256-00",
    ]
    : [
      "\\",
      "C:\\Program Files\\SecLlama",
      "C:\\Users\\user\\AppData\\Local\\SecLlama\\models\\blobs\\sha256-00",
    ];
  const at = (...names: string[]) => [app, ...names].join(separator);
  const suffix = os === "windows" ? ".exe" : "";
  const target: LaunchedTarget = {
    executable: at("secllama-lib", `secllama-runner${suffix}`),
    args: [],
    readOnly: [at("secllama-lib", "lib"), model!],
    gpu: "none",
    launcher: { executable: at(`secllama${suffix}`), args: ["launch-runner"] },
  };
  return os === "macos"
    ? makeMacosPlan(target, { sandboxExec: true, arch: "aarch64" }, mode)
    : makeWindowsPlan(target, {
      appContainer: true,
      elevated: false,
      systemRoot: "C:\\Windows",
      instance: "sample",
    }, mode);
}
