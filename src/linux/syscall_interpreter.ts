/**
 * The interpreter: some 200 bytes of machine code that make the system calls of a table, one after the other, and stop at the first
 * that does not answer as the table says. It has no loop, no memory and no condition beyond that; all that is decided is decided in
 * the table, which TypeScript computes. `tests/sandbox/syscall_interpreter_test.ts` disassembles these bytes and compares them with
 * the text beside them, and runs them.
 *
 * A record of the table, 96 bytes, 64-bit little-endian words:
 *
 *      0  number of the call; negative: compare
 *      8  six arguments; to compare: two addresses and a length in bytes, which must not be 0
 *     56  address that gets the low 32 bits of the result
 *     64  the result that is wanted; negative: any that is not an error. Of a comparison: the record to go on with; 0: none
 *     72  an error number that is as good; 0: none
 *     80  address and length of the text for the error line
 *
 * A comparison goes on if the bytes differ. If they are equal it goes on elsewhere, as it says, or stops. To stop: the text and the
 * error's name are written to standard error, and the process ends with 126. The last record's call is one that does not return.
 */
import type { Arch } from "./syscalls.ts";

export const RECORD_BYTES = 96;
/** Cells of the error names, behind which the table begins; the last byte of a cell is the length of its text. */
export const NAME_BYTES = 32;
export const NAME_COUNT = 128;

/** Where the code and its data are loaded. Data: names, table, and all that the table points to. */
export const CODE_ADDRESS = 0x400100;
export const NAMES_ADDRESS = 0x801000;
export const TABLE_ADDRESS = NAMES_ADDRESS + NAME_COUNT * NAME_BYTES;

/** One instruction: as a disassembler prints it, its bytes, and the label that it jumps to. */
interface Line {
  readonly label?: string;
  readonly text: string;
  readonly bytes: readonly number[];
  readonly jump?: { readonly to: string; readonly kind: "rel8" | "imm19" | "imm14" | "imm26" };
}

interface Assembled {
  readonly code: Uint8Array<ArrayBuffer>;
  /** One line an instruction: address, bytes, text. */
  readonly listing: readonly string[];
}

/** The interpreter for an architecture. */
export function interpreter(arch: Arch): Assembled {
  return assemble(arch === "x86_64" ? X86_64 : AARCH64);
}

function assemble(lines: readonly Line[]): Assembled {
  const labels = new Map<string, number>();
  let at = CODE_ADDRESS;
  for (const line of lines) {
    if (line.label !== undefined) labels.set(line.label, at);
    at += line.bytes.length;
  }
  const code: number[] = [];
  const listing = lines.map(({ text, bytes, jump }) => {
    const address = CODE_ADDRESS + code.length;
    const target = jump === undefined ? 0 : labels.get(jump.to)!;
    const encoded = jump === undefined ? bytes : withTarget(bytes, jump.kind, target - address);
    code.push(...encoded);
    const hex = encoded.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const operand = jump === undefined ? text : text.replace(jump.to, `0x${target.toString(16)}`);
    return `${address.toString(16)}  ${hex.padEnd(22)} ${operand}`;
  });
  return { code: Uint8Array.from(code), listing };
}

/** The bytes of a jump over `distance` bytes, counted from its first. @throws {RangeError} If that is too far. */
function withTarget(bytes: readonly number[], kind: string, distance: number): number[] {
  if (kind === "rel8") {
    const relative = distance - bytes.length; // counted from the next instruction
    if (relative < -128 || relative > 127) throw new RangeError(`a jump of ${relative} bytes`);
    return [...bytes.slice(0, -1), relative & 0xff];
  }
  const [bits, shift] = kind === "imm26" ? [26, 0] : kind === "imm19" ? [19, 5] : [14, 5];
  const field = ((distance / 4) & (2 ** bits - 1)) << shift;
  return bytes.map((byte, i) => byte | ((field >>> (8 * i)) & 0xff));
}

function little(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
}

const SYS_X86 = { write: 1, exitGroup: 231 } as const;
const SYS_ARM = { write: 64, exitGroup: 94 } as const;
/** Exit code of a launcher that refused to go on. */
export const REFUSED = 126;

