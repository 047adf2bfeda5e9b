/**
 * Where a process can be killed: each call by which it writes, syncs, cuts or renames a file of a folder, as strace saw it in one run,
 * and strace's options that kill another run at that call. Calls are counted by file: those of other threads, on other files, do not
 * move the points.
 */

/** Of what is counted by thread, whatever the file: renames. */
const ANY = "";

/** A call on a file. */
export interface KillPoint {
  readonly call: string;
  /** Empty: any. */
  readonly path: string;
  /** Which one of these calls on this file, from 1. */
  readonly at: number;
}

/** strace's program. */
export const STRACE = "/usr/bin/strace";

/** strace's options for a log that {@link pointsIn} reads. */
export function watching(log: string, calls: readonly string[]): string[] {
  return ["-f", "--seccomp-bpf", "-qq", "-o", log, "-y", "-e", `trace=${calls.join(",")}`];
}

/** The calls of a log on files below `folder`, in their order. */
export function pointsIn(log: string, folder: string): KillPoint[] {
  const counts = new Map<string, number>();
  const points: KillPoint[] = [];
  for (const line of log.split("\n")) {
    // A rename: strace goes by its old name, which may be another each time.
    const [, call, open, named] = /^\d+ +(\w+)\((?:\d+<([^>]*)>|"[^"]*", "([^"]*)")/.exec(line) ??
      [];
    if (call === undefined || !(open ?? named)?.startsWith(folder)) continue;
    const path = open ?? ANY;
    const at = (counts.get(`${call} ${path}`) ?? 0) + 1;
    counts.set(`${call} ${path}`, at);
    points.push({ call, path, at });
  }
  return points;
}

/** strace's options that end a process as it enters this call. With a filter of seccomp's, strace 6.1 loses the signal. */
export function killingAt({ call, path, at }: KillPoint): string[] {
  const inject = `inject=${call}:signal=SIGKILL:when=${at}`;
  return [
    ...["-f", "-qq", "-o", "/dev/null", ...(path === ANY ? [] : ["-P", path])],
    ...["-e", `trace=${call}`, "-e", inject],
  ];
}
