/**
 * macOS's C library by FFI: sockets and files for what the runner tries against its own sandbox, `sandbox_check` for what the
 * gateway reads of it. Tests put a fake in the place of what `openMacosLibc` gives. Never run on macOS; see SECURITY.md.
 */
const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  // Without O_CREAT, so that its variable argument is not read; creat(2) has none.
  open: { parameters: ["buffer", "i32"], result: "i32" },
  creat: { parameters: ["buffer", "u16"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  posix_spawn: {
    parameters: ["buffer", "buffer", "pointer", "pointer", "buffer", "buffer"],
    result: "i32",
  },
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  confstr: { parameters: ["i32", "buffer", "usize"], result: "usize" },
  __error: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/**
 * `int sandbox_check(pid_t, const char *operation, int type, ...)`. On Apple silicon a variable argument is passed on the stack
 * and never in a register: five fillers take the registers that are left, so that the last parameter falls where va_arg reads.
 */
const CHECK_ON_ARM = {
  sandbox_check: {
    parameters: ["i32", "buffer", "i32", "u64", "u64", "u64", "u64", "u64", "buffer"],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;
const CHECK_ON_INTEL = {
  sandbox_check: { parameters: ["i32", "buffer", "i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const LIBRARY = "/usr/lib/libSystem.B.dylib";

type Symbols = Deno.StaticForeignLibraryInterface<typeof SYMBOLS>;

export interface Macos extends Omit<Symbols, "__error"> {
  /** errno of the call before. */
  errno(): number;
  /**
   * Whether the kernel denies an operation to a process: 1 yes, 0 no, -1 it does not know the process. `operation` null: whether
   * it is sandboxed at all.
   */
  sandboxCheck(pid: number, operation: string | null, filter?: SandboxFilter): number;
}

export interface SandboxFilter {
  readonly type: "path" | "global-name";
  readonly value: string;
}

/** SANDBOX_FILTER_* of sandbox.h, with SANDBOX_CHECK_NO_REPORT: a check is not to be logged as a violation. */
const FILTERS = { path: 1, "global-name": 2 } as const;
const NO_REPORT = 0x40000000;

/** @throws If the library or a function is not there. */
export function openMacosLibc(arch: "aarch64" | "x86_64" = Deno.build.arch): Macos {
  const { __error, ...symbols } = Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  const check = openCheck(arch);
  return {
    ...symbols,
    errno: () => new Deno.UnsafePointerView(__error()!).getInt32(),
    sandboxCheck(pid, operation, filter) {
      const type = NO_REPORT | (filter ? FILTERS[filter.type] : 0);
      const name = operation === null ? null : cstr(operation);
      return check(pid, name, type, filter ? cstr(filter.value) : null);
    },
  };
}

type Bytes = Uint8Array<ArrayBuffer>;
type Check = (pid: number, operation: Bytes | null, type: number, value: Bytes | null) => number;

function openCheck(arch: "aarch64" | "x86_64"): Check {
  if (arch === "x86_64") return Deno.dlopen(LIBRARY, CHECK_ON_INTEL).symbols.sandbox_check;
  const { sandbox_check } = Deno.dlopen(LIBRARY, CHECK_ON_ARM).symbols;
  return (pid, operation, type, value) =>
    sandbox_check(pid, operation, type, 0n, 0n, 0n, 0n, 0n, value);
}

/** `text` with its terminating zero. @throws {TypeError} If it holds one. */
export function cstr(text: string): Bytes {
  if (text.includes("\0")) throw new TypeError("a path must not hold a NUL");
  const encoded = new TextEncoder().encode(text);
  const bytes = new Uint8Array(new ArrayBuffer(encoded.length + 1));
  bytes.set(encoded);
  return bytes;
}

const CS_DARWIN_USER_CACHE_DIR = 65538;

/** The user's cache folder; undefined if confstr(3) gives none. */
export function cacheFolder(system: Pick<Macos, "confstr">): string | undefined {
  const buffer = new Uint8Array(new ArrayBuffer(1024));
  const size = Number(system.confstr(CS_DARWIN_USER_CACHE_DIR, buffer, BigInt(buffer.length)));
  if (size < 2 || size > buffer.length) return undefined;
  return new TextDecoder().decode(buffer.subarray(0, size - 1));
}
