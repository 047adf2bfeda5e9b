/** Attempts to take more than a share: processes, threads, memory. Bounded: none does harm where it works. */
import type { Linux } from "../../linux/libc.ts";
import { WaitingThreads } from "../threads.ts";
import { type Attack, byResult, type Outcome } from "./attack.ts";
import { plural } from "../../plural.ts";

/** As many as no policy allows and any machine bears. */
const THREADS = 1000;
const PROCESSES = 20;
const MEMORY_BYTES = 2 ** 36;
const SHARED_BYTES = 2 ** 30;

function threadBomb(_linux: Linux): Outcome {
  const threads = new WaitingThreads();
  const error = threads.make(THREADS);
  const proof = plural(threads.count, "thread");
  return error === 0
    ? { out: true, step: "pthread_create", errno: "", proof }
    : { ...byResult("pthread_create", -error), proof };
}

function forkBomb(linux: Linux): Outcome {
  const SIGCHLD = 17;
  for (let made = 0; made < PROCESSES; made++) {
    const pid = linux.call("clone", SIGCHLD, 0, 0, 0, 0);
    if (pid === 0) linux.call("exit_group", 0);
    if (pid < 0) return byResult("clone", pid);
    linux.call("wait4", pid, null, 0, null);
  }
  return { out: true, step: "clone", errno: "" };
}

/** Mapped and never touched: a limit on memory counts it, the machine does not feel it. */
function memoryBomb(linux: Linux): Outcome {
  const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x4022;
  const at = linux.call("mmap", null, MEMORY_BYTES, 3, MAP_PRIVATE_ANONYMOUS_NORESERVE, -1, 0);
  if (at >= 0) linux.call("munmap", at, MEMORY_BYTES);
  return byResult("mmap 64 GiB", at);
}

/** Shared memory, which RLIMIT_DATA does not count: only a cgroup stops it. Touched, so that it is really taken; freed at once. */
function sharedMemoryBomb(linux: Linux): Outcome {
  const MAP_SHARED_ANONYMOUS = 0x21;
  const at = linux.call("mmap", null, SHARED_BYTES, 3, MAP_SHARED_ANONYMOUS, -1, 0);
  if (at < 0) return byResult("mmap 1 GiB shared", at);
  const memory = Deno.UnsafePointer.create(BigInt(at))!;
  new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(memory, SHARED_BYTES)).fill(1);
  linux.call("munmap", at, SHARED_BYTES);
  return { out: true, step: "touch 1 GiB shared", errno: "" };
}

export const SHARED_MEMORY_BOMB = "shared memory bomb";
const THREAD_BOMB = "thread bomb";

interface Need {
  /** A planned layer says so of itself. */
  readonly by: RegExp;
  readonly missing: string;
}

/** Attacks that not every machine has a layer against, which strict mode does not promise either: what that layer is. */
const NEEDS: { readonly [attack: string]: Need } = {
  [SHARED_MEMORY_BOMB]: {
    by: /\bmemory\.(?:max|limit_in_bytes) \d/,
    missing: "no cgroup for memory can be made here",
  },
  [THREAD_BOMB]: {
    by: /\b(?:nproc|pids\.max) \d/,
    missing: "neither a user namespace nor a cgroup for tasks can be made here",
  },
};

/** Why this attack gets out with these layers; undefined: it does not. */
export function whyOut(
  attack: string,
  layers: readonly { readonly planned: boolean; readonly detail: string }[],
): string | undefined {
  const need = Object.hasOwn(NEEDS, attack) ? NEEDS[attack] : undefined;
  if (need === undefined) return undefined;
  return layers.some(({ planned, detail }) => planned && need.by.test(detail))
    ? undefined
    : need.missing;
}

export const BOMBS: readonly Attack[] = [
  { name: "fork bomb", run: forkBomb },
  { name: "memory bomb", run: memoryBomb },
  { name: SHARED_MEMORY_BOMB, ends: "killed", run: sharedMemoryBomb },
  { name: THREAD_BOMB, ends: "exhausted", run: threadBomb },
];
