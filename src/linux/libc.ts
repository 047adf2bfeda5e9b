/**
 * System calls of Linux from JavaScript, by FFI to the C library's `syscall(2)`.
 *
 * Results follow the kernel, not the library: a negative number is `-errno`. Calls run on the thread that makes them and
 * block it, so this is for short calls; and Deno's own permissions do not see them, which is the reason to be here: under
 * any `--deny-*` flag Deno refuses /proc/self and /sys, and no flag of Deno's binds native code. Needs `--allow-ffi`.
 */
import { errnoName } from "./errno.ts";
import { type Arch, currentArch, syscallNumber } from "./syscalls.ts";

export type Argument = number | bigint | Uint8Array | null;

export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;
/** open(2) flags. O_DIRECTORY and O_NOFOLLOW differ between the two architectures, see `openFlags`. */
export const O = {
  readOnly: 0,
  writeOnly: 1,
  readWrite: 2,
  create: 0o100,
  exclusive: 0o200,
  truncate: 0o1000,
  nonBlock: 0o4000,
  path: 0o10000000,
  closeOnExec: 0o2000000,
} as const;

/** O_DIRECTORY and O_NOFOLLOW of an architecture (asm/fcntl.h). */
export function openFlags(arch: Arch): { directory: number; noFollow: number } {
  return arch === "aarch64"
    ? { directory: 0o40000, noFollow: 0o100000 }
    : { directory: 0o200000, noFollow: 0o400000 };
}

/** A call that the kernel refused. `message` is `mount /proc: EPERM`. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  readonly errno: number;
  constructor(what: string, errno: number) {
    super(`${what}: ${errnoName(errno)}`);
    this.errno = errno;
  }
}

/** A zeroed buffer whose memory does not move: small arrays of V8's may live on its heap, where the collector moves them. */
export function alloc(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(size));
}

const encoder = new TextEncoder();

/** `text` as a NUL-terminated string. @throws {TypeError} If it holds a NUL. */
export function cstr(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError("a path or argument must not hold a NUL");
  const bytes = encoder.encode(text);
  const out = alloc(bytes.length + 1);
  out.set(bytes);
  return out;
}

/** The address of `bytes`. The caller keeps it alive for as long as the kernel may use the address. */
export function addressOf(bytes: Uint8Array): bigint {
  void bytes.buffer; // moves an on-heap array off it
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes as Uint8Array<ArrayBuffer>));
}

/** A NULL-terminated `char *[]` and the strings that it points to; keep both. */
export function cstrArray(
  strings: readonly string[],
): { pointers: Uint8Array; keep: Uint8Array[] } {
  const keep = strings.map(cstr);
  const pointers = alloc((keep.length + 1) * 8);
  const view = new DataView(pointers.buffer);
  keep.forEach((bytes, i) => view.setBigUint64(i * 8, addressOf(bytes), true));
  return { pointers, keep };
}

