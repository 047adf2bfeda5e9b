/**
 * The seccomp filters of another process's thread, as the kernel holds them: ptrace(2), PTRACE_SECCOMP_GET_FILTER. Only for who has
 * CAP_SYS_ADMIN and no filter of its own, on a kernel with CONFIG_CHECKPOINT_RESTORE.
 */
import { alloc, type Linux, SystemCallError } from "./libc.ts";

const PTRACE = { detach: 17, seize: 0x4206, interrupt: 0x4207, getFilter: 0x420c };
/** wait4(2): for threads that are nobody's children, too. */
const WALL = 0x40000000;
const NOHANG = 1;
const ENOENT = 2, ESRCH = 3, EINTR = 4, ETIMEDOUT = 110;
/** A thread that waits for a disk or for a vfork(2) stops when that is over. Nothing of ours waits longer for it than this, ms. */
const PATIENCE_MS = 2_000;
/** What waitpid(2) says of one that stopped, in the lowest byte. */
const STOPPED = 0x7f;

/**
 * Each filter's program, the oldest first. The thread stands still meanwhile, for a tenth of a millisecond or so, and this one waits
 * for it, for two seconds at most.
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
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      waited = linux.call("wait4", tid, status, WALL | NOHANG, null);
      if (waited !== 0 && waited !== -EINTR) break;
      if (performance.now() > until) throw new SystemCallError("wait for a thread", ETIMEDOUT);
      linux.call("sched_yield");
    }
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