const x = (text: string, ...bytes: number[]): Line => ({ text, bytes });
const xj = (text: string, to: string, opcode: number): Line => ({
  text: `${text} ${to}`,
  bytes: [opcode, 0],
  jump: { to, kind: "rel8" },
});
const at = (label: string, line: Line): Line => ({ ...line, label });
const hex = (value: number) => `0x${value.toString(16)}`;

/** rbx is the record. */
const X86_64: readonly Line[] = [
  x(`mov ebx, ${hex(TABLE_ADDRESS)}`, 0xbb, ...little(TABLE_ADDRESS)),
  at("next", x("mov rax, qword ptr [rbx]", 0x48, 0x8b, 0x03)),
  x("mov rdi, qword ptr [rbx + 8]", 0x48, 0x8b, 0x7b, 0x08),
  x("mov rsi, qword ptr [rbx + 0x10]", 0x48, 0x8b, 0x73, 0x10),
  x("mov rdx, qword ptr [rbx + 0x18]", 0x48, 0x8b, 0x53, 0x18),
  x("test rax, rax", 0x48, 0x85, 0xc0),
  xj("js", "compare", 0x78),
  x("mov r10, qword ptr [rbx + 0x20]", 0x4c, 0x8b, 0x53, 0x20),
  x("mov r8, qword ptr [rbx + 0x28]", 0x4c, 0x8b, 0x43, 0x28),
  x("mov r9, qword ptr [rbx + 0x30]", 0x4c, 0x8b, 0x4b, 0x30),
  x("syscall", 0x0f, 0x05),
  x("cmp rax, -0xfff", 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff),
  xj("jae", "error", 0x73), // -4095 to -1: an error number
  x("mov rcx, qword ptr [rbx + 0x38]", 0x48, 0x8b, 0x4b, 0x38),
  x("mov dword ptr [rcx], eax", 0x89, 0x01),
  x("mov rcx, qword ptr [rbx + 0x40]", 0x48, 0x8b, 0x4b, 0x40),
  x("test rcx, rcx", 0x48, 0x85, 0xc9),
  xj("js", "done", 0x78),
  x("cmp rax, rcx", 0x48, 0x39, 0xc8),
  xj("jne", "wrong", 0x75),
  at("done", x("add rbx, 0x60", 0x48, 0x83, 0xc3, RECORD_BYTES)),
  xj("jmp", "next", 0xeb),
  at("compare", x("mov rcx, rdx", 0x48, 0x89, 0xd1)),
  x("repe cmpsb byte ptr [rsi], byte ptr [rdi]", 0xf3, 0xa6),
  xj("jne", "done", 0x75),
  x("mov rcx, qword ptr [rbx + 0x40]", 0x48, 0x8b, 0x4b, 0x40),
  x("test rcx, rcx", 0x48, 0x85, 0xc9),
  xj("je", "wrong", 0x74),
  x("mov rbx, rcx", 0x48, 0x89, 0xcb),
  xj("jmp", "next", 0xeb),
  at("wrong", x("xor eax, eax", 0x31, 0xc0)),
  xj("jmp", "report", 0xeb),
  at("error", x("neg rax", 0x48, 0xf7, 0xd8)),
  x("cmp rax, qword ptr [rbx + 0x48]", 0x48, 0x3b, 0x43, 0x48),
  xj("je", "done", 0x74),
  x("cmp rax, 0x7f", 0x48, 0x83, 0xf8, NAME_COUNT - 1),
  xj("ja", "wrong", 0x77),
  at("report", x("mov r12d, eax", 0x41, 0x89, 0xc4)),
  x("mov eax, 1", 0xb8, ...little(SYS_X86.write)),
  x("mov edi, 2", 0xbf, ...little(2)),
  x("mov rsi, qword ptr [rbx + 0x50]", 0x48, 0x8b, 0x73, 0x50),
  x("mov rdx, qword ptr [rbx + 0x58]", 0x48, 0x8b, 0x53, 0x58),
  x("syscall", 0x0f, 0x05),
  x("shl r12d, 5", 0x41, 0xc1, 0xe4, 5),
  x(`lea rsi, [r12 + ${hex(NAMES_ADDRESS)}]`, 0x49, 0x8d, 0xb4, 0x24, ...little(NAMES_ADDRESS)),
  x("movzx edx, byte ptr [rsi + 0x1f]", 0x0f, 0xb6, 0x56, NAME_BYTES - 1),
  x("mov eax, 1", 0xb8, ...little(SYS_X86.write)),
  x("mov edi, 2", 0xbf, ...little(2)),
  x("syscall", 0x0f, 0x05),
  x("mov edi, 0x7e", 0xbf, ...little(REFUSED)),
  x("mov eax, 0xe7", 0xb8, ...little(SYS_X86.exitGroup)),
  x("syscall", 0x0f, 0x05),
];

