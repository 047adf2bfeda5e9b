/** The runner's attack on the gateway's live listeners, made after stage 2 and before it is given any key. */
import { attackByMacos } from "../src/escape/macos.ts";
import { openMacosLibc } from "../src/macos/libc.ts";
import { attackByLinux } from "../src/escape/linux.ts";
import { linux } from "../src/linux/libc.ts";
import { attackTargets, loopbackTargets } from "../src/escape/targets.ts";
import type { AttackResult } from "../src/escape/types.ts";
import { attackByWindows, openWinsock } from "../src/escape/windows.ts";

export type { AttackResult, AttackTargets } from "../src/escape/types.ts";

/** Tries each target by native calls, as code in the model's libraries could. The listeners count what arrives. */
export function attack(targets: object): AttackResult[] {
  switch (Deno.build.os) {
    case "darwin":
      return attackByMacos(openMacosLibc(), loopbackTargets(targets, "targets"));
    case "windows":
      return attackByWindows(openWinsock(), loopbackTargets(targets, "targets"));
    default:
      return attackByLinux(linux(), attackTargets(targets, "targets"));
  }
}
