/**
 * The user that root's next runner becomes. Each has one of its own: what the kernel counts by user, the number of threads first, two
 * runners would share, could fill for each other, and could talk by.
 */
import type { Linux } from "../../linux/libc.ts";
import { canBecome } from "../../linux/id_maps.ts";
import { BASE_POLICY } from "./policy.ts";

/** Users from the policy's on. They are below what systemd, Debian and others give to anybody by name. */
export const RUNNER_USERS = 64;
const PRIO_USER = 2;
const ESRCH = 3;

/** Begins anywhere: another gateway on this machine begins elsewhere. */
let next = Math.floor(Math.random() * RUNNER_USERS);

/**
 * A user who is mapped here and has no process. Of calls that follow one another no two give the same, until all were given.
 * If there is none, one that has processes; if this user namespace knows none but the first, that.
 */
export function runnerUser(system: Pick<Linux, "call">): number {
  let known: number | undefined;
  for (let tries = 0; tries < RUNNER_USERS; tries++) {
    const id = BASE_POLICY.uid + next++ % RUNNER_USERS;
    if (!canBecome(id)) continue;
    if (system.call("getpriority", PRIO_USER, id) === -ESRCH) return id;
    known ??= id;
  }
  return known ?? BASE_POLICY.uid;
}
