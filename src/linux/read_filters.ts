/**
 * The seccomp filters of another process's thread, as the kernel holds them: ptrace(2), PTRACE_SECCOMP_GET_FILTER. Only for who has
 * CAP_SYS_ADMIN and no filter of its own, on a kernel with CONFIG_CHECKPOINT_RESTORE.
 */
import { alloc, type Linux, SystemCallError } from "./libc.ts";

const PTRACE = { detach: 17, seize: 0x4206, interrupt: 0x4207, getFilter: 0x420c };
/** wait4(2): for threads that are nobody's children, too. */
const WALL = 0x40000000;
const ENOENT = 2, ESRCH = 3, EINTR = 4;
/** What waitpid(2) says of one that stopped, in the lowest byte. */
const STOPPED = 0x7f;

/**
 * Each filter's program, the oldest first. The thread stands still meanwhile, for a tenth of a millisecond or so, and this one waits
 * for it: not for long, as it needs nobody to stop.
 * @returns undefined: the thread has ended.
 * @throws {SystemCallError} they cannot be read.
 */
export function readFilters(linux: Linux, tid: number): Uint8Array[] | undefined {
  const seized = linux.call("ptrace", PTRACE.seize, tid, 0, 0);
  if (seized === -ESRCH) return undefined;
  if (seized < 0) throw new SystemCallError("trace", -seized);
  let signal = 0;
  try {
    if (linux.call("ptrace", PTRACE.interrupt, tid, 0, 0) === -ESRCH) return undefined;
    const status = alloc(4);
    let waited: number;
    do waited = linux.call("wait4", tid, status, WALL, null); while (waited === -EINTR);
    if (waited < 0) throw new SystemCallError("wait for a thread", -waited);
    const word = new DataView(status.buffer).getInt32(0, true);
    if ((word & 0xff) !== STOPPED) return undefined;
    // A signal of somebody else's came first; it has it when it goes on.
    if (word >> 16 === 0) signal = (word >> 8) & 0xff;
    return programsOf(linux, tid);
  } finally {
    linux.call("ptrace", PTRACE.detach, tid, 0, signal);
  }
}

function programsOf(linux: Linux, tid: number): Uint8Array[] {
  for (const programs: Uint8Array[] = [];;) {
    const length = linux.call("ptrace", PTRACE.getFilter, tid, programs.length, null);
    if (length === -ENOENT && programs.length > 0) return programs;
    if (length < 0) throw new SystemCallError("read a filter", -length);
    const program = alloc(8 * length);
    linux.must("read a filter", "ptrace", PTRACE.getFilter, tid, programs.length, program);
    programs.push(program);
  }
}
