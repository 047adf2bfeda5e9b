/** Starts a program outside of every sandbox, as an ordinary process of another user where this one may give itself up for one. */
import type { Step } from "../../linux/syscall_table.ts";
import { Memory } from "../../linux/syscall_table.ts";
import { linux } from "../../linux/libc.ts";
import { makeExecutable } from "../../sandbox/linux/executables.ts";
import { commandOptions, type StartOptions } from "../../sandbox/spawn.ts";
import type { PlannedCommand } from "../../sandbox/types.ts";

/** An id without an account: nothing on the machine belongs to it. */
export const ANOTHER_USER = 61235;

/**
 * Starts it with the ids of `uid`; null: with this process's own.
 * @throws {SystemCallError} If the executable that gives root up cannot be made.
 */
export function startOrdinary(
  { argv, env }: PlannedCommand,
  uid: number | null,
  options: StartOptions,
): Deno.ChildProcess {
  const [program, ...args] = argv;
  if (uid === null) {
    return new Deno.Command(program!, { ...commandOptions({ env }, options), args }).spawn();
  }
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const ids = (call: string): Step => ({ what: `${call} ${uid}`, call, args: [uid, uid, uid] });
  const steps: Step[] = [
    { what: "setgroups", call: "setgroups", args: [0, null] },
    ids("setresgid"),
    ids("setresuid"),
    {
      what: `execute ${program}`,
      call: "execve",
      args: [program!, Memory.strings(argv), Memory.strings(variables)],
    },
  ];
  const fd = makeExecutable(linux(), steps);
  try {
    return new Deno.Command(`/proc/self/fd/${fd}`, commandOptions({ env }, options)).spawn();
  } finally {
    linux().call("close", fd);
  }
}

/** Whether every user may read this file and pass through the folders on the way to it. */
export function openToAll(path: string): boolean {
  const [EXECUTE, READ] = [0o001, 0o004];
  const may = (at: string, right: number) => ((Deno.statSync(at).mode ?? 0) & right) !== 0;
  const parts = path.split("/");
  return parts.every((_, i) => may(parts.slice(0, i).join("/") || "/", EXECUTE)) &&
    may(path, READ);
}
