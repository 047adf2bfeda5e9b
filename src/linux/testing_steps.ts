/** The launcher's steps as text, for tests and golden files. */
import { show, type Step } from "./syscall_table.ts";

/** One line a step: `set no new privileges: prctl(38, 1, 0, 0, 0) = 0`. Of a long run of steps alike, the first and the last. */
export function printSteps(steps: readonly Step[]): string {
  const runs: Step[][] = [];
  for (const step of steps) {
    const run = runs.at(-1);
    if (run !== undefined && run[0]!.what === step.what) run.push(step);
    else runs.push([step]);
  }
  return runs.flatMap((run) =>
    run.length <= 4
      ? run.map(printStep)
      : [printStep(run[0]!), `… ${run.length - 2} more`, printStep(run.at(-1)!)]
  ).join("\n");
}

function printStep(step: Step): string {
  if ("ifZero" in step) {
    return `${step.what}: ${step.memory.shown} is 0 → ${step.ifZero.what}`;
  }
  if (!("call" in step)) {
    return `${step.what}: ${step.memory.shown} is not ${JSON.stringify(step.mustNotBe)}`;
  }
  const { what, call, args, wanted = 0, tolerate, store } = step;
  return `${what}: ${call}(${args.map(show).join(", ")})` +
    (store ? ` → ${store.into.shown} at ${store.at}` : wanted === "any" ? "" : ` = ${wanted}`) +
    (tolerate ? ` or ${tolerate}` : "");
}
