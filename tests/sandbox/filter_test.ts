import assert from "node:assert/strict";
import { answer, describe, evaluate } from "../support/bpf.ts";
import { stage2Policy } from "../../runner/lockdown.ts";
import { BASE_POLICY, seccompFor } from "../../src/sandbox/linux/policy.ts";
import { disassemble, encode } from "../../src/linux/bpf.ts";
import { compile, type SeccompPolicy } from "../../src/linux/seccomp.ts";
import { type Arch, AUDIT_ARCH } from "../../src/linux/syscalls.ts";

const SELF = 4242;
const EXEC_FD = 512;
const variables = { self: SELF, execFd: EXEC_FD };
const ARCHES: readonly Arch[] = ["x86_64", "aarch64"];

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
      "setresuid setsid sethostname init_module kexec_load reboot open_by_handle_at landlock_create_ruleset";
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
    assert.equal(ask("socketpair", 1, 1 | 0o2004000, 0), "allow");
    assert.equal(ask("socketpair", 1, 2, 0), "EPERM", "datagram");
    assert.equal(ask("socketpair", 2, 1, 0), "EPERM", "not Unix");
    assert.equal(ask("openat", -100, 0n, 0o2000000), "allow");
    for (const flags of [1, 2, 0o100, 0o1000, 0o2000, 0o20000000]) {
      assert.equal(ask("openat", -100, 0n, flags), "EACCES", `flags 0${flags.toString(8)}`);
    }
    assert.equal(ask("tgkill", SELF, SELF, 6), "allow");
    assert.equal(ask("tgkill", SELF + 1, SELF, 6), "EPERM");
    assert.equal(ask("prlimit64", 0), "allow");
    assert.equal(ask("prlimit64", 1), "EPERM");
    assert.equal(ask("prctl", 4, 0), "allow");
    assert.equal(ask("prctl", 4, 1), "EPERM", "become dumpable");
    assert.equal(ask("prctl", 1, 0), "EPERM", "outlive the parent");
    assert.equal(ask("ioctl", 0, 0x5421), "allow");
    assert.equal(ask("ioctl", 0, 0x5412), "ENOTTY", "TIOCSTI");
    assert.equal(ask("fcntl", 3, 8, 1), "EPERM", "F_SETOWN");
    assert.equal(ask("sendto", 3, 0n, 0, 0, 0n), "allow");
    assert.equal(ask("sendto", 3, 0n, 0, 0, 0x7f0000000000n), "EPERM", "a low half of 0");
    assert.equal(ask("execveat", EXEC_FD, 0n, 0n, 0n, 0x1000), "allow");
    assert.equal(ask("execveat", EXEC_FD - 1, 0n, 0n, 0n, 0x1000), "EPERM");
    assert.equal(ask("execveat", EXEC_FD, 0n, 0n, 0n, 0), "EPERM", "a path");
  });

  Deno.test(`${arch}: stage 2 denies exec, executable memory, write-opens and more filters`, () => {
    const stage2 = compile(stage2Policy(), { arch });
    const ask2 = (name: string, ...args: number[]) => answer(stage2, arch, name, ...args);
    for (const name of ["execve", "execveat", "memfd_create", "seccomp", "connect"]) {
      assert.equal(ask2(name), "EPERM", name);
    }
    for (const name of ["mmap", "mprotect", "pkey_mprotect"]) {
      assert.equal(ask2(name, 0, 0, 3), "allow", name);
      assert.equal(ask2(name, 0, 0, 5), "EACCES", name);
    }
    assert.equal(ask2("openat", 0, 0, 2), "EACCES");
    assert.equal(ask2("openat", 0, 0, 0), "allow");
    assert.equal(ask2("read"), "allow");
    const jit = compile(stage2Policy({ denyExecutableMemory: false, keep: ["memfd_create"] }), {
      arch,
    });
    assert.equal(answer(jit, arch, "mmap", 0, 0, 7), "allow");
    assert.equal(answer(jit, arch, "memfd_create"), "allow");
  });

  Deno.test(`${arch}: every policy compiles within the kernel's limit`, () => {
    for (const gpu of ["none", "nvidia", "amd", "intel"] as const) {
      const size = compile(seccompFor(gpu), { arch, variables }).length;
      assert.ok(size > 100 && size < 1000, `${gpu}: ${size}`);
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
    calls: [],
    conditional: [],
    errors: {},
    ...o,
  });
  const compiles = (o: Partial<SeccompPolicy>) => () => compile(policy(o), { arch: "x86_64" });
  assert.throws(compiles({ calls: ["raed"] }), /unknown system call raed/);
  assert.throws(compiles({ calls: ["read", "read"] }), /read twice/);
  assert.throws(compiles({ errors: { read: "ENOPE" } }), /unknown error name/);
  assert.throws(
    compiles({ conditional: [{ call: "tgkill", when: [{ arg: 0, equals: ["self"] }] }] }),
    /compares with self/,
  );
});

Deno.test("an instruction is 8 bytes, little-endian", () => {
  const bytes = encode([{ code: 0x15, jt: 1, jf: 2, k: 0xC000003E }]);
  assert.deepEqual([...bytes], [0x15, 0, 1, 2, 0x3E, 0, 0, 0xC0]);
});
