/** Channels over what the kernel counts or shows of processes: names, clocks, limits of a user, memory of the machine. */
import { alloc, AT_FDCWD, cstr, type Linux, O } from "../../linux/libc.ts";
import { AF, SOCK } from "../../linux/sockets.ts";
import { WaitingThreads } from "../threads.ts";
import { type Channel, done, NOTHING, readText, seen, type Side, unseen } from "./channel.ts";

const threadName: Channel = {
  name: "name of a thread",
  object: "/proc/PID/comm, which everybody may read",
  send({ linux }, bit) {
    const PR_SET_NAME = 15;
    const name = cstr(bit ? "secllama-one" : "secllama-zero");
    return done("prctl", linux.prctl(PR_SET_NAME, name));
  },
  receive({ linux, peer }) {
    const text = readText(linux, `/proc/${peer}/comm`);
    if (typeof text === "number") return unseen("open comm", text);
    return seen("read comm", text.trim() === "secllama-one");
  },
};

/** Processor time of a process, ns; or the errno, negative. */
function processorTime(linux: Linux, pid: number): number {
  const CPUCLOCK_SCHED = 2;
  const time = alloc(16);
  const result = linux.call("clock_gettime", (~pid << 3) | CPUCLOCK_SCHED, time);
  if (result < 0) return result;
  const view = new DataView(time.buffer);
  return Number(view.getBigInt64(0, true)) * 1e9 + Number(view.getBigInt64(8, true));
}

const BURNT_MS = 60;

/** Works for so long: by its own processor time, so that company on the machine makes no difference. */
function burn(linux: Linux, ms: number): void {
  const own = () => {
    const time = alloc(16);
    linux.call("clock_gettime", 2, /* CLOCK_PROCESS_CPUTIME_ID */ time);
    const view = new DataView(time.buffer);
    return Number(view.getBigInt64(0, true)) * 1e3 + Number(view.getBigInt64(8, true)) / 1e6;
  };
  const until = own() + ms;
  while (own() < until);
}

const clock: Channel = {
  name: "another process's processor time",
  object: "a process's clock",
  intoRunnersOnly: "what a runner computes shows outside in /proc, see SECURITY.md",
  arm({ linux, peer, memory }) {
    const before = processorTime(linux, peer);
    if (before < 0) return done("clock_gettime", before);
    memory["before"] = before;
    return NOTHING;
  },
  send({ linux }, bit) {
    if (bit) burn(linux, BURNT_MS);
    return NOTHING;
  },
  receive({ linux, peer, memory }) {
    const now = processorTime(linux, peer);
    if (now < 0) return unseen("clock_gettime", now);
    return seen("clock_gettime", now - (memory["before"] as number) > BURNT_MS / 2 * 1e6);
  },
};

/** The processors that a process may use, as a bit set of 1024; or the errno, negative. */
function affinity(linux: Linux, pid: number): Uint8Array | number {
  const mask = alloc(128);
  const got = linux.call("sched_getaffinity", pid, mask.length, mask);
  return got < 0 ? got : mask.subarray(0, got);
}

function processors(mask: Uint8Array): number {
  return mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
}

const affinities: Channel = {
  name: "another process's processors",
  object: "which processors a process may use",
  send({ linux, memory }, bit) {
    const whole = memory["whole"] as readonly number[] | undefined ??
      [...(affinity(linux, 0) as Uint8Array)];
    memory["whole"] = whole;
    const mask = alloc(128);
    if (bit) mask.set([whole[0]! & -whole[0]!]); // the first of them
    else mask.set(whole);
    return done("sched_setaffinity", linux.call("sched_setaffinity", 0, mask.length, mask));
  },
  receive({ linux, peer }) {
    const mask = affinity(linux, peer);
    if (typeof mask === "number") return unseen("sched_getaffinity", mask);
    return seen("sched_getaffinity", processors(mask) === 1);
  },
};

const QUEUED = 20;

/** "SigQ: 3/96000" of /proc/self/status: what all processes of the user have queued. */
function queued(linux: Linux): number {
  const text = readText(linux, "/proc/self/status");
  return typeof text === "number" ? text : Number(/^SigQ:\s*(\d+)/m.exec(text)![1]);
}

