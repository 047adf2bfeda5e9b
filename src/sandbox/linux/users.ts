/**
 * The user that root's next runner becomes. Each has one of its own: what the kernel counts by user, the number of threads first, two
 * runners would share, could fill for each other, and could talk by.
 */
import type { Linux } from "../../linux/libc.ts";
import { canBecome } from "../../linux/id_maps.ts";
import { BASE_POLICY } from "./policy.ts";

/**
 * Users from the policy's on. No distribution gives them to anybody by name; systemd does to services that it makes users for while
 * they run (DynamicUser=, 61184 to 65519). Whoever has a process is passed over.
 */
export const RUNNER_USERS = 64;
const PRIO_USER = 2;
const ESRCH = 3;

/** Begins anywhere: another gateway on this machine begins elsewhere. */
let next = Math.floor(Math.random() * RUNNER_USERS);

/**
 * A user who is mapped here and has no process. Of calls that follow one another no two give the same, until all were given.
 * If there is none, one that has processes, each time the next; if this user namespace knows none but the first, that. Root of a
 * container does not see who has processes outside its PID namespace: there, only that each gateway begins anywhere keeps apart.
 * @param isMapped Whether a process here may become that user.
 */
export function runnerUser(system: Pick<Linux, "call">, isMapped = canBecome): number {
  let known: number | undefined;
  for (let tries = 0; tries < RUNNER_USERS; tries++) {
    const id = BASE_POLICY.uid + next++ % RUNNER_USERS;
    if (!isMapped(id)) continue;
    if (system.call("getpriority", PRIO_USER, id) === -ESRCH) return id;
    known ??= id;
  }
  next++; // all were looked at, so the next call would begin with the same
  return known ?? BASE_POLICY.uid;
}
