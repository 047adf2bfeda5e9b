/** Attacks on the kernel's wider surface: other entries, namespaces, mounts, shared memory, tracing, keys. */
import { alloc, cstr, type Linux, O, openFlags } from "../../linux/libc.ts";
import { type Attack, type Battlefield, byErrno, byResult, type Outcome } from "./attack.ts";

const CLONE = { newNs: 0x20000, newUser: 0x10000000 } as const;
const SIGCHLD = 17;

/** Forks; the child ends at once. `flags` as for clone(2). */
function fork(linux: Linux, flags: number): Outcome {
  const pid = linux.call("clone", flags | SIGCHLD, 0, 0, 0, 0);
  if (pid === 0) linux.call("exit_group", 0);
  if (pid > 0) linux.call("wait4", pid, null, 0, null);
  return byResult("clone", pid);
}

function forkByClone3(linux: Linux): Outcome {
  const args = alloc(88); // struct clone_args: exit_signal u64 @32
  new DataView(args.buffer).setBigUint64(32, BigInt(SIGCHLD), true);
  const pid = linux.call("clone3", args, args.length);
  if (pid === 0) linux.call("exit_group", 0);
  if (pid > 0) linux.call("wait4", pid, null, 0, null);
  return byResult("clone3", pid);
}

/** Machine code in memory of its own. @returns its address, or a negative errno. */
function machineCode(linux: Linux, code: readonly number[]): number {
  const at = linux.call("mmap", null, 4096, 3, 0x22, -1, 0);
  if (at < 0) return at;
  const memory = Deno.UnsafePointerView.getArrayBuffer(
    Deno.UnsafePointer.create(BigInt(at))!,
    4096,
  );
  new Uint8Array(memory).set(code);
  const protected_ = linux.call("mprotect", at, 4096, 5);
  return protected_ < 0 ? protected_ : at;
}

/** getpid by `int 0x80`: mov eax, 20; int 0x80; ret. Numbers there are the 32-bit table's: 359 is socket. */
function int80(linux: Linux): Outcome {
  const at = machineCode(linux, [0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]);
  if (at < 0) return byResult("executable memory", at);
  const entry = Deno.UnsafePointer.create(BigInt(at)) as Deno.PointerObject<
    { parameters: []; result: "i32" }
  >;
  const pid = new Deno.UnsafeFnPointer(entry, { parameters: [], result: "i32" }).call();
  return byResult("int 0x80", pid);
}

function openShared(linux: Linux): Outcome {
  const path = "/dev/shm/secllama-attack";
  const fd = linux.call("openat", -100, cstr(path), O.readWrite | O.create | O.closeOnExec, 0o600);
  if (fd >= 0) {
    linux.call("close", fd);
    linux.call("unlinkat", -100, cstr(path), 0);
  }
  return byResult("openat", fd);
}

function shmget(linux: Linux): Outcome {
  const IPC_CREAT = 0o1000;
  const IPC_RMID = 0;
  const id = linux.call("shmget", 0, 4096, IPC_CREAT | 0o600);
  if (id >= 0) linux.call("shmctl", id, IPC_RMID, null);
  return byResult("shmget", id);
}

function messageQueue(linux: Linux): Outcome {
  const name = cstr("secllama-attack");
  const fd = linux.call("mq_open", name, O.readWrite | O.create, 0o600, null);
  if (fd >= 0) {
    linux.call("close", fd);
    linux.call("mq_unlink", name);
  }
  return byResult("mq_open", fd);
}

function closing(step: string, call: (linux: Linux) => number): (linux: Linux) => Outcome {
  return (linux) => {
    const fd = call(linux);
    if (fd >= 0) linux.call("close", fd);
    return byResult(step, fd);
  };
}

function mountOver(linux: Linux, field: Battlefield): Outcome {
  const folder = cstr(field.folder);
  const result = linux.call("mount", cstr("tmpfs"), folder, cstr("tmpfs"), 0, null);
  if (result >= 0) linux.call("umount2", folder, 2 /* MNT_DETACH */);
  return byResult("mount", result);
}

/** An array of one element. */
function makeBpfMap(linux: Linux): number {
  const attribute = alloc(128); // union bpf_attr: map_type, key_size, value_size, max_entries, u32 each
  const view = new DataView(attribute.buffer);
  [2, 4, 4, 1].forEach((value, i) => view.setUint32(i * 4, value, true));
  return linux.call("bpf", 0, attribute, attribute.length);
}

/** A software clock on this process. */
function openPerfEvent(linux: Linux): number {
  const attribute = alloc(128); // struct perf_event_attr: type u32, size u32, config u64
  const view = new DataView(attribute.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, attribute.length, true);
  return linux.call("perf_event_open", attribute, 0, -1, -1, 8 /* FD_CLOEXEC */);
}

/** By a handle a file can be opened without a path, past any root. */
function openByHandle(linux: Linux, field: Battlefield): Outcome {
  const handle = alloc(136); // struct file_handle: handle_bytes u32, handle_type s32, f_handle[]
  new DataView(handle.buffer).setUint32(0, 128, true);
  const secret = cstr(`${field.folder}/secret`);
  const named = linux.call("name_to_handle_at", -100, secret, handle, alloc(4), 0);
  if (named < 0) return byResult("name_to_handle_at", named);
  const folder = linux.call("openat", -100, cstr(field.folder), O.closeOnExec, 0);
  const fd = linux.call("open_by_handle_at", folder, handle, O.closeOnExec);
  linux.call("close", folder);
  if (fd >= 0) linux.call("close", fd);
  return byResult("open_by_handle_at", fd);
}

