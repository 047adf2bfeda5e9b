/**
 * seccomp filters as data, compiled to BPF (seccomp(2), Documentation/userspace-api/seccomp_filter.rst), and their
 * installation. A policy says which calls pass; everything about numbers, architectures and jump distances is here.
 *
 * Every program starts alike: a call of another architecture (`int 0x80` on x86_64) and, on x86_64, a number of the x32
 * table kill the process, as both would otherwise be looked up in the wrong table.
 */
import { Assembler, DATA, encode, type Instruction, OP, RET } from "./bpf.ts";
import { Memory } from "./syscall_table.ts";
import { errnoNumber } from "./errno.ts";
import { addressOf, alloc, type Linux, SystemCallError } from "./libc.ts";
import type { Range } from "./mapped_files.ts";
import { type Arch, AUDIT_ARCH, highestSyscall, isSyscall, syscallNumber } from "./syscalls.ts";

/** A value known only when the filter is made: this process's id, the descriptor that the launcher executes. */
export type Variable = "self" | "execFd";
/** A number, or its text: "0x10". */
export type Value = number | string;

/** A condition on a call's arguments. */
export type Test = ValueTest | MemoryTest;

/** The low 32 bits of argument `arg`, masked, are one of `equals`. Numbers may be written "0x10". */
export interface ValueTest {
  /** The argument's place, from 0. */
  readonly arg: number;
  /** The high 32 bits are 0 as well: for pointers, which may have an empty low half. */
  readonly wide?: boolean;
  /** Default: all 32 bits. */
  readonly mask?: Value;
  /** Any of them. */
  readonly equals: readonly (Value | Variable)[];
}

/**
 * The memory at argument `arg`, of `length` bytes or of as many as argument `lengthArg` says (at least one), holds no mapped file.
 * Must be the last test of its call's last rule.
 */
export interface MemoryTest {
  /** The argument with the address. */
  readonly arg: number;
  /** Bytes. */
  readonly length?: number;
  /** The argument with the length. */
  readonly lengthArg?: number;
  /** The only kind of memory that there is a test of. */
  readonly outside: "files";
}

/** `call` passes if all tests of `when` do. Several rules of one call are alternatives. No rule passing: `else`. */
export interface ConditionalRule {
  /** The call's name. */
  readonly call: string;
  /** Where the order of arguments differs. */
  readonly arch?: Arch;
  /** All of them must hold. */
  readonly when: readonly Test[];
  /** Error name; default EPERM. */
  readonly else?: string;
  /** Why it tells no other process anything, or what keeps it from doing so. */
  readonly why: string;
}

/** Calls by name, each with the reason: of one that passes, why it tells no other process anything. */
export type ReasonedCalls = { readonly [call: string]: string };

/** What is added to a policy; a call that it names is no longer as the policy has it. */
export interface PolicyPart {
  /** Calls that the policy now treats as its own. */
  readonly calls: ReasonedCalls;
  /** Calls that pass on a condition. */
  readonly conditional: readonly ConditionalRule[];
}

export interface SeccompPolicy {
  /** "allow": what is not named is refused. "deny": what is not named passes. */
  readonly mode: "allow" | "deny";
  /** Calls that pass ("allow") or are refused ("deny"). */
  readonly calls: ReasonedCalls;
  readonly conditional: readonly ConditionalRule[];
  /** Calls refused with an error of their own, in either mode: name → error name. */
  readonly errors: { readonly [call: string]: string };
}

/** `policy` with `part` in place of whatever it says of the same calls. */
export function widen(policy: SeccompPolicy, part: PolicyPart): SeccompPolicy {
  const named = new Set([...Object.keys(part.calls), ...part.conditional.map((r) => r.call)]);
  const rest = (calls: { readonly [call: string]: string }) =>
    Object.fromEntries(Object.entries(calls).filter(([call]) => !named.has(call)));
  return {
    mode: policy.mode,
    errors: rest(policy.errors),
    conditional: [...policy.conditional.filter((r) => !named.has(r.call)), ...part.conditional],
    calls: { ...rest(policy.calls), ...part.calls },
  };
}

interface CompileOptions {
  readonly arch: Arch;
  readonly variables?: Partial<Record<Variable, number>>;
  /** Where files are mapped, for tests of memory; apart from each other. */
  readonly files?: readonly Range[];
  /** What a refused call gets where no rule says another: an errno (default), or a log line and a pass. */
  readonly refuse?: "errno" | "log";
}

/**
 * The program for a policy. Calls that the architecture lacks are left out; in "allow" mode a number above the table's
 * highest gets ENOSYS, as from a kernel that does not have it, so that the C library falls back.
 * @throws {TypeError} If the policy names an unknown call, error or variable, or one call twice; or has a test of memory where none
 * may be, or none of `files`.
 */