const signals: Channel = {
  name: "pending signals of the user",
  object: "the count of queued signals of a user",
  sameUser: true,
  arm({ linux, memory }) {
    const before = queued(linux);
    if (before < 0) return done("open status", before);
    memory["queued"] = before;
    return NOTHING;
  },
  send({ linux }, bit) {
    const [SIG_BLOCK, SIGNAL] = [0, 40];
    const set = alloc(8);
    new DataView(set.buffer).setBigUint64(0, 1n << BigInt(SIGNAL - 1), true);
    linux.call("rt_sigprocmask", SIG_BLOCK, set, null, 8);
    const [pid, tid] = [linux.call("getpid"), linux.call("gettid")];
    for (let i = 0; bit && i < QUEUED; i++) {
      const result = linux.call("tgkill", pid, tid, SIGNAL);
      if (result < 0) return done("tgkill", result);
    }
    return { step: "tgkill", errno: "" };
  },
  receive({ linux, memory }) {
    const now = queued(linux);
    if (now < 0) return unseen("open status", now);
    return seen("read status", now - (memory["queued"] as number) >= QUEUED / 2);
  },
};

/** A pipe's two descriptors, or the errno. */
function pipe(linux: Linux): readonly [number, number] | number {
  const pair = alloc(8);
  const result = linux.call("pipe2", pair, O.closeOnExec);
  if (result < 0) return result;
  const view = new DataView(pair.buffer);
  return [view.getInt32(0, true), view.getInt32(4, true)];
}

function closeAll({ linux, memory }: Side, name: string): void {
  for (const fd of memory[name] as readonly number[] | undefined ?? []) linux.call("close", fd);
  memory[name] = [];
}

const THREADS = 300;
/** RLIMIT_NPROC of a runner's plan; elsewhere a process may set it for itself. */
const MOST_THREADS = 512;

function threadsOf({ memory }: Side): WaitingThreads {
  const threads = (memory["threads"] ?? new WaitingThreads()) as WaitingThreads;
  memory["threads"] = threads;
  return threads;
}

const threads: Channel = {
  name: "threads of the user",
  object: "how many threads all processes of a user may have together",
  intoRunnersOnly: "how many threads a runner has shows outside in /proc, see SECURITY.md",
  arm({ linux }) {
    const RLIMIT_NPROC = 6;
    const limit = alloc(16);
    const view = new DataView(limit.buffer);
    for (const at of [0, 8]) view.setBigUint64(at, BigInt(MOST_THREADS), true);
    linux.call("prlimit64", 0, RLIMIT_NPROC, limit, null); // a runner may not: it has that limit
    return NOTHING;
  },
  send(side, bit) {
    const made = threadsOf(side);
    made.end();
    return done("pthread_create", bit ? -made.make(THREADS) : 0);
  },
  receive(side) {
    const EAGAIN = 11;
    const made = threadsOf(side);
    const error = made.make(THREADS);
    made.end();
    if (error !== 0 && error !== EAGAIN) return unseen("pthread_create", -error);
    return seen("pthread_create", error === EAGAIN);
  },
};

const PIPES = 70;
const F = { setPipeSize: 1031, getPipeSize: 1032 } as const;

const pipes: Channel = {
  name: "pages in pipes of the user",
  object: "how many pages a user's pipes may hold",
  sameUser: true,
  send(side, bit) {
    const { linux, memory } = side;
    closeAll(side, "pipes");
    const open: number[] = [];
    memory["pipes"] = open;
    for (let i = 0; bit && i < PIPES; i++) {
      const pair = pipe(linux);
      if (typeof pair === "number") return done("pipe2", pair);
      open.push(...pair);
      // Up to the limit, which is what is to be reached.
      linux.call("fcntl", pair[0], F.setPipeSize, 1 << 20);
    }
    return { step: "pipe2", errno: "" };
  },
  receive({ linux }) {
    const pair = pipe(linux);
    if (typeof pair === "number") return unseen("pipe2", pair);
    const size = linux.call("fcntl", pair[0], F.getPipeSize);
    for (const fd of pair) linux.call("close", fd);
    if (size < 0) return unseen("fcntl", size);
    return seen("fcntl", size < 65536);
  },
};

const SOCKET_PAIRS = 30;

/** Sockets in /proc/net/unix, or the errno. */
function sockets(linux: Linux): number {
  const text = readText(linux, "/proc/self/net/unix");
  return typeof text === "number" ? text : text.split("\n").length;
}

