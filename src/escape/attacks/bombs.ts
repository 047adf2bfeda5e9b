/** Attempts to take more than a share: processes, threads, memory. Bounded: none does harm where it works. */
import { alloc, type Linux } from "../../linux/libc.ts";
import { type Attack, byResult, type Outcome } from "./attack.ts";

/** As many as no policy allows and any machine bears. */
const THREADS = 1000;
const PROCESSES = 20;
const MEMORY_BYTES = 2 ** 36;
const SHARED_BYTES = 2 ** 30;

// Opened when the program starts: stage 2 lets nothing be loaded afterwards.
const PTHREAD = Deno.dlopen("libc.so.6", {
  pthread_create: { parameters: ["buffer", "pointer", "pointer", "pointer"], result: "i32" },
  dlsym: { parameters: ["pointer", "buffer"], result: "pointer" },
});

function threadBomb(_linux: Linux): Outcome {
  const name = alloc(6);
  name.set(new TextEncoder().encode("pause"));
  const pause = PTHREAD.symbols.dlsym(null, name);
  for (let made = 0; made < THREADS; made++) {
    const error = PTHREAD.symbols.pthread_create(alloc(8), null, pause, null);
    if (error !== 0) return { ...byResult("pthread_create", -error), proof: `${made} threads` };
  }
  return { out: true, step: "pthread_create", errno: "", proof: `${THREADS} threads` };
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

/** The attack that holds only where a cgroup for memory can be made. */
export const SHARED_MEMORY_BOMB = "shared memory bomb";

export const BOMBS: readonly Attack[] = [
  { name: "fork bomb", run: forkBomb },
  { name: "memory bomb", run: memoryBomb },
  { name: SHARED_MEMORY_BOMB, ends: "killed", run: sharedMemoryBomb },
  { name: "thread bomb", ends: "exhausted", run: threadBomb },
];
