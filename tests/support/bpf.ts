/** An interpreter for classic BPF as seccomp runs it: what a filter answers to a call, without a kernel of that architecture. */
import { type Instruction, OP } from "../../src/linux/bpf.ts";
import { type Arch, AUDIT_ARCH, syscallNumber } from "../../src/linux/syscalls.ts";
import { errnoName } from "../../src/linux/errno.ts";

export interface Call {
  readonly nr: number;
  readonly arch: number;
  readonly args?: readonly (number | bigint)[];
}

/** The filter's return value. @throws {RangeError} On an unknown instruction or a run past the end. */
export function evaluate(program: readonly Instruction[], call: Call): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, call.nr, true);
  data.setUint32(4, call.arch, true);
  call.args?.forEach((value, i) =>
    data.setBigUint64(16 + 8 * i, BigInt.asUintN(64, BigInt(value)), true)
  );
  let a = 0;
  let x = 0;
  const memory = new Map<number, number>();
  for (let at = 0; at < program.length; at++) {
    const { code, jt, jf, k } = program[at]!;
    const jump = (condition: boolean) => at += condition ? jt : jf;
    if (code === OP.load) a = data.getUint32(k, true);
    else if (code === OP.loadMemory) {
      if (!memory.has(k)) throw new RangeError(`word ${k} is read before it is written, at ${at}`);
      a = memory.get(k)!;
    } else if (code === OP.store) memory.set(k, a);
    else if (code === OP.set) a = k;
    else if (code === OP.toX) x = a;
    else if (code === OP.addX) a = (a + x) >>> 0;
    else if (code === OP.add) a = (a + k) >>> 0;
    else if (code === OP.jump) at += k;
    else if (code === OP.jumpGreaterOrEqualX) jump(a >= x);
    else if (code === OP.and) a = (a & k) >>> 0;
    else if (code === OP.jumpEqual) jump(a === k);
    else if (code === OP.jumpGreater) jump(a > k);
    else if (code === OP.jumpGreaterOrEqual) jump(a >= k);
    else if (code === OP.jumpAny) jump((a & k) !== 0);
    else if (code === OP.ret) return k;
    else throw new RangeError(`unknown instruction ${code} at ${at}`);
  }
  throw new RangeError("the program ran past its end");
}

/**
 * The first instruction that reads a word of the program's memory which some way to it may not have written, or null. As the kernel
 * checks it (check_load_and_stores in net/core/filter.c), for which even a `ret` goes on to the next line.
 */
export function badLoad(program: readonly Instruction[]): number | null {
  const masks = program.map(() => 0xFFFF);
  let valid = 0;
  const reach = (target: number) => masks[target]! &= valid;
  for (const [at, { code, jt, jf, k }] of program.entries()) {
    valid &= masks[at]!;
    if (code === OP.store) valid |= 1 << k;
    else if (code === OP.loadMemory) {
      if (!(valid & 1 << k)) return at;
    } else if (code === OP.jump) {
      reach(at + 1 + k);
      valid = 0xFFFF;
    } else if ((code & 7) === 5) {
      reach(at + 1 + jt);
      reach(at + 1 + jf);
      valid = 0xFFFF;
    }
  }
  return null;
}

/** "allow", "kill", "log" or the error's name. */
export function answer(
  program: readonly Instruction[],
  arch: Arch,
  name: string | number,
  ...args: (number | bigint)[]
): string {
  const nr = typeof name === "number" ? name : syscallNumber(arch, name);
  if (nr === undefined) throw new RangeError(`${arch} has no ${name}`);
  return describe(evaluate(program, { nr, arch: AUDIT_ARCH[arch], args }));
}

export function describe(value: number): string {
  if (value === 0x7FFF0000) return "allow";
  if (value === 0x80000000) return "kill";
  if (value === 0x7FFC0000) return "log";
  if ((value & 0xFFFF0000) >>> 0 === 0x00050000) return errnoName(value & 0xFFFF);
  return `0x${value.toString(16)}`;
}

const NAME: { readonly [code: number]: string } = {
  [OP.load]: "ld",
  [OP.loadMemory]: "ldm",
  [OP.store]: "st",
  [OP.set]: "ldi",
  [OP.toX]: "tax",
  [OP.addX]: "addx",
  [OP.add]: "add",
  [OP.jump]: "ja",
  [OP.jumpGreaterOrEqualX]: "jgex",
  [OP.and]: "and",
  [OP.jumpEqual]: "jeq",
  [OP.jumpGreater]: "jgt",
  [OP.jumpGreaterOrEqual]: "jge",
  [OP.jumpAny]: "jset",
  [OP.ret]: "ret",
};

/** One line an instruction: `12 jeq 0x9 → 40 | 13`. */
export function disassemble(program: readonly Instruction[]): string {
  return program.map(({ code, jt, jf, k }, at) => {
    const name = NAME[code] ?? `op ${code}`;
    const value = `0x${k.toString(16)}`;
    if (code === OP.jump) return `${String(at).padStart(3)} ja → ${at + 1 + k}`;
    const jump = name.startsWith("j") ? ` → ${at + 1 + jt} | ${at + 1 + jf}` : "";
    return `${String(at).padStart(3)} ${name} ${value}${jump}`;
  }).join("\n");
}