export function compile(policy: SeccompPolicy, options: CompileOptions): Instruction[] {
  const { arch } = options;
  const refused = (error: string) =>
    options.refuse === "log" ? RET.log : RET.errno(errnoNumber(error));
  checkNames(policy);
  const a = new Assembler();
  a.load(DATA.arch);
  a.jump(OP.jumpEqual, AUDIT_ARCH[arch], "native", null);
  a.ret(RET.killProcess);
  a.label("native");
  a.load(DATA.nr);
  if (arch === "x86_64") {
    a.jump(OP.jumpGreaterOrEqual, 0x40000000, null, "not x32");
    a.ret(RET.killProcess);
    a.label("not x32");
  }
  for (const [call, error] of Object.entries(policy.errors)) {
    block(a, arch, call, () => a.ret(RET.errno(errnoNumber(error))));
  }
  const conditional = policy.conditional.filter((rule) => (rule.arch ?? arch) === arch);
  let memory = false;
  for (const [call, rules] of groupByCall(conditional)) {
    block(a, arch, call, () => {
      for (const rule of rules) {
        const next = a.fresh();
        const checked = rule.when.at(-1);
        for (const test of rule.when) {
          if (!("outside" in test)) emitTest(a, test, next, options);
          else if (test !== checked || rule !== rules.at(-1)) {
            throw new TypeError(`${call}: a test of memory must be the last`);
          }
        }
        if (checked !== undefined && "outside" in checked) {
          memory = true;
          emitBounds(a, checked);
          a.goto(MEMORY);
        } else a.ret(RET.allow);
        a.label(next);
      }
      a.ret(refused(rules.at(-1)?.else ?? "EPERM"));
    });
  }
  if (memory) {
    if (options.files === undefined) throw new TypeError("a filter that tests memory needs files");
    // Jumped over, not put behind the last `ret`: for the kernel's check of what is stored where, a `ret` goes on to the next line.
    const after = a.fresh();
    a.goto(after);
    emitMemoryCheck(a, options.files, refused("EACCES"));
    a.label(after);
  }
  for (const call of Object.keys(policy.calls)) {
    block(a, arch, call, () => a.ret(policy.mode === "allow" ? RET.allow : refused("EPERM")));
  }
  if (policy.mode === "allow") {
    a.jump(OP.jumpGreater, highestSyscall(arch), null, "known");
    a.ret(RET.errno(errnoNumber("ENOSYS")));
    a.label("known");
    a.ret(refused("EPERM"));
  } else {
    a.ret(RET.allow);
  }
  return a.finish();
}

/** The label of what the rules that test memory have in common; words 0 to 3 hold where it starts and ends, high half first. */
const MEMORY = "memory";

/** Stores where the memory of a test starts and ends. */
function emitBounds(a: Assembler, test: MemoryTest): void {
  a.load(DATA.arg(test.arg) + 4);
  a.and(0x00FFFFFF); // the kernel takes no notice of what an address's highest byte is tagged with
  a.store(0);
  a.load(DATA.arg(test.arg));
  a.store(1);
  // The length in words 4 and 5; none counts as one byte, which is what mremap(2) copies a shared mapping by.
  if (test.lengthArg === undefined) {
    a.set(0);
    a.store(4);
    a.set(Math.max(1, test.length ?? 1));
    a.store(5);
  } else {
    const some = a.fresh();
    const none = a.fresh();
    const known = a.fresh();
    a.load(DATA.arg(test.lengthArg) + 4);
    a.store(4);
    a.jump(OP.jumpEqual, 0, none, some);
    a.label(none);
    a.load(DATA.arg(test.lengthArg));
    a.jump(OP.jumpEqual, 0, null, some);
    a.set(1);
    a.store(5);
    a.goto(known);
    a.label(some);
    a.load(DATA.arg(test.lengthArg));
    a.store(5);
    a.label(known);
  }
  // Start + length, with the carry of the low halves.
  const carry = a.fresh();
  const sum = a.fresh();
  a.loadMemory(5);
  a.toX();
  a.loadMemory(1);
  a.addX();
  a.store(3);
  a.jump(OP.jumpGreaterOrEqualX, 0, sum, carry);
  a.label(carry);
  a.loadMemory(4);
  a.add(1);
  a.store(4);
  a.label(sum);
  a.loadMemory(4);
  a.toX();
  a.loadMemory(0);
  a.addX();
  a.store(2);
}