const socketCount: Channel = {
  name: "sockets of the network namespace",
  object: "/proc/net/unix, which everybody may read",
  arm({ linux, memory }) {
    const before = sockets(linux);
    if (before < 0) return done("open net/unix", before);
    memory["sockets"] = before;
    return NOTHING;
  },
  send(side, bit) {
    const { linux, memory } = side;
    closeAll(side, "pairs");
    const open: number[] = [];
    memory["pairs"] = open;
    for (let i = 0; bit && i < SOCKET_PAIRS; i++) {
      const pair = alloc(8);
      const result = linux.call("socketpair", AF.unix, SOCK.stream | SOCK.closeOnExec, 0, pair);
      if (result < 0) return done("socketpair", result);
      const view = new DataView(pair.buffer);
      open.push(view.getInt32(0, true), view.getInt32(4, true));
    }
    return { step: "socketpair", errno: "" };
  },
  receive(side) {
    const now = sockets(side.linux);
    if (now < 0) return unseen("open net/unix", now);
    return seen("read net/unix", now - (side.memory["sockets"] as number) >= SOCKET_PAIRS);
  },
};

const SHARED_BYTES = 64 << 20;

/** struct sysinfo: sharedram u64 @48, mem_unit u32 @104. */
function sharedMemory(linux: Linux): number {
  const info = alloc(112);
  const result = linux.call("sysinfo", info);
  if (result < 0) return result;
  const view = new DataView(info.buffer);
  return Number(view.getBigUint64(48, true)) * view.getUint32(104, true);
}

const memoryOfTheMachine: Channel = {
  name: "memory of the machine (sysinfo)",
  object: "how much memory is in use",
  intoRunnersOnly: "what a runner takes of memory shows outside, see SECURITY.md",
  arm({ linux, memory }) {
    const before = sharedMemory(linux);
    if (before < 0) return done("sysinfo", before);
    memory["shared"] = before;
    return NOTHING;
  },
  send({ linux, memory }, bit) {
    if (memory["at"] !== undefined) linux.call("munmap", memory["at"] as number, SHARED_BYTES);
    delete memory["at"];
    if (!bit) return NOTHING;
    const [READ_WRITE, SHARED_ANONYMOUS, POPULATE] = [3, 0x21, 0x8000];
    const flags = SHARED_ANONYMOUS | POPULATE;
    const at = linux.call("mmap", null, SHARED_BYTES, READ_WRITE, flags, -1, 0);
    if (at >= 0) memory["at"] = at;
    return done("mmap", at);
  },
  receive({ linux, memory }) {
    const now = sharedMemory(linux);
    if (now < 0) return unseen("sysinfo", now);
    const more = now - (memory["shared"] as number);
    return seen("sysinfo", more > SHARED_BYTES / 2);
  },
};

/** struct statfs: f_bsize s64 @8, f_bfree u64 @24; bytes, or the errno. */
function freeSpace(linux: Linux, path: string): number {
  const statfs = alloc(120);
  const result = linux.call("statfs", cstr(path), statfs);
  if (result < 0) return result;
  const view = new DataView(statfs.buffer);
  return Number(view.getBigInt64(8, true)) * Number(view.getBigUint64(24, true));
}

const FILLED_BYTES = 128 << 20;

const space: Channel = {
  name: "free space of a file system",
  object: "how much of a file system is in use",
  arm({ linux, file, memory }) {
    const before = freeSpace(linux, file);
    if (before < 0) return done("statfs", before);
    memory["free"] = before;
    return NOTHING;
  },
  send({ linux, file }, bit) {
    const path = cstr(`${file}.filled`);
    linux.call("unlinkat", AT_FDCWD, path, 0);
    if (!bit) return NOTHING;
    const flags = O.writeOnly | O.create | O.closeOnExec;
    const fd = linux.call("openat", AT_FDCWD, path, flags, 0o600);
    if (fd < 0) return done("openat", fd);
    const result = linux.call("fallocate", fd, 0, 0, FILLED_BYTES);
    linux.call("close", fd);
    return done("fallocate", result);
  },
  receive({ linux, file, memory }) {
    const now = freeSpace(linux, file);
    if (now < 0) return unseen("statfs", now);
    return seen("statfs", (memory["free"] as number) - now > FILLED_BYTES / 2);
  },
};

export const COUNT_CHANNELS: readonly Channel[] = [
  threadName,
  clock,
  affinities,
  signals,
  threads,
  pipes,
  socketCount,
  memoryOfTheMachine,
  space,
];
