/** A program with all that it has started: some agents are a small program that waits for the real one and passes no signal on. */

import { linux } from "../../linux/libc.ts";

/** Sends a signal to a process and to what came of it, as far as the system tells (Linux: proc(5), `children`). */
export function endTree(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  // Before the first is told: the children of one that has ended are somebody else's.
  for (const one of [pid, ...descendants(pid)]) {
    try {
      Deno.kill(one, signal);
    } catch { /* it has ended */ }
  }
}

function descendants(pid: number): number[] {
  if (Deno.build.os !== "linux") return [];
  const found: number[] = [];
  collect(pid, found);
  return found;
}

function collect(pid: number, found: number[]): void {
  for (const child of childrenOf(pid)) {
    if (found.includes(child)) continue;
    found.push(child);
    collect(child, found);
  }
}

/** Those that its first thread has started. Deno's own reading does not reach proc(5) with the permissions that there are. */
function childrenOf(pid: number): number[] {
  try {
    const text = linux().readText(`/proc/${pid}/task/${pid}/children`);
    return text.trim().split(" ").filter((one) => one !== "").map(Number);
  } catch {
    return []; // it has ended, or the kernel does not tell
  }
}
