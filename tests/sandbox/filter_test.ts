import assert from "node:assert/strict";
import { answer, badLoad, describe, disassemble, evaluate } from "../support/bpf.ts";
import { sampler } from "../support/sampler.ts";
import { stage2Policy } from "../../runner/lockdown.ts";
import { BASE_POLICY, GPU_POLICIES, seccompFor } from "../../src/sandbox/linux/policy.ts";
import { encode } from "../../src/linux/bpf.ts";
import { compile, type SeccompPolicy, type Test } from "../../src/linux/seccomp.ts";
import { type Arch, AUDIT_ARCH } from "../../src/linux/syscalls.ts";

const SELF = 4242;
const EXEC_FD = 512;
const variables = { self: SELF, execFd: EXEC_FD };
const ARCHES: readonly Arch[] = ["x86_64", "aarch64"];
/** As files are mapped: the executable, libraries (two of them on both sides of a 4 GiB border), a model of 8 GiB. */
const FILES = [
  { start: 0x5583_0000_1000n, end: 0x5583_0620_0000n },
  { start: 0x7f10_0000_0000n, end: 0x7f12_0000_0000n },
  { start: 0x7f33_ffff_8000n, end: 0x7f34_0000_3000n },
  { start: 0x7f34_0000_4000n, end: 0x7f34_0001_0000n },
];

type Asked = readonly [why: string, answer: string, call: string, ...args: (number | bigint)[]];
const ANON = 0x22;
const FREE_MEMORY = 0x1000n;
/** docs/decisions/0067-what-libraries-call-late.md: what passes, and what is refused since whoever asks goes on without it. */
const LATER: readonly Asked[] = [
  ["a thread's stack", "allow", "mmap", 0n, 8 << 20, 0, ANON | 0x20000 | 0x4000],
  ["glibc's state of getrandom, which may be dropped", "allow", "mmap", 0n, 4096, 3, 0x28],
  ["a place that must be free", "allow", "mmap", FREE_MEMORY, 4096, 3, ANON | 0x100000],
  [
    "huge pages of the host's pool: glibc takes others",
    "EACCES",
    "mmap",
    0n,
    2 << 20,
    3,
    ANON | 0x40000,
  ],
  ["locked memory", "EPERM", "mlock", FREE_MEMORY, 4096],
  ["a guard page of glibc 2.42", "allow", "madvise", FREE_MEMORY, 4096, 102],
  ["memory given back", "allow", "madvise", FREE_MEMORY, 4096, 4],
  ["memory given back, lazily", "allow", "madvise", FREE_MEMORY, 4096, 8],
  ["large pages for a heap", "allow", "madvise", FREE_MEMORY, 2 << 20, 14],
  ["large pages now: a hint", "EPERM", "madvise", FREE_MEMORY, 2 << 20, 25],
  [
    "wiped at a fork: random generators mix in more instead",
    "EPERM",
    "madvise",
    FREE_MEMORY,
    4096,
    18,
  ],
  ["a larger block of memory", "allow", "mremap", FREE_MEMORY, 4096, 1 << 20, 1],
  ["a heap's end", "allow", "brk", FREE_MEMORY],
  ["a new thread's sequences", "allow", "rseq", FREE_MEMORY, 32, 0, 0],
  ["a thread: clone is next", "ENOSYS", "clone3"],
  ["a thread", "allow", "clone", 0x3d0f00, 0n, FREE_MEMORY, FREE_MEMORY, FREE_MEMORY],
  ["robust mutexes, which nobody has", "ENOSYS", "set_robust_list", FREE_MEMORY, 24],
  ["a thread's name, seen by everybody", "EPERM", "prctl", 15, FREE_MEMORY],
  ["a name for memory: glibc asks no more", "EPERM", "prctl", 0x53564d41, 0, FREE_MEMORY, 4096],
  ["where the main thread's stack begins: V8 knows it otherwise", "EACCES", "openat", -100, 0n, 0],
  ["processors", "allow", "sched_getaffinity", 0, 4096, FREE_MEMORY],
  ["a thread's processors: glibc goes on", "ENOSYS", "sched_getaffinity", 7, 128, FREE_MEMORY],
  ["a thread's place: llama.cpp warns", "EPERM", "sched_setaffinity", 0, 128, FREE_MEMORY],
  ["a thread's rank: llama.cpp warns", "EPERM", "sched_setscheduler", 7, 1, FREE_MEMORY],
  ["random numbers", "allow", "getrandom", FREE_MEMORY, 4, 0],
  ["how much memory there is: qsort takes the other way", "EPERM", "sysinfo", FREE_MEMORY],
  ["time that a process took", "EPERM", "getrusage", 0, FREE_MEMORY],
  ["a barrier for all threads: no program in it asks", "EPERM", "membarrier", 8, 0, 0],
  [
    "protection keys for code, which is not made",
    "EPERM",
    "pkey_mprotect",
    FREE_MEMORY,
    4096,
    1,
    1,
  ],
  ["gdb for llama.cpp's last words", "EPERM", "clone", 0x1200011],
  ["an abort", "allow", "tgkill", SELF, SELF, 6],
  ["a shared wait", "allow", "futex", FREE_MEMORY, 0],
  ["libstdc++ wakes who waits for a static variable", "allow", "futex", FREE_MEMORY, 1, 0x7fffffff],
];