/** Memory that wraps around the end of the address space is no memory: the kernel refuses it. */
function emitMemoryCheck(a: Assembler, files: readonly Range[], refused: number): void {
  const half = (value: bigint) => [Number(value >> 32n), Number(value & 0xFFFFFFFFn)] as const;
  a.label(MEMORY);
  for (const { start, end } of files) {
    const [startHigh, startLow] = half(start);
    const [endHigh, endLow] = half(end);
    const next = a.fresh();
    const below = a.fresh();
    const touches = a.fresh();
    // It starts at or behind the end: the next one.
    a.loadMemory(0);
    a.jump(OP.jumpGreater, endHigh, next, null);
    a.jump(OP.jumpEqual, endHigh, null, below);
    a.loadMemory(1);
    a.jump(OP.jumpGreaterOrEqual, endLow, next, null);
    a.label(below);
    // It ends at or before the start: the next one.
    a.loadMemory(2);
    a.jump(OP.jumpGreater, startHigh, touches, null);
    a.jump(OP.jumpEqual, startHigh, null, next);
    a.loadMemory(3);
    a.jump(OP.jumpGreater, startLow, touches, next);
    a.label(touches);
    a.ret(refused);
    a.label(next);
  }
  a.ret(RET.allow);
}

/** `if (nr == call) { body }`; the body must end in a `ret` on every path. */
function block(a: Assembler, arch: Arch, call: string, body: () => void): void {
  const number = syscallNumber(arch, call);
  if (number === undefined) return;
  const next = a.fresh();
  a.jump(OP.jumpEqual, number, null, next);
  body();
  a.label(next);
}

function emitTest(a: Assembler, test: ValueTest, otherwise: string, options: CompileOptions): void {
  if (test.wide) {
    a.load(DATA.arg(test.arg) + 4);
    a.jump(OP.jumpEqual, 0, null, otherwise);
  }
  a.load(DATA.arg(test.arg));
  if (test.mask !== undefined) a.and(Number(test.mask));
  const pass = a.fresh();
  test.equals.forEach((value, i) => {
    const last = i === test.equals.length - 1;
    a.jump(OP.jumpEqual, resolve(value, options), pass, last ? otherwise : null);
  });
  a.label(pass);
}

function resolve(value: Value | Variable, options: CompileOptions): number {
  const number = value === "self" || value === "execFd"
    ? options.variables?.[value]
    : Number(value);
  if (number === undefined || !Number.isInteger(number)) {
    throw new TypeError(`a filter compares with ${value}, wanted a number or a known variable`);
  }
  return number >>> 0;
}

function groupByCall(rules: readonly ConditionalRule[]): Map<string, ConditionalRule[]> {
  return Map.groupBy(rules, (rule) => rule.call);
}

function checkNames(policy: SeccompPolicy): void {
  const seen = new Set<string>();
  const sections = [
    Object.keys(policy.errors),
    [...new Set(policy.conditional.map((r) => r.call))],
    Object.keys(policy.calls),
  ];
  for (const name of sections.flat()) {
    if (!isSyscall(name)) throw new TypeError(`the policy names an unknown system call ${name}`);
    if (seen.has(name)) throw new TypeError(`the policy names the system call ${name} twice`);
    seen.add(name);
  }
}

export const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_GET_ACTION_AVAIL = 2;
const FLAG_TSYNC = 1;
const FLAG_TSYNC_ESRCH = 16;

/** A program as seccomp(2) takes it: `struct sock_fprog` and the code that it points to. */
export function filterProgram(program: readonly Instruction[]): { program: Memory; code: Memory } {
  const code = new Memory(`filter of ${program.length} instructions`, encode(program));
  const fprog = alloc(16); // len u16, 6 bytes of padding, pointer
  new DataView(fprog.buffer).setUint16(0, program.length, true);
  return { program: new Memory(code.shown, fprog, [{ at: 8, to: code }]), code };
}

/**
 * Installs `program` on every thread of this process. NO_NEW_PRIVS must be set.
 * @throws {SystemCallError} If the kernel refuses it, or a thread could not be brought under it (ESRCH).
 */
export function installFilter(linux: Linux, program: readonly Instruction[]): void {
  const { program: fprog, code } = filterProgram(program);
  new DataView(fprog.bytes.buffer).setBigUint64(8, addressOf(code.bytes), true);
  const flags = FLAG_TSYNC | FLAG_TSYNC_ESRCH;
  const result = linux.call("seccomp", SECCOMP_SET_MODE_FILTER, flags, fprog.bytes);
  if (result < 0) throw new SystemCallError("seccomp", -result);
  void code.bytes.length; // keeps the program alive across the call
}

/** Whether the kernel has seccomp filters with the two actions that the policies use. */
export function seccompAvailable(linux: Linux): boolean {
  return [RET.killProcess, RET.errno(0)].every((action) => {
    const value = alloc(4);
    new DataView(value.buffer).setUint32(0, action, true);
    return linux.call("seccomp", SECCOMP_GET_ACTION_AVAIL, 0, value) === 0;
  });
}
