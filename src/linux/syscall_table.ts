/**
 * A program that is a table of system calls: steps as data, and the executable that makes them. Pure;
 * numbers and addresses are settled here, and the machine code that walks the table is `syscall_interpreter.ts`.
 *
 * The executable is a static ELF file (elf(5)) of two segments: code, which is the same for every table, and data.
 */
import { errnoName, errnoNumber } from "./errno.ts";
import { alloc, cstr } from "./libc.ts";
import { type Arch, syscallNumber } from "./syscalls.ts";
import {
  CODE_ADDRESS,
  interpreter,
  NAME_BYTES,
  NAME_COUNT,
  NAMES_ADDRESS,
  RECORD_BYTES,
  TABLE_ADDRESS,
} from "./syscall_interpreter.ts";

/** Bytes in the program's memory, which calls are given the address of. One object is one place. */
export class Memory {
  readonly bytes: Uint8Array;
  /** Offsets that get the address of another argument. */
  readonly pointers: readonly { readonly at: number; readonly to: Operand }[];
  /** How a printed table shows it. */
  readonly shown: string;

  constructor(shown: string, bytes: Uint8Array, pointers: Memory["pointers"] = []) {
    this.shown = shown;
    this.bytes = bytes;
    this.pointers = pointers;
  }

  /** A NULL-terminated array of strings. */
  static strings(strings: readonly string[]): Memory {
    const pointers = strings.map((to, i) => ({ at: 8 * i, to }));
    return new Memory(JSON.stringify(strings), alloc(8 * (strings.length + 1)), pointers);
  }

  /** 64-bit words. */
  static words(...words: readonly (number | bigint)[]): Memory {
    const bytes = alloc(8 * words.length);
    const view = new DataView(bytes.buffer);
    words.forEach((word, i) => view.setBigInt64(8 * i, BigInt.asIntN(64, BigInt(word)), true));
    return new Memory(`{${words.map(show).join(", ")}}`, bytes);
  }
}

/** An argument: a number, or the address of a string, of memory, or null. */
type Operand = number | bigint | string | Memory | null;

interface CallStep {
  /** What the error line says: "clone /usr/bin/deno". */
  readonly what: string;
  readonly call: string;
  readonly args: readonly Operand[];
  /** The result that must come; default 0. "any": whatever is not an error. */
  readonly wanted?: number | "any";
  /** Name of an error that is as good. */
  readonly tolerate?: string;
  /** Where the low 32 bits of the result go; any that is not an error is then wanted. */
  readonly store?: { readonly into: Memory; readonly at: number };
}

/** Stops if memory holds this text. */
interface DifferStep {
  readonly what: string;
  readonly memory: Memory;
  readonly mustNotBe: string;
}

/** Goes on with another step if all of the memory is zero: in the child, where a clone(2) was stored there. */
interface BranchStep {
  readonly what: string;
  readonly memory: Memory;
  /** One of the same table. */
  readonly ifZero: Step;
}

export type Step = CallStep | DifferStep | BranchStep;

/** An argument as a step is printed with it. */
export function show(operand: Operand): string {
  if (operand === null) return "null";
  if (typeof operand === "string") return JSON.stringify(operand);
  if (operand instanceof Memory) return operand.shown;
  return operand < 1024 ? String(operand) : `0x${operand.toString(16)}`;
}

/** Lays memory out from an address on and remembers where each piece is. */
class Data {
  readonly #start: number;
  readonly #parts: Uint8Array[] = [];
  readonly #places = new Map<Memory | string, number>();
  #size = 0;

  constructor(start: number) {
    this.#start = start;
  }

  add(bytes: Uint8Array): number {
    const address = this.#start + this.#size;
    const padded = alloc(Math.ceil(bytes.length / 8) * 8);
    padded.set(bytes);
    this.#parts.push(padded);
    this.#size += padded.length;
    return address;
  }

  /** The value of an argument. */
  word(operand: Operand): bigint {
    if (operand === null) return 0n;
    if (typeof operand === "number" || typeof operand === "bigint") return BigInt(operand);
    let address = this.#places.get(operand);
    if (address === undefined) {
      address = this.add(typeof operand === "string" ? cstr(operand) : this.#filled(operand));
      this.#places.set(operand, address);
    }
    return BigInt(address);
  }

  #filled(memory: Memory): Uint8Array {
    const bytes = alloc(memory.bytes.length);
    bytes.set(memory.bytes);
    const view = new DataView(bytes.buffer);
    for (const { at, to } of memory.pointers) view.setBigUint64(at, this.word(to), true);
    return bytes;
  }

