/** The uid that stands for every user whom a user namespace does not know (user_namespaces(7)). */
import { linux } from "./libc.ts";

let known: { readonly uid: number | undefined } | undefined;

/**
 * In a user namespace the uid that every user without one there seems to have, root too if it has none: a process that runs
 * as nobody would take them all for itself. Undefined where each user has a uid.
 */
export function overflowUid(): number | undefined {
  return (known ??= { uid: readOverflowUid() }).uid;
}

function readOverflowUid(): number | undefined {
  let map: string;
  try {
    map = linux().readText("/proc/self/uid_map");
  } catch {
    return undefined; // A kernel without user namespaces.
  }
  if (/^\s*0\s+0\s+4294967295\s*$/.test(map)) return undefined;
  return Number(linux().readText("/proc/sys/kernel/overflowuid"));
}
