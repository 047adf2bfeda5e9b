/** Judging a runner of macOS or Windows by what was read of it and by what it tried against itself. Pure. */
import type { AnyLayerReport, AnyPlan } from "./platform.ts";

interface OwnLayer {
  readonly layer: string;
  readonly enforced: boolean;
  readonly observed: string;
}

/**
 * What speaks against a running process, one line each; empty: every planned layer is in force. A layer that neither was read
 * nor was reported counts against it only if it is one of `wanted`, or was read as missing.
 * @param own The runner's report, untrusted.
 * @param wanted Planned layers that the runner must have reported as in force.
 */
export function shortcomingsOf(
  plan: AnyPlan,
  layers: readonly AnyLayerReport[],
  own: readonly unknown[],
  wanted: readonly string[],
): string[] {
  const problems = layers
    .filter(({ state }) => state === "missing" || state === "unreadable")
    .map(({ layer, state, observed }) => `${layer}: ${state} (${observed})`);
  const planned = new Set(plan.layers.filter((l) => l.planned).map(({ layer }) => layer));
  for (const layer of wanted) {
    if (!planned.has(layer)) continue;
    const report = (own as readonly OwnLayer[]).find((r) => r?.layer === layer);
    if (report?.enforced === true) continue;
    problems.push(`${layer}: ${report ? `missing (${report.observed})` : "not reported"}`);
  }
  return problems;
}