const PR_SET_DUMPABLE = 4;
const PR_GET_DUMPABLE = 3;
const UFFD_USER_MODE_ONLY = 1;
const KEYCTL_GET_KEYRING_ID = 0;
const KEY_SPEC_SESSION_KEYRING = -3;

/** A crash that tries to leave its memory in a file. The host looks for the file. */
export const CORE_DUMP = "core dump";

function crash(linux: Linux): Outcome {
  linux.prctl(PR_SET_DUMPABLE, 1);
  const unlimited = alloc(16).fill(0xff);
  linux.call("prlimit64", 0, 4, /* RLIMIT_CORE */ unlimited, null);
  const nowhere = Deno.UnsafePointer.create(8n) as Deno.PointerObject<
    { parameters: []; result: "void" }
  >;
  new Deno.UnsafeFnPointer(nowhere, { parameters: [], result: "void" }).call();
  return { out: false, step: "crash", errno: "survived" };
}

const common: readonly Attack[] = [
  { name: "fork", run: (linux) => fork(linux, 0) },
  { name: "clone3", run: forkByClone3 },
  { name: "nested user namespace", run: (linux) => fork(linux, CLONE.newUser) },
  { name: "new mount namespace", privileged: true, run: (linux) => fork(linux, CLONE.newNs) },
  { name: "unshare", run: (linux) => byErrno("unshare", linux.call("unshare", 0)) },
  {
    name: "setns",
    run(linux, f) {
      const fd = linux.call("openat", -100, cstr(`/proc/${f.victimPid}/ns/net`), O.closeOnExec, 0);
      if (fd < 0) return byResult("open ns/net", fd);
      const result = linux.call("setns", fd, 0);
      linux.call("close", fd);
      return byResult("setns", result);
    },
    privileged: true,
  },
  { name: "mount", privileged: true, run: mountOver },
  {
    name: "new mount API",
    privileged: true,
    run: closing("fsopen", (linux) => linux.call("fsopen", cstr("tmpfs"), 1)),
  },
  {
    name: "chroot",
    privileged: true,
    run: (linux) => byErrno("chroot", linux.call("chroot", cstr("/"))),
  },
  {
    name: "pivot_root",
    privileged: true,
    run: (linux) => byErrno("pivot_root", linux.call("pivot_root", null, null)),
  },
  { name: "System V shared memory", run: shmget },
  { name: "POSIX shared memory", run: openShared },
  { name: "POSIX message queue", run: messageQueue },
  {
    name: "userfaultfd",
    run: closing(
      "userfaultfd",
      (linux) => linux.call("userfaultfd", UFFD_USER_MODE_ONLY | O.closeOnExec),
    ),
  },
  { name: "bpf", privileged: true, run: closing("bpf", makeBpfMap) },
  {
    name: "keyctl",
    run: (linux) =>
      byResult(
        "keyctl",
        linux.call("keyctl", KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0),
      ),
  },
  { name: "perf_event_open", run: closing("perf_event_open", openPerfEvent) },
  { name: "open_by_handle_at", privileged: true, run: openByHandle },
  {
    name: "set the host name",
    privileged: true,
    run: (linux) => byErrno("sethostname", linux.call("sethostname", null, 65)),
  },
  {
    name: "become dumpable",
    run(linux) {
      const result = linux.prctl(PR_SET_DUMPABLE, 1);
      return { ...byResult("prctl", result), out: linux.prctl(PR_GET_DUMPABLE) === 1 };
    },
  },
  {
    name: "outlive the gateway",
    run: (linux) => byResult("prctl", linux.prctl(1, /* PR_SET_PDEATHSIG */ 0)),
  },
  {
    name: "raise a limit",
    run(linux) {
      const rlimit = alloc(16);
      const view = new DataView(rlimit.buffer);
      view.setBigUint64(0, 4096n, true);
      view.setBigUint64(8, 4096n, true);
      return byResult("prlimit64", linux.call("prlimit64", 0, 7, rlimit, null));
    },
  },
  {
    name: "executable memory",
    run(linux) {
      const at = machineCode(linux, [0xc3]);
      if (at >= 0) linux.call("munmap", at, 4096);
      return byResult("mprotect", at);
    },
  },
  {
    name: "open a terminal",
    run: closing(
      "openat",
      (linux) => linux.call("openat", -100, cstr("/dev/ptmx"), O.readWrite | O.closeOnExec, 0),
    ),
  },
  { name: CORE_DUMP, ends: "replaced", run: crash },
  {
    name: "list the root folder",
    run: closing(
      "open /",
      (linux) =>
        linux.call("openat", -100, cstr("/"), openFlags(linux.arch).directory | O.closeOnExec, 0),
    ),
  },
];

/** Entries by which a filter for one table could be passed; only where the processor has them. */
const x86: readonly Attack[] = [
  { name: "int 0x80", ends: "killed", run: int80 },
  {
    name: "x32 entry",
    ends: "killed",
    run: (linux) => byErrno("x32 getpid", linux.raw(0x40000000 + 39)),
  },
];

export const KERNEL: readonly Attack[] = Deno.build.arch === "x86_64"
  ? [...common, ...x86]
  : common;
