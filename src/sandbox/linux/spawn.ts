/** Starts a planned runner: the whole chain, or the program itself where the operator switched the sandbox off. */
import { spawnCommand, type StartOptions } from "../spawn.ts";
import { type ChainTables, startChain } from "./chain.ts";
import { launchSteps, startSteps } from "./launch_steps.ts";
import type { LinuxPlan } from "./plan.ts";

/** Every step of both tables, every group. */
export const ALL_STEPS: ChainTables = {
  launcher: launchSteps,
  starter: startSteps,
  entered: (groups) => groups,
};

/**
 * Spawns it with pipes for its standard streams and nothing of this process's environment.
 * @throws {SecLlamaError} `sandbox-failed` as {@link startChain}.
 * @throws If the program cannot be started.
 */
export async function startRunner(
  { argv, env, launch }: LinuxPlan,
  options: StartOptions = {},
): Promise<Deno.ChildProcess> {
  if (launch === null) return spawnCommand({ argv, env }, options);
  return await startChain({ argv, env, launch }, ALL_STEPS, options);
}
