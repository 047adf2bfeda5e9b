/** Hardening that any of SecLlama's processes applies to itself. Irreversible. */
import { errnoName } from "./errno.ts";
import { alloc, type Linux } from "./libc.ts";

const PR_SET_DUMPABLE = 4;
const PR_GET_DUMPABLE = 3;
const RLIMIT_CORE = 4;

/** What was done, as read back. */
export interface Hardening {
  /** Other processes of this user cannot read /proc/PID/mem, environ and fd, nor trace it. */
  readonly notDumpable: boolean;
  /** No core file, and no pipe to a core handler: a limit of 1 byte stops that, 0 does not. */
  readonly noCoreDump: boolean;
  /** What could not be done, one line each. */
  readonly errors: readonly string[];
}

/** Makes this process undumpable and its crashes silent. What could not be done is in `errors`. */
export function hardenProcess(linux: Linux): Hardening {
  const errors: string[] = [];
  const set = linux.prctl(PR_SET_DUMPABLE, 0);
  if (set < 0) errors.push(`PR_SET_DUMPABLE: ${errnoName(-set)}`);
  const limit = alloc(16);
  const view = new DataView(limit.buffer);
  view.setBigUint64(0, 1n, true);
  view.setBigUint64(8, 1n, true);
  linux.call("prlimit64", 0, RLIMIT_CORE, limit, null);
  const after = alloc(16);
  const read = linux.call("prlimit64", 0, RLIMIT_CORE, null, after);
  const soft = new DataView(after.buffer).getBigUint64(0, true);
  if (read < 0 || soft > 1n) errors.push("RLIMIT_CORE could not be set");
  return {
    notDumpable: linux.prctl(PR_GET_DUMPABLE) === 0,
    noCoreDump: read === 0 && soft <= 1n,
    errors,
  };
}
