/** The runner's attack on the gateway's live listeners, made after stage 2 and before it is given any key. */
import { attackByDarwin } from "../src/darwin/attempts.ts";
import { openDarwin } from "../src/darwin/libc.ts";
import { type AttackResult, type AttackTargets, attemptAll } from "../src/linux/attempts.ts";
import { linux } from "../src/linux/libc.ts";
import type { LoopbackTargets } from "../src/loopback.ts";
import { attackByWinsock, openWinsock } from "../src/windows/sockets.ts";

export type { AttackResult, AttackTargets } from "../src/linux/attempts.ts";

/** Tries each target by native calls, as code in the model's libraries could. The listeners count what arrives. */
export function attack(targets: unknown): AttackResult[] {
  switch (Deno.build.os) {
    case "darwin":
      return attackByDarwin(openDarwin(), targets as LoopbackTargets);
    case "windows":
      return attackByWinsock(openWinsock(), targets as LoopbackTargets);
    default:
      return attemptAll(linux(), targets as AttackTargets);
  }
}