  bytes(): Uint8Array {
    const out = alloc(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

/** Calls that do not return, unless with an error. */
const FINAL = new Set(["execve", "execveat", "exit_group"]);

/** The names that follow an error's text, each with its length in the last byte; the first is for what is no error. */
function errorNames(): Uint8Array {
  const out = alloc(NAME_COUNT * NAME_BYTES);
  for (let errno = 0; errno < NAME_COUNT; errno++) {
    const name = new TextEncoder().encode(`${errno === 0 ? "refused" : errnoName(errno)}\n`);
    out.set(name, errno * NAME_BYTES);
    out[(errno + 1) * NAME_BYTES - 1] = name.length;
  }
  return out;
}

/**
 * The executable. Its error line is `launcher: WHAT: EACCES`.
 * @throws {TypeError} If a step names a call that the architecture lacks, or the last is neither exec nor exit.
 */
export function executable(steps: readonly Step[], arch: Arch): Uint8Array<ArrayBuffer> {
  const last = steps.at(-1);
  if (last === undefined || !("call" in last) || !FINAL.has(last.call)) {
    throw new TypeError(
      "a table must end in exec or exit: nothing stops the interpreter behind its end",
    );
  }
  const table = new DataView(new ArrayBuffer(steps.length * RECORD_BYTES));
  const data = new Data(NAMES_ADDRESS + NAME_COUNT * NAME_BYTES + table.byteLength);
  const unused = data.word(new Memory("unused", alloc(8)));
  steps.forEach((step, i) => {
    const words = "ifZero" in step
      ? branch(step, steps, data, unused)
      : record(step, arch, data, unused);
    words.forEach((word, j) => table.setBigInt64(i * RECORD_BYTES + 8 * j, word, true));
  });
  return elf(arch, [errorNames(), new Uint8Array(table.buffer), data.bytes()]);
}

function messageOf(what: string, data: Data): bigint[] {
  const text = `launcher: ${what}: `;
  return [data.word(text), BigInt(new TextEncoder().encode(text).length)];
}

/** @throws {TypeError} If the step to go on with is not in the table. */
function branch(step: BranchStep, all: readonly Step[], data: Data, unused: bigint): bigint[] {
  const at = all.indexOf(step.ifZero);
  if (at < 0) throw new TypeError(`${step.what}: the table lacks the step to go on with`);
  const { memory } = step;
  const zeros = new Memory("zeros", alloc(memory.bytes.length));
  const operands = [data.word(memory), data.word(zeros), BigInt(memory.bytes.length)];
  const target = BigInt(TABLE_ADDRESS + at * RECORD_BYTES);
  return [-1n, ...operands, 0n, 0n, 0n, unused, target, 0n, ...messageOf(step.what, data)];
}

function record(
  step: Exclude<Step, BranchStep>,
  arch: Arch,
  data: Data,
  unused: bigint,
): bigint[] {
  const message = messageOf(step.what, data);
  if (!("call" in step)) {
    const length = new TextEncoder().encode(step.mustNotBe).length + 1; // with the NUL that ends it
    const operands = [data.word(step.memory), data.word(step.mustNotBe), BigInt(length)];
    return [-1n, ...operands, 0n, 0n, 0n, unused, 0n, 0n, ...message];
  }
  const number = syscallNumber(arch, step.call);
  if (number === undefined) throw new TypeError(`${arch} has no system call ${step.call}`);
  const args = Array.from({ length: 6 }, (_, i) => data.word(step.args[i] ?? 0));
  const store = step.store ? data.word(step.store.into) + BigInt(step.store.at) : unused;
  const wanted = step.store || step.wanted === "any" ? -1 : step.wanted ?? 0;
  const tolerated = step.tolerate === undefined ? 0 : errnoNumber(step.tolerate);
  return [BigInt(number), ...args, store, BigInt(wanted), BigInt(tolerated), ...message];
}

const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
/** Of the largest page that Linux uses on either architecture: file offset and address agree below it. */
const ALIGNMENT = 0x10000;
const PT = { load: 1, gnuStack: 0x6474e551 } as const;
const PF = { execute: 1, write: 2, read: 4 } as const;

function elf(arch: Arch, data: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const { code } = interpreter(arch);
  const codeOffset = CODE_ADDRESS % ALIGNMENT;
  const dataOffset = NAMES_ADDRESS % ALIGNMENT;
  const dataBytes = data.reduce((sum, part) => sum + part.length, 0);
  const out = alloc(dataOffset + dataBytes);
  const view = new DataView(out.buffer);
  // 64-bit, little-endian, version 1, System V; type EXEC
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]);
  view.setUint16(16, 2, true);
  view.setUint16(18, arch === "x86_64" ? 62 : 183, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(CODE_ADDRESS), true); // entry
  view.setBigUint64(32, BigInt(ELF_HEADER_BYTES), true); // program headers
  view.setUint16(52, ELF_HEADER_BYTES, true);
  view.setUint16(54, PROGRAM_HEADER_BYTES, true);
  view.setUint16(56, 3, true);
  view.setUint16(58, 64, true); // size of a section header, of which there are none
  const segments: [type: number, flags: number, offset: number, size: number, at: number][] = [
    [PT.load, PF.read | PF.execute, 0, codeOffset + code.length, CODE_ADDRESS - codeOffset],
    [PT.load, PF.read | PF.write, dataOffset, dataBytes, NAMES_ADDRESS],
    [PT.gnuStack, PF.read | PF.write, 0, 0, 0],
  ];
  segments.forEach(([type, flags, offset, size, address], i) => {
    const header = ELF_HEADER_BYTES + i * PROGRAM_HEADER_BYTES;
    view.setUint32(header, type, true);
    view.setUint32(header + 4, flags, true);
    [offset, address, address, size, size, type === PT.load ? ALIGNMENT : 16].forEach((word, j) =>
      view.setBigUint64(header + 8 + 8 * j, BigInt(word), true)
    );
  });
  out.set(code, codeOffset);
  let at = dataOffset;
  for (const part of data) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
