/** The runner's attack on the gateway's live listeners, made after stage 2 and before it is given any key. */
import { type AttackResult, type AttackTargets, attemptAll } from "../src/linux/attempts.ts";
import { linux } from "../src/linux/libc.ts";

export type { AttackResult, AttackTargets } from "../src/linux/attempts.ts";

/** Tries each target by native calls, as code in the model's libraries could. The listeners count what arrives. */
export function attack(targets: AttackTargets): AttackResult[] {
  return attemptAll(linux(), targets);
}
