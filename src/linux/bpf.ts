/**
 * Classic BPF, as far as seccomp uses it (Linux filter.h, Documentation/userspace-api/seccomp_filter.rst): instructions
 * with symbolic jump targets, and their encoding. Pure; installing a program is `seccomp.ts`'s.
 */
import type { Bytes } from "../bytes.ts";

/** One `struct sock_filter`: code u16, jt u8, jf u8, k u32. */
export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

export const OP = {
  /** A = seccomp_data at byte k. */
  load: 0x20,
  /** A = M[k], the k-th word of the program's memory. */
  loadMemory: 0x60,
  /** M[k] = A. */
  store: 0x02,
  /** A = k. */
  set: 0x00,
  /** X = A. */
  toX: 0x07,
  /** A += X. */
  addX: 0x0c,
  /** A += k. */
  add: 0x04,
  /** A &= k. */
  and: 0x54,
  /** To the instruction k farther. */
  jump: 0x05,
  /** A >= X. */
  jumpGreaterOrEqualX: 0x3d,
  jumpEqual: 0x15,
  jumpGreater: 0x25,
  jumpGreaterOrEqual: 0x35,
  /** A & k is not 0. */
  jumpAny: 0x45,
  ret: 0x06,
} as const;

/** Byte offsets in `struct seccomp_data`. An argument is 8 bytes; on both architectures its low half comes first. */
export const DATA = { nr: 0, arch: 4, arg: (index: number): number => 16 + 8 * index } as const;

/** Return values (linux/seccomp.h). */
export const RET = {
  killProcess: 0x80000000,
  allow: 0x7FFF0000,
  log: 0x7FFC0000,
  errno: (errno: number): number => 0x00050000 | errno,
} as const;

interface Pending {
  code: number;
  /** The distance to this label, if it is one. */
  k: number | string;
  jt: string | null;
  jf: string | null;
}

/** Collects instructions; `null` as a target means "the next one". */
export class Assembler {
  readonly #code: Pending[] = [];
  readonly #labels = new Map<string, number>();
  #unique = 0;

  /** A label that no one else uses. */
  fresh(): string {
    return `.${this.#unique++}`;
  }

  label(name: string): void {
    this.#labels.set(name, this.#code.length);
  }

  load(offset: number): void {
    this.#plain(OP.load, offset);
  }

  #plain(code: number, k: number): void {
    this.#code.push({ code, k, jt: null, jf: null });
  }

  and(mask: number): void {
    this.#plain(OP.and, mask);
  }

  loadMemory(index: number): void {
    this.#plain(OP.loadMemory, index);
  }

  store(index: number): void {
    this.#plain(OP.store, index);
  }

  set(value: number): void {
    this.#plain(OP.set, value);
  }

  toX(): void {
    this.#plain(OP.toX, 0);
  }

  addX(): void {
    this.#plain(OP.addX, 0);
  }

  add(value: number): void {
    this.#plain(OP.add, value);
  }

  /** To `label`, however far. */
  goto(label: string): void {
    this.#code.push({ code: OP.jump, k: label, jt: null, jf: null });
  }

  jump(
    code: number,
    k: number,
    whenTrue: string | null,
    whenFalse: string | null,
  ): void {
    this.#code.push({ code, k, jt: whenTrue, jf: whenFalse });
  }

  ret(value: number): void {
    this.#code.push({ code: OP.ret, k: value, jt: null, jf: null });
  }

  /**
   * The program with its jumps resolved.
   * @throws {RangeError} If a jump goes back, or one with a condition farther than 255 instructions, or the program is longer than
   *   the 4096 that the kernel takes.
   */
  finish(): Instruction[] {
    if (this.#code.length > 4096) {
      throw new RangeError(`a filter of ${this.#code.length} instructions, the kernel takes 4096`);
    }
    return this.#code.map(({ code, k, jt, jf }, at) => ({
      code,
      jt: this.#near(jt, at),
      jf: this.#near(jf, at),
      k: typeof k === "string" ? this.#distance(k, at) : k >>> 0,
    }));
  }

  #near(label: string | null, at: number): number {
    if (label === null) return 0;
    const distance = this.#distance(label, at);
    if (distance > 255) {
      throw new RangeError(`a jump of ${distance} instructions to ${label}, wanted 0 to 255`);
    }
    return distance;
  }

  #distance(label: string, at: number): number {
    const target = this.#labels.get(label);
    if (target === undefined) throw new RangeError(`no label ${label}`);
    if (target <= at) throw new RangeError(`a jump back to ${label}`);
    return target - at - 1;
  }
}

/** The program as an array of `struct sock_filter`, 8 bytes each, little-endian. */
export function encode(program: readonly Instruction[]): Bytes {
  const out = new Uint8Array(new ArrayBuffer(program.length * 8));
  const view = new DataView(out.buffer);
  program.forEach(({ code, jt, jf, k }, i) => {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jt);
    view.setUint8(i * 8 + 3, jf);
    view.setUint32(i * 8 + 4, k, true);
  });
  return out;
}

/** Byte offsets, in the encoded program, of every `k` that is compared with `value`. */
export function placesOf(program: readonly Instruction[], value: number): number[] {
  return program.flatMap(({ code, k }, i) =>
    code === OP.jumpEqual && k === value ? [i * 8 + 4] : []
  );
}