for (const arch of ARCHES) {
  const program = compile(BASE_POLICY.seccomp, { arch, variables });
  const ask = (name: string | number, ...args: (number | bigint)[]) =>
    answer(program, arch, name, ...args);

  Deno.test(`${arch}: another architecture's call and the x32 table kill`, () => {
    const other = arch === "x86_64" ? AUDIT_ARCH.aarch64 : AUDIT_ARCH.x86_64;
    assert.equal(describe(evaluate(program, { nr: 1, arch: other })), "kill");
    assert.equal(describe(evaluate(program, { nr: 20, arch: 0x40000003 /* i386 */ })), "kill");
    if (arch === "x86_64") {
      assert.equal(ask(0x40000000 + 39), "kill");
      assert.equal(ask(0xFFFFFFFF), "kill");
    }
  });

  Deno.test(`${arch}: what inference needs passes, what it does not is refused`, () => {
    for (const name of ["read", "write", "mmap", "futex", "clock_nanosleep", "getrandom"]) {
      assert.equal(ask(name, 0, 0, 0), "allow", name);
    }
    const refused = "connect bind listen accept4 sendmsg sendmmsg ptrace process_vm_readv " +
      "process_vm_writev pidfd_open pidfd_getfd pidfd_send_signal kill tkill io_uring_setup " +
      "io_uring_enter bpf userfaultfd keyctl add_key request_key mount umount2 pivot_root chroot " +
      "setns unshare fsopen open_tree move_mount execve fchmodat fchownat utimensat setxattr linkat " +
      "symlinkat mkdirat unlinkat renameat2 truncate shmget mq_open semget perf_event_open " +
      "setresuid setsid sethostname init_module kexec_load reboot open_by_handle_at landlock_create_ruleset " +
      // What two processes could see each other's effect by.
      "flock fadvise64 readahead mincore preadv2 pwritev2 sync_file_range copy_file_range msync mlock mlock2 " +
      "mlockall membarrier mbind get_mempolicy set_mempolicy move_pages process_madvise remap_file_pages " +
      "inotify_init1 inotify_add_watch fanotify_init timer_create setitimer clock_settime clock_adjtime " +
      "adjtimex sysinfo getrusage times getpriority setpriority sched_setaffinity sched_setscheduler " +
      "sched_getparam sched_getscheduler sched_getattr ioprio_get ioprio_set getpgid getsid capget kcmp " +
      "statfs fstatfs quotactl signalfd4 timerfd_create pipe2 dup memfd_create rt_sigqueueinfo rt_tgsigqueueinfo " +
      "setrlimit get_robust_list futex_waitv futex_wake futex_wait futex_requeue umask name_to_handle_at";
    for (const name of refused.split(" ")) assert.equal(ask(name), "EPERM", name);
    assert.equal(ask("socket", 2, 1, 0), "EACCES");
    assert.equal(ask("clone3"), "ENOSYS");
    assert.equal(ask(500), "ENOSYS", "a call newer than the table");
  });

  Deno.test(`${arch}: arguments decide where the name does not`, () => {
    const THREAD = 0x3d0f00;
    assert.equal(ask("clone", THREAD), "allow");
    assert.equal(ask("clone", 17), "EPERM", "fork");
    assert.equal(ask("clone", THREAD | 0x10000000), "EPERM", "a thread in a new user namespace");
    assert.equal(
      ask("clone", THREAD | 0x4000),
      "EPERM",
      "one whose maker cannot be stopped (vfork)",
    );
    assert.equal(ask("socketpair", 1, 1 | 0o2004000, 0), "allow");
    assert.equal(ask("socketpair", 1, 2, 0), "EPERM", "datagram");
    assert.equal(ask("socketpair", 2, 1, 0), "EPERM", "not Unix");
    assert.equal(ask("openat", -100, 0n, 0o2000000), "allow");
    for (const flags of [1, 2, 0o100, 0o1000, 0o2000, 0o20000000]) {
      assert.equal(ask("openat", -100, 0n, flags), "EACCES", `flags 0${flags.toString(8)}`);
    }
    assert.equal(ask("tgkill", SELF, SELF, 6), "allow");
    assert.equal(ask("tgkill", SELF + 1, SELF, 6), "EPERM");
    assert.equal(ask("tgkill", SELF, SELF, 34), "EPERM", "a signal that queues");
    assert.equal(ask("prlimit64", 0, 7, 0n, 0x1000n), "allow");
    assert.equal(ask("prlimit64", 0, 11, 0x1000n), "EPERM", "set a limit");
    assert.equal(ask("prlimit64", 0, 11, 0x100000000n), "EPERM", "a low half of 0");
    assert.equal(ask("prlimit64", 1, 7), "EPERM", "another's");
    assert.equal(ask("prctl", 4, 0), "allow");
    assert.equal(ask("prctl", 4, 1), "EPERM", "become dumpable");
    assert.equal(ask("prctl", 1, 0), "EPERM", "outlive the parent");
    const vectors = arch === "aarch64" ? "allow" : "EPERM";
    assert.equal(ask("prctl", 51), vectors, "how long the vectors are");
    assert.equal(ask("prctl", 50), "EPERM", "set that");
    assert.equal(ask("ioctl", 0, 0x5421), "allow");
    for (const code of [0x5412, /* TIOCSTI */ 0x5401, /* TCGETS */ 0x541b /* FIONREAD */]) {
      assert.equal(ask("ioctl", 0, code), "ENOTTY", `ioctl 0x${code.toString(16)}`);
    }
    for (let command = 0; command < 2048; command++) {
      const passes = [1, 2, 3, 1030].includes(command);
      assert.equal(ask("fcntl", 3, command, 1), passes ? "allow" : "EPERM", `fcntl ${command}`);
    }
    for (let advice = 0; advice < 128; advice++) {
      const passes = [4, 8, 10, 11, 14, 15, 16, 17, 22, 23, 102, 103].includes(advice);
      assert.equal(
        ask("madvise", 0n, 4096, advice),
        passes ? "allow" : "EPERM",
        `advice ${advice}`,
      );
    }
    assert.equal(ask("mmap", 0n, 4096, 3, 0x22), "allow");
    assert.equal(ask("mmap", 0n, 4096, 3, 0x40022), "EPERM", "huge pages of the host's pool");
    for (let op = 0; op < 14; op++) {
      assert.equal(ask("futex", 0n, op | 0x80), "allow", `private futex ${op}`);
      const waits = op === 0 || op === 1 || op === 9;
      assert.equal(ask("futex", 0n, op), waits ? "allow" : "EPERM", `shared futex ${op}`);
      assert.equal(
        ask("futex", 0n, op | 0x100),
        waits ? "allow" : "EPERM",
        `futex ${op}, realtime`,
      );
    }
    for (const clock of [0, 1, 2, 3, 4, 5, 6, 7, 11]) {
      assert.equal(ask("clock_gettime", clock), "allow", `clock ${clock}`);
    }
    for (const clock of [-2, -6, ~4242 << 3, (~4242 << 3) | 2, 16, 0x7fffffff]) {
      assert.equal(ask("clock_gettime", clock), "EPERM", `clock ${clock}: another process's`);
      assert.equal(ask("clock_nanosleep", clock), "EPERM", `clock ${clock}: another process's`);
    }
    assert.equal(ask("sched_getaffinity", 0), "allow");
    assert.equal(ask("sched_getaffinity", 1), "ENOSYS", "another process's");
    assert.equal(ask("lseek", 3, 0, 2), "allow");
    assert.equal(ask("lseek", 3, 0, 3), "EPERM", "SEEK_DATA");
    assert.equal(ask("prctl", 15, 0n), "EPERM", "a name that all can read");
    assert.equal(ask("set_robust_list", 0n), "ENOSYS");
    assert.equal(ask("sendto", 3, 0n, 0, 0, 0n), "allow");
    assert.equal(ask("sendto", 3, 0n, 0, 0, 0x7f0000000000n), "EPERM", "a low half of 0");
    assert.equal(ask("execveat", EXEC_FD, 0n, 0n, 0n, 0x1000), "allow");
    assert.equal(ask("execveat", EXEC_FD - 1, 0n, 0n, 0n, 0x1000), "EPERM");
    assert.equal(ask("execveat", EXEC_FD, 0n, 0n, 0n, 0), "EPERM", "a path");
  });

  Deno.test(`${arch}: after stage 2 nothing is opened, executed, or asked of the host`, () => {
    const stage2 = compile(stage2Policy(), { arch, files: FILES });
    const ask2 = (name: string, ...args: (number | bigint)[]) =>
      answer(stage2, arch, name, ...args);
    const refused =
      "execve execveat memfd_create seccomp connect fstat newfstatat statx faccessat readlinkat " +
      "getdents64 getcwd lseek pread64 epoll_create1 eventfd2 socketpair set_tid_address prctl prlimit64 ioctl " +
      "uname pkey_mprotect";
    for (const name of refused.split(" ")) assert.equal(ask2(name), "EPERM", name);
    for (const [name, error] of [["clone3", "ENOSYS"], ["set_robust_list", "ENOSYS"]] as const) {
      assert.equal(ask2(name), error, name);
    }
    for (const flags of [0, 1, 2, 0o100]) assert.equal(ask2("openat", -100, 0n, flags), "EACCES");
    if (arch === "x86_64") {
      const REQUEST = 0x1023;
      assert.equal(ask2("arch_prctl", REQUEST, 18), "allow", "AMX: llama.cpp asks for each graph");
      assert.equal(ask2("arch_prctl", REQUEST, 17), "EPERM", "another state");
      assert.equal(ask2("arch_prctl", 0x1022, 18), "EPERM", "another question");
      assert.equal(ask2("arch_prctl", 0x1002, 18), "EPERM", "ARCH_SET_FS");
    }
    const MAP = { shared: 1, private: 2, anonymous: 0x20, huge: 0x40000 };
    for (const prot of [0, 1, 3]) {
      assert.equal(ask2("mmap", 0n, 4096, prot, MAP.private | MAP.anonymous), "allow");
      assert.equal(ask2("mprotect", 0n, 4096, prot), "allow");
      for (const flags of [MAP.private, MAP.shared, MAP.private | MAP.anonymous | MAP.huge]) {
        assert.equal(
          ask2("mmap", 0n, 4096, prot, flags, 3),
          "EACCES",
          "a file, or the host's huge pages",
        );
      }
    }
    for (const prot of [4, 5, 7]) {
      assert.equal(ask2("mmap", 0n, 4096, prot, MAP.private | MAP.anonymous), "EACCES");
      assert.equal(ask2("mprotect", 0n, 4096, prot), "EACCES");
    }
    assert.equal(ask2("read"), "allow");
  });

  Deno.test(`${arch}: after stage 2 files stay mapped as they are, and everything else is free`, () => {
    const stage2 = compile(stage2Policy(), { arch, files: FILES });
    assert.equal(badLoad(stage2), null, "the kernel would refuse the program");
    const MADV_DONTNEED = 4;
    const MAP = { fixed: 0x32, anywhere: 0x22 };
    const MREMAP = { mayMove: 1, fixed: 2, dontUnmap: 4 };
    const THREAD = 0x3d0f00;
    const ctid = arch === "x86_64" ? 3 : 4;
    const inWords = (
      at: number,
      value: bigint,
    ) => [THREAD, ...Array.from({ length: 5 }, (_, i) => i + 1 === at ? value : 0n)];
    // Each call that is asked about memory, and how many bytes of it.
    const calls: readonly [
      what: string,
      length: "any" | bigint,
      ask: (at: bigint, length: bigint) => string,
    ][] = [
      ["munmap", "any", (at, n) => answer(stage2, arch, "munmap", at, n)],
      ["madvise", "any", (at, n) => answer(stage2, arch, "madvise", at, n, MADV_DONTNEED)],
      ["mprotect", "any", (at, n) => answer(stage2, arch, "mprotect", at, n, 3)],
      ["mremap", "any", (at, n) => answer(stage2, arch, "mremap", at, n, n, MREMAP.mayMove)],
      ["mmap, fixed", "any", (at, n) => answer(stage2, arch, "mmap", at, n, 3, MAP.fixed)],
      ["futex, shared wait", 4n, (at) => answer(stage2, arch, "futex", at, 0)],
      ["futex, shared wake", 4n, (at) => answer(stage2, arch, "futex", at, 1)],
      ["clone", 4n, (at) => answer(stage2, arch, "clone", ...inWords(ctid, at))],
    ];
    const draw = sampler(arch.length);
    const wide = () => BigInt(draw(2 ** 31)) << 31n | BigInt(draw(2 ** 31));
    for (let i = 0; i < 3000; i++) {
      const file = FILES[draw(FILES.length)]!;
      // Around the borders mostly, and anywhere.
      const near = [file.start, file.end, (file.start + file.end) / 2n, wide() & 0x7fff_ffff_ffffn];
      const at = (near[draw(4)]! + BigInt(draw(5) - 2) * 0x1000n) & 0x00ff_ffff_ffff_ffffn;
      const lengths = [
        0n,
        1n,
        4n,
        0x1000n,
        0x2000n,
        1n << 32n,
        (1n << 32n) - 1n,
        1n << 33n,
        wide() >> BigInt(draw(62)),
      ];
      const length = lengths[draw(lengths.length)]!;
      for (const [what, fixed, ask] of calls) {
        const bytes = fixed === "any" ? (length === 0n ? 1n : length) : fixed;
        const touches = FILES.some(({ start, end }) => at < end && at + bytes > start);
        const got = ask(at, length);
        assert.equal(
          got !== "allow",
          touches,
          `${what} at 0x${at.toString(16)}, ${length} bytes: ${got}`,
        );
      }
    }
    const { start } = FILES[0]!;
    const tagged = start | 0xaa00_0000_0000_0000n;
    assert.equal(answer(stage2, arch, "munmap", tagged, 0x1000n), "EACCES", "a tagged address");
    for (const flags of [MREMAP.fixed | MREMAP.mayMove, MREMAP.dontUnmap | MREMAP.mayMove]) {
      assert.equal(answer(stage2, arch, "mremap", 0x1000n, 4096, 4096, flags), "EPERM");
    }
    assert.equal(
      answer(stage2, arch, "mmap", start, 4096, 3, MAP.anywhere),
      "allow",
      "only a hint",
    );
    for (const op of [3, 5, 6, 10]) {
      assert.equal(answer(stage2, arch, "futex", 0x1000n, op), "EPERM", `shared futex ${op}`);
    }
    assert.equal(
      answer(stage2, arch, "futex", start, 0 | 0x80),
      "allow",
      "its key is this address space",
    );
  });

  Deno.test(`${arch}: what libraries may ask for after stage 2, where no test of ours brings them to it`, () => {
    const late = compile(stage2Policy(), { arch, files: FILES });
    /** Of two errors the kernel gives the newer filter's. */
    const both = (call: string, ...args: (number | bigint)[]) => {
      const [older, newer] = [
        answer(program, arch, call, ...args),
        answer(late, arch, call, ...args),
      ];
      return newer === "allow" ? older : newer;
    };
    for (const [why, wanted, call, ...args] of LATER) {
      assert.equal(both(call, ...args), wanted, `${call}: ${why}`);
    }
  });

  Deno.test(`${arch}: stage 2 lets nothing pass that the first filter would not know`, () => {
    const first = BASE_POLICY.seccomp;
    const known = new Set([...Object.keys(first.calls), ...first.conditional.map((r) => r.call)]);
    const { calls, conditional } = stage2Policy();
    const later = [...Object.keys(calls), ...conditional.map((r) => r.call)];
    assert.deepEqual(later.filter((call) => !known.has(call)), []);
  });

  Deno.test(`${arch}: every policy compiles within the kernel's limit`, () => {
    const many = Array.from({ length: 200 }, (_, i) => {
      const start = 0x7f00_0000_0000n + BigInt(i) * 0x1_0000_0000n;
      return { start, end: start + 0x1000n };
    });
    assert.ok(compile(stage2Policy(), { arch, files: many }).length < 4096);
    for (const gpu of ["none", "nvidia", "amd", "intel"] as const) {
      const size = compile(seccompFor(gpu), { arch, variables }).length;
      assert.ok(size > 100 && size < 1000, `${gpu}: ${size}`);
    }
    for (const gpu of ["nvidia", "amd", "intel"] as const) {
      const late = compile(stage2Policy({ more: GPU_POLICIES[gpu].stage2 }), {
        arch,
        files: FILES,
      });
      assert.equal(answer(late, arch, "ioctl", 3, 0xC0104600), "allow", gpu);
      assert.equal(answer(late, arch, "openat", -100, 0, 0), "allow", gpu);
      assert.equal(answer(late, arch, "openat", -100, 0, 2), "EACCES", gpu);
      assert.equal(answer(late, arch, "mmap", 0, 4096, 3, 1, 3), "allow", gpu);
      assert.equal(answer(late, arch, "mmap", 0, 4096, 5, 1, 3), "EACCES", gpu);
      assert.equal(answer(late, arch, "execve"), "EPERM", gpu);
      for (const command of [5, 6, 7, 36, 37, 38, 1024, 1026]) {
        assert.equal(answer(late, arch, "fcntl", 3, command), "EPERM", `${gpu}: fcntl ${command}`);
      }
    }
    const nvidia = compile(seccompFor("nvidia"), { arch, variables });
    assert.equal(answer(nvidia, arch, "ioctl", 3, 0xC0104600), "allow");
    assert.equal(answer(nvidia, arch, "openat", -100, 0, 2), "allow");
    assert.equal(answer(nvidia, arch, "openat", -100, 0, 0o102), "EACCES");
    assert.equal(answer(nvidia, arch, "socket", 2, 1, 0), "EACCES", "the network stays denied");
  });

  Deno.test(`${arch}: the filter is the golden one`, async () => {
    const path = new URL(`../golden/sandbox/linux-filter-${arch}.txt`, import.meta.url);
    const text = disassemble(program) + "\n";
    if (Deno.env.get("SECLLAMA_UPDATE_GOLDEN")) await Deno.writeTextFile(path, text);
    assert.equal(text, await Deno.readTextFile(path));
  });
}