const SYMBOLS = {
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
  /** On a thread of the runtime's, which has an errno of its own. */
  syscallAside: {
    name: "syscall",
    parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"],
    result: "i64",
    nonblocking: true,
  },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

/** The system-call interface of this process. */
export class Linux {
  readonly arch: Arch;
  readonly #symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

  constructor() {
    this.arch = currentArch();
    this.#symbols = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  }

  /**
   * Calls `name` and returns its result, or `-errno`.
   * @throws {TypeError} If the architecture has no such call.
   */
  call(name: string, ...args: Argument[]): number {
    const number = syscallNumber(this.arch, name);
    if (number === undefined) throw new TypeError(`${this.arch} has no system call ${name}`);
    return this.raw(number, ...args);
  }

  /** Calls by number: for numbers that no table should hold. */
  raw(number: number, ...args: Argument[]): number {
    const a = args.map(toI64);
    const result = this.#symbols.syscall(
      BigInt(number),
      a[0] ?? 0n,
      a[1] ?? 0n,
      a[2] ?? 0n,
      a[3] ?? 0n,
      a[4] ?? 0n,
      a[5] ?? 0n,
    );
    if (result !== -1n) return Number(result);
    // Read at once: the next call of the engine's may overwrite it.
    const at = this.#symbols.__errno_location();
    return -new Deno.UnsafePointerView(at!).getInt32();
  }

  /** As `call`, on another thread: -1 stands for any error. What its arguments point to must outlive it. */
  async callAside(name: string, ...args: (number | bigint)[]): Promise<number> {
    const number = BigInt(syscallNumber(this.arch, name)!);
    const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = args.map(toI64);
    return Number(await this.#symbols.syscallAside(number, a, b, c, d, e, f));
  }

  /** write(2) on another thread: for files whose writing takes the kernel long. Returns the bytes written, or -1 and no reason. */
  async writeAside(fd: number, bytes: Uint8Array): Promise<number> {
    const result = await this.callAside("write", fd, addressOf(bytes), bytes.length);
    return bytes.length > 0 ? result : 0; // names `bytes` after the call, which must not be collected during it
  }

  /** As `call`. @throws {SystemCallError} If the kernel refuses; `what` names the step. */
  must(what: string, name: string, ...args: Argument[]): number {
    const result = this.call(name, ...args);
    if (result < 0) throw new SystemCallError(what, -result);
    return result;
  }

  /**
   * The whole of a small file, /proc files included.
   * @throws {SystemCallError} If it cannot be opened or read.
   */
  readFile(path: string, limitBytes = 1 << 20): Uint8Array<ArrayBuffer> {
    const fd = this.must(
      `open ${path}`,
      "openat",
      AT_FDCWD,
      cstr(path),
      O.readOnly | O.closeOnExec,
      0,
    );
    try {
      const chunks: Uint8Array[] = [];
      let total = 0;
      while (total < limitBytes) {
        const chunk = alloc(Math.min(16384, limitBytes - total));
        const got = this.call("read", fd, chunk, chunk.length);
        if (got < 0) throw new SystemCallError(`read ${path}`, -got);
        if (got === 0) break;
        chunks.push(chunk.subarray(0, got));
        total += got;
      }
      const out = alloc(total);
      let at = 0;
      for (const chunk of chunks) {
        out.set(chunk, at);
        at += chunk.length;
      }
      return out;
    } finally {
      this.call("close", fd);
    }
  }

  /** `readFile` as text; bytes that are not UTF-8 become U+FFFD. */
  readText(path: string, limitBytes?: number): string {
    return new TextDecoder().decode(this.readFile(path, limitBytes));
  }

  /** Where a symbolic link points. @throws {SystemCallError} If it cannot be read. */
  readLink(path: string): string {
    const buffer = alloc(4096);
    const got = this.must(
      `readlink ${path}`,
      "readlinkat",
      AT_FDCWD,
      cstr(path),
      buffer,
      buffer.length,
    );
    return new TextDecoder().decode(buffer.subarray(0, got));
  }

  /** The names in a directory, without `.` and `..`. @throws {SystemCallError} If it cannot be read. */
  readDirectory(path: string): string[] {
    const fd = this.must(
      `open ${path}`,
      "openat",
      AT_FDCWD,
      cstr(path),
      O.readOnly | O.closeOnExec | openFlags(this.arch).directory,
      0,
    );
    try {
      const names: string[] = [];
      const buffer = alloc(32768);
      const view = new DataView(buffer.buffer);
      for (;;) {
        const got = this.call("getdents64", fd, buffer, buffer.length);
        if (got < 0) throw new SystemCallError(`list ${path}`, -got);
        if (got === 0) return names;
        // struct linux_dirent64: ino u64, off s64, reclen u16, type u8, name[]
        for (let at = 0; at < got; at += view.getUint16(at + 16, true)) {
          const end = buffer.indexOf(0, at + 19);
          const name = new TextDecoder().decode(buffer.subarray(at + 19, end));
          if (name !== "." && name !== "..") names.push(name);
        }
      }
    } finally {
      this.call("close", fd);
    }
  }

  /** prctl(2). */
  prctl(
    option: number,
    a: Argument = 0,
    b: Argument = 0,
    c: Argument = 0,
    d: Argument = 0,
  ): number {
    return this.call("prctl", option, a, b, c, d);
  }
}

function toI64(value: Argument): bigint {
  if (value === null) return 0n;
  if (typeof value === "bigint") return BigInt.asIntN(64, value);
  if (typeof value === "number") return BigInt(value);
  return addressOf(value);
}

let instance: Linux | undefined;

/**
 * The one {@link Linux} of this process, opened at its first use.
 * @throws If the C library cannot be opened, or the architecture is unknown.
 */
export function linux(): Linux {
  return instance ??= new Linux();
}
