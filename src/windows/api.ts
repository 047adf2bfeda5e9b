/**
 * The Win32 functions of the sandbox, by FFI from System32 by full path. Handles and pointers that come from Windows are
 * bigints. Tests put a fake in the place of what `openWindowsApi` gives. Never run on Windows; see SECURITY.md.
 */
type Bytes = Uint8Array<ArrayBuffer>;

const b = "buffer" as const;
const h = "u64" as const; // HANDLE, PSID, PACL, LPVOID
const d = "u32" as const; // DWORD
const i = "i32" as const; // BOOL, HRESULT

const KERNEL32 = {
  CreateJobObjectW: { parameters: [h, h], result: h },
  SetInformationJobObject: { parameters: [h, i, b, d], result: i },
  QueryInformationJobObject: { parameters: [h, i, b, d, h], result: i },
  IsProcessInJob: { parameters: [h, h, b], result: i },
  InitializeProcThreadAttributeList: { parameters: [b, d, d, b], result: i },
  UpdateProcThreadAttribute: { parameters: [b, d, h, b, h, h, h], result: i },
  GetStdHandle: { parameters: [i], result: h },
  SetHandleInformation: { parameters: [h, d, d], result: i },
  CreateProcessW: { parameters: [b, b, h, h, i, d, b, b, b, b], result: i },
  ResumeThread: { parameters: [h], result: d },
  TerminateProcess: { parameters: [h, d], result: i },
  WaitForSingleObject: { parameters: [h, d], result: d, nonblocking: true },
  GetExitCodeProcess: { parameters: [h, b], result: i },
  OpenProcess: { parameters: [d, i, d], result: h },
  GetCurrentProcess: { parameters: [], result: h },
  GetProcessMitigationPolicy: { parameters: [h, i, b, h], result: i },
  CreateToolhelp32Snapshot: { parameters: [d, d], result: h },
  Process32FirstW: { parameters: [h, b], result: i },
  Process32NextW: { parameters: [h, b], result: i },
  GlobalMemoryStatusEx: { parameters: [b], result: i },
  GetSystemWindowsDirectoryW: { parameters: [b, d], result: d },
  CloseHandle: { parameters: [h], result: i },
  LocalFree: { parameters: [h], result: h },
  GetLastError: { parameters: [], result: d },
} as const satisfies Deno.ForeignLibraryInterface;

const ADVAPI32 = {
  OpenProcessToken: { parameters: [h, d, b], result: i },
  GetTokenInformation: { parameters: [h, i, b, d, b], result: i },
  FreeSid: { parameters: [h], result: h },
  GetNamedSecurityInfoW: { parameters: [b, i, d, h, h, b, h, b], result: d },
  SetEntriesInAclW: { parameters: [d, b, h, b], result: d },
  SetNamedSecurityInfoW: { parameters: [b, i, d, h, h, h, h], result: d },
} as const satisfies Deno.ForeignLibraryInterface;

const USERENV = {
  CreateAppContainerProfile: { parameters: [b, b, b, h, d, b], result: i },
  DeriveAppContainerSidFromAppContainerName: { parameters: [b, b], result: i },
  DeleteAppContainerProfile: { parameters: [b], result: i },
} as const satisfies Deno.ForeignLibraryInterface;

type Functions<T extends Deno.ForeignLibraryInterface> = Deno.StaticForeignLibraryInterface<T>;

export type WindowsApi =
  & Functions<typeof KERNEL32>
  & Functions<typeof ADVAPI32>
  & Functions<typeof USERENV>;

const SYSTEM32 = "C:\\Windows\\System32\\";

/** @throws If a library or a function is not there. */
export function openWindowsApi(): WindowsApi {
  return {
    ...Deno.dlopen(SYSTEM32 + "kernel32.dll", KERNEL32).symbols,
    ...Deno.dlopen(SYSTEM32 + "advapi32.dll", ADVAPI32).symbols,
    ...openUserenv(),
  };
}

const E_NOTIMPL = 0x80004001 | 0;

/** Where there are no AppContainers (Wine 10, which lacks one of the functions), each call says so. */
function openUserenv(): Functions<typeof USERENV> {
  try {
    return Deno.dlopen(SYSTEM32 + "userenv.dll", USERENV).symbols;
  } catch {
    return {
      CreateAppContainerProfile: () => E_NOTIMPL,
      DeriveAppContainerSidFromAppContainerName: () => E_NOTIMPL,
      DeleteAppContainerProfile: () => E_NOTIMPL,
    };
  }
}

/** A Win32 call that failed. `code` is its last-error, HRESULT or result; 0 if nothing says why. */
export class WindowsError extends Error {
  override readonly name = "WindowsError";
  readonly code: number;
  /** Without a code: `call` is the whole message. */
  constructor(call: string, code?: number) {
    super(
      code === undefined
        ? call
        : code === 0
        ? `${call} failed and gave no reason`
        : `${call}: error ${hex(code)}`,
    );
    this.code = code ?? 0;
  }
}

function hex(code: number): string {
  return code < 0 || code > 0xFFFF ? `0x${(code >>> 0).toString(16)}` : String(code);
}

/** For calls that return a BOOL or a handle. @throws {WindowsError} If `result` is zero. */
export function must<T extends number | bigint>(api: WindowsApi, call: string, result: T): T {
  if (Number(result) === 0) throw new WindowsError(call, api.GetLastError());
  return result;
}

/** The 32-bit value that `read` puts into its buffer. @throws {WindowsError} If it returns zero. */
export function readU32(api: WindowsApi, call: string, read: (out: Bytes) => number): number {
  const out = new Uint8Array(new ArrayBuffer(4));
  must(api, call, read(out));
  return new DataView(out.buffer).getUint32(0, true);
}

/** The 64-bit value (a handle, a pointer) that `read` puts into its buffer. */
export function readU64(read: (out: Bytes) => void): bigint {
  const out = new Uint8Array(new ArrayBuffer(8));
  read(out);
  return new DataView(out.buffer).getBigUint64(0, true);
}