Deno.test("a policy with a wrong name, or a call twice, is refused", () => {
  const policy = (o: Partial<SeccompPolicy>): SeccompPolicy => ({
    mode: "allow",
    calls: {},
    conditional: [],
    errors: {},
    ...o,
  });
  const compiles = (o: Partial<SeccompPolicy>) => () => compile(policy(o), { arch: "x86_64" });
  assert.throws(compiles({ calls: { raed: "" } }), /unknown system call raed/);
  assert.throws(compiles({ calls: { read: "" }, errors: { read: "EPERM" } }), /read twice/);
  assert.throws(compiles({ errors: { read: "ENOPE" } }), /unknown error name/);
  assert.throws(
    compiles({ conditional: [{ call: "tgkill", when: [{ arg: 0, equals: ["self"] }], why: "" }] }),
    /compares with self/,
  );
  const outside = { arg: 0, length: 4, outside: "files" } as const;
  const tests = (when: readonly Test[]) => ({ conditional: [{ call: "munmap", when, why: "" }] });
  assert.throws(compiles(tests([outside])), /needs files/);
  assert.throws(compiles(tests([outside, { arg: 1, equals: [0] }])), /must be the last/);
});

Deno.test("every call that passes says why it tells no other process anything", () => {
  const parts = [
    BASE_POLICY.seccomp,
    BASE_POLICY.stage2,
    ...Object.values(GPU_POLICIES).flatMap(({ seccomp, stage2 }) => [seccomp, stage2]),
  ];
  for (const { calls, conditional } of parts) {
    for (const [call, why] of Object.entries(calls)) assert.match(why, /^\S.{4,}/, call);
    for (const { call, why } of conditional) assert.match(why, /^\S.{4,}/, call);
    // "as read" must lead to a call that has a reason of its own.
    const reasons = new Map<string, string>([
      ...Object.entries(calls),
      ...conditional.map(({ call, why }) => [call, why] as const),
    ]);
    for (const [call, why] of reasons) {
      const other = /^as (\w+)$/.exec(why)?.[1];
      if (other === undefined) continue;
      assert.ok(reasons.has(other) && !/^as \w+$/.test(reasons.get(other)!), `${call}: ${why}`);
    }
  }
});

Deno.test("an instruction is 8 bytes, little-endian", () => {
  const bytes = encode([{ code: 0x15, jt: 1, jf: 2, k: 0xC000003E }]);
  assert.deepEqual([...bytes], [0x15, 0, 1, 2, 0x3E, 0, 0, 0xC0]);
});
