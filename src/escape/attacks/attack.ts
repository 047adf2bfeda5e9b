/** What an attack is. Each is written as code inside the runner would do it: by native calls, past Deno's own checks. */
import { errnoName } from "../../linux/errno.ts";
import { alloc, cstr, type Linux, O } from "../../linux/libc.ts";
import type { AttackTargets } from "../types.ts";

/** What the attacker knows of the host. Everything here exists and is reachable without a sandbox. */
export interface Battlefield {
  readonly targets: AttackTargets;
  /** Another process of the operator's; its environment holds `canary`. */
  readonly victimPid: number;
  readonly canary: string;
  /** A folder that everyone may read and write, with the files `secret`, `plain`, `key.json` and `other-model.gguf`. */
  readonly folder: string;
  /** The host's name. */
  readonly hostname: string;
  /** A descriptor of `secret` that the spawning process leaves open. */
  readonly leakedFd: number;
}

export interface Outcome {
  /** It worked: something got out, in, or was taken. */
  readonly out: boolean;
  /** The call that was refused, or the last one. */
  readonly step: string;
  /** "EACCES", "" if no call was refused. */
  readonly errno: string;
  /** What was read, as evidence for the host. */
  readonly proof?: string;
}

export interface Attack {
  readonly name: string;
  /**
   * Runs in a process of its own. replaced: if it works, another program has taken the place of this one. killed: the sandbox
   * answers with a signal. exhausted: it leaves the process unusable.
   */
  readonly ends?: "replaced" | "killed" | "exhausted";
  /** Needs rights that an ordinary user never has. */
  readonly privileged?: boolean;
  run(linux: Linux, field: Battlefield): Outcome | Promise<Outcome>;
}

/** Works if the call's result is not negative. */
export function byResult(step: string, result: number): Outcome {
  return { out: result >= 0, step, errno: result < 0 ? errnoName(-result) : "" };
}

/**
 * For calls that would do harm: made with arguments that cannot work. The kernel checks rights first, so an error other than
 * those of a refusal means that the call was open.
 */
export function byErrno(step: string, result: number): Outcome {
  const refusals = [1, /* EPERM */ 13, /* EACCES */ 38 /* ENOSYS */];
  const blocked = result < 0 && refusals.includes(-result);
  return { out: !blocked, step, errno: result < 0 ? errnoName(-result) : "" };
}

/** Opens, reads up to 64 KiB, and gives the text as proof. */
export function readProof(linux: Linux, path: string, find: string): Outcome {
  const fd = linux.call("openat", -100, cstr(path), O.readOnly | O.closeOnExec, 0);
  if (fd < 0) return byResult(`open ${path}`, fd);
  const outcome = readDescriptor(linux, fd, find);
  linux.call("close", fd);
  return outcome;
}

/** Reads a descriptor; out only if what comes holds `find`. */
export function readDescriptor(linux: Linux, fd: number, find: string): Outcome {
  const buffer = alloc(65536);
  const got = linux.call("read", fd, buffer, buffer.length);
  if (got < 0) return byResult("read", got);
  const text = new TextDecoder().decode(buffer.subarray(0, got));
  const out = text.includes(find);
  return { out, step: "read", errno: "", ...(out ? { proof: find } : {}) };
}

/** Deno's own doors: each is refused by a permission before it comes to the kernel. */
export async function byDeno(step: string, attempt: () => Promise<unknown>): Promise<Outcome> {
  try {
    await attempt();
    return { out: true, step, errno: "" };
  } catch (error) {
    return { out: false, step, errno: error instanceof Error ? error.name : "thrown" };
  }
}
