/**
 * The gateway's own reading of a runner on macOS: what the kernel would deny to that process, by `sandbox_check`. That the model
 * itself may be read is asked as well: an answer that is always "denied" proves nothing. Never run on macOS.
 */
import type { Macos, SandboxFilter } from "../../macos/libc.ts";
import type { LayerReport, LayerState } from "../types.ts";
import { MACOS_POLICY, type MacosLayerName, type MacosPlan } from "./plan.ts";

type Question = readonly [operation: string | null, filter?: SandboxFilter];

const path = (value: string): SandboxFilter => ({ type: "path", value });

/** Layer → what must be denied. Layers without a question rest on the profile, or are no protection (Metal). */
const QUESTIONS: readonly (readonly [MacosLayerName, readonly Question[]])[] = [
  ["sandbox profile", [[null]]],
  ["no network", [["network-outbound"], ["network-inbound"], ["network-bind"]]],
  [
    "no name service",
    MACOS_POLICY.deniedServices.map((value) =>
      ["mach-lookup", { type: "global-name", value }] as const
    ),
  ],
  ["no other program", [["process-fork"], ["process-exec", path("/bin/sh")]]],
  ["private files", [["file-read-data", path("/private/etc/passwd")]]],
  ["no writes", [["file-write-create", path("/private/tmp/secllama")]]],
];

/** Every layer that can be asked for. */
export function measureMacos(
  system: Macos,
  pid: number,
  plan: MacosPlan,
): LayerReport<MacosLayerName>[] {
  const planned = new Map(plan.layers.map((layer) => [layer.layer, layer.planned]));
  const ask = ([operation, filter]: Question) => system.sandboxCheck(pid, operation, filter);
  const readable = plan.parameters["EXECUTABLE"];
  return QUESTIONS.map(([layer, questions]) => {
    const answers = questions.map(ask);
    const denied = answers.filter((answer) => answer === 1).length;
    let observed = `sandbox_check: ${denied} of ${questions.length} denied`;
    let known = answers.every((answer) => answer === 0 || answer === 1);
    if (layer === "private files" && readable !== undefined) {
      const allowed = ask(["file-read-data", path(readable)]) === 0;
      observed += allowed ? ", its own program allowed" : ", but its own program too";
      known &&= allowed;
    }
    const state: LayerState = !planned.get(layer)
      ? "not planned"
      : !known
      ? "unreadable"
      : denied === questions.length
      ? "enforced"
      : "missing";
    return { layer, state, observed };
  });
}
