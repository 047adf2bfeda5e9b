/** What the kernel says of a process or a thread in /proc (proc_pid_status(5)). */
import type { Linux } from "../../linux/libc.ts";

/** Field to value. */
export type Status = ReadonlyMap<string, string>;

/** @param path Of a `status`. @throws {SystemCallError} If it is not there. */
export function readStatus(system: Linux, path: string): Status {
  return new Map(
    system.readText(path).split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
    }),
  );
}