const a = (text: string, word: number): Line => ({ text, bytes: little(word) });
const aj = (
  text: string,
  to: string,
  kind: "imm19" | "imm14" | "imm26",
  word: number,
): Line => ({ text: `${text}${to}`, bytes: little(word), jump: { to, kind } });

/** movz, movk: the low or high 16 bits of a register. */
function load(register: number, value: number): Line[] {
  const [low, high] = [value & 0xffff, value >>> 16];
  return [
    a(`movz x${register}, #${hex(low)}`, 0xd2800000 | (low << 5) | register),
    a(`movk x${register}, #${hex(high)}, lsl #16`, 0xf2a00000 | (high << 5) | register),
  ];
}

/** x19 is the record, x20 the error. */
const AARCH64: readonly Line[] = [
  ...load(19, TABLE_ADDRESS),
  at("next", a("ldr x8, [x19]", 0xf9400268)),
  a("ldp x0, x1, [x19, #8]", 0xa9408660),
  a("ldp x2, x3, [x19, #0x18]", 0xa9418e62),
  a("ldp x4, x5, [x19, #0x28]", 0xa9429664),
  aj("tbnz x8, #0x3f, #", "compare", "imm14", 0xb7f80008),
  a("svc #0", 0xd4000001),
  a("cmn x0, #0xfff", 0xb13ffc1f),
  aj("b.hs #", "error", "imm19", 0x54000002), // -4095 to -1: an error number
  a("ldr x9, [x19, #0x38]", 0xf9401e69),
  a("str w0, [x9]", 0xb9000120),
  a("ldr x9, [x19, #0x40]", 0xf9402269),
  aj("tbnz x9, #0x3f, #", "done", "imm14", 0xb7f80009),
  a("cmp x0, x9", 0xeb09001f),
  aj("b.ne #", "wrong", "imm19", 0x54000001),
  at("done", a("add x19, x19, #0x60", 0x91018273)),
  aj("b #", "next", "imm26", 0x14000000),
  at("compare", a("ldrb w9, [x0], #1", 0x38401409)),
  a("ldrb w10, [x1], #1", 0x3840142a),
  a("cmp w9, w10", 0x6b0a013f),
  aj("b.ne #", "done", "imm19", 0x54000001),
  a("subs x2, x2, #1", 0xf1000442),
  aj("b.ne #", "compare", "imm19", 0x54000001),
  a("ldr x9, [x19, #0x40]", 0xf9402269),
  aj("cbz x9, #", "wrong", "imm19", 0xb4000009),
  a("mov x19, x9", 0xaa0903f3),
  aj("b #", "next", "imm26", 0x14000000),
  at("wrong", a("movz x20, #0", 0xd2800014)),
  aj("b #", "report", "imm26", 0x14000000),
  at("error", a("neg x20, x0", 0xcb0003f4)),
  a("ldr x9, [x19, #0x48]", 0xf9402669),
  a("cmp x20, x9", 0xeb09029f),
  aj("b.eq #", "done", "imm19", 0x54000000),
  a("cmp x20, #0x7f", 0xf101fe9f),
  aj("b.hi #", "wrong", "imm19", 0x54000008),
  at("report", a("movz x0, #0x2", 0xd2800040)),
  a("ldp x1, x2, [x19, #0x50]", 0xa9450a61),
  a("movz x8, #0x40", 0xd2800008 | (SYS_ARM.write << 5)),
  a("svc #0", 0xd4000001),
  ...load(1, NAMES_ADDRESS),
  a("add x1, x1, x20, lsl #5", 0x8b141421),
  a("ldrb w2, [x1, #0x1f]", 0x39407c22),
  a("movz x0, #0x2", 0xd2800040),
  a("svc #0", 0xd4000001),
  a("movz x0, #0x7e", 0xd2800000 | (REFUSED << 5)),
  a("movz x8, #0x5e", 0xd2800008 | (SYS_ARM.exitGroup << 5)),
  a("svc #0", 0xd4000001),
];
