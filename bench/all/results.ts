/** Runs as they are kept in bench/results: one file each, with the machine that it ran on. */
import { type Goal, GOALS } from "./goals.ts";

/** One run. */
export interface Run {
  /** The processor's own name, and how many of them. */
  readonly machine: string;
  /** Day, as 2026-11-29. */
  readonly day: string;
  readonly commit: string;
  /** Load averages of a minute, before and after. */
  readonly load: readonly [number, number];
  readonly threads: number;
  readonly short: boolean;
  /** Samples of each goal that was measured, by its name in {@link GOALS}. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
  /** What could not be measured, and why. */
  readonly notMeasured: readonly string[];
}

export const RESULTS = new URL("../results/", import.meta.url);

/** The runs that are kept, by machine, the newest last. */
export async function readRuns(folder = RESULTS): Promise<Map<string, Run[]>> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) if (name.endsWith(".json")) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const runs = new Map<string, Run[]>();
  for (const name of names.sort()) {
    const run: Run = JSON.parse(await Deno.readTextFile(new URL(name, folder)));
    runs.set(run.machine, [...runs.get(run.machine) ?? [], run]);
  }
  return runs;
}

/** Keeps a run. @returns The file's name. */
export async function keepRun(run: Run, folder = RESULTS): Promise<string> {
  await Deno.mkdir(folder, { recursive: true });
  const machine = run.machine.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  for (let serial = 1;; serial++) {
    const name = `${machine}-${run.day}-${serial}.json`;
    const path = new URL(name, folder);
    if (await Deno.stat(path).then(() => true, () => false)) continue;
    await Deno.writeTextFile(path, JSON.stringify(run, null, 2) + "\n");
    return name;
  }
}

/** The samples of all runs of one machine, by goal, in the goals' order; only what was measured. */
export function collected(runs: readonly Run[]): [id: string, goal: Goal, samples: number[]][] {
  return Object.entries(GOALS).flatMap(([id, goal]) => {
    const samples = runs.flatMap((run) => run.samples[id] ?? []);
    return samples.length === 0 ? [] : [[id, goal, samples] as [string, Goal, number[]]];
  });
}
