/** Judging a running runner by what was read of it and by what it tried against itself. The same for every system. Pure. */
import type { LayerReport, OwnReport, Plan } from "./types.ts";

/**
 * What speaks against a running process, one line each; empty: every planned layer is in force. A layer that was not read counts
 * against it only if it is one of `wanted`: not every layer can be read from outside.
 * @param layers As they were read.
 * @param own The runner's report, untrusted.
 * @param wanted Layers that the runner must have reported as in force.
 */
export function problemsOf(
  layers: readonly LayerReport[],
  own: readonly OwnReport[],
  wanted: readonly string[],
): string[] {
  const problems = layers
    .filter(({ state }) => state === "missing" || state === "unreadable")
    .map(({ layer, state, observed }) => `${layer}: ${state} (${observed})`);
  for (const layer of wanted) {
    const report = own.find((report) => report.layer === layer);
    if (report?.enforced === true) continue;
    problems.push(`${layer}: ${report ? `missing (it says: ${report.observed})` : "not reported"}`);
  }
  return problems;
}

/** Those of `names` that the plan has. */
export function plannedOf(plan: Plan, names: readonly string[]): string[] {
  const planned = new Set(plan.layers.filter((l) => l.planned).map(({ layer }) => layer));
  return names.filter((layer) => planned.has(layer));
}
