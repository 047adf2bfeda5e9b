/** The runner's attack on the gateway's live listeners, made after stage 2 and before it is given any key. */
import { attackByMacos } from "../src/escape/macos.ts";
import { openMacosLibc } from "../src/macos/libc.ts";
import { attackByLinux } from "../src/escape/linux.ts";
import { linux } from "../src/linux/libc.ts";
import type { AttackResult, AttackTargets, LoopbackTargets } from "../src/escape/types.ts";
import { attackByWindows, openWinsock } from "../src/escape/windows.ts";

export type { AttackResult, AttackTargets } from "../src/escape/types.ts";

/** Tries each target by native calls, as code in the model's libraries could. The listeners count what arrives. */
export function attack(targets: unknown): AttackResult[] {
  switch (Deno.build.os) {
    case "darwin":
      return attackByMacos(openMacosLibc(), targets as LoopbackTargets);
    case "windows":
      return attackByWindows(openWinsock(), targets as LoopbackTargets);
    default:
      return attackByLinux(linux(), targets as AttackTargets);
  }
}
