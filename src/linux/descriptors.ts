/** Descriptors that whoever started this process handed on. */
import type { Linux } from "./libc.ts";

/**
 * Whether `fd` is open and was so at the start: the runtime opens its own to close at exec, and a descriptor that does so cannot
 * have come through one. To read, write or close one of the runtime's would break it. Must be asked before the flag is set.
 */
export function isInherited(linux: Linux, fd: number): boolean {
  const F_GETFD = 1;
  return linux.call("fcntl", fd, F_GETFD) === 0;
}
