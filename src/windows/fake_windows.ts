/**
 * A fake at the FFI boundary of kernel32, advapi32 and userenv: not Windows, but the same functions over the same structs and
 * real pointers. It records the calls in order, and can refuse any of them or answer as a Windows that did not do its work.
 */
import type { WindowsApi } from "./api.ts";
import { field, pack, STRUCTS } from "./layout.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Source = AllowSharedBufferSource | null;

export interface FakeOptions {
  /** Calls that fail, by name. */
  readonly refuse?: readonly string[];
  /** CreateAppContainerProfile says that it is there already. */
  readonly profileExists?: boolean;
  readonly inJob?: boolean;
  readonly inContainer?: boolean;
  readonly capabilities?: number;
  readonly elevated?: boolean;
  /** LimitFlags that the job has when it is read back; default: as set. */
  readonly jobFlags?: number;
  readonly childPolicy?: number;
  readonly exitCode?: number;
  /** Processes of the snapshot: [pid, parent]. */
  readonly processes?: readonly (readonly [number, number])[];
}

const EXTENDED = STRUCTS.JOBOBJECT_EXTENDED_LIMIT_INFORMATION;
export const FAKE = { job: 100n, process: 200n, thread: 201n, token: 300n, sid: 400n } as const;

export class FakeWindows {
  /** Names of the calls, with what tells them apart. */
  readonly calls: string[] = [];
  /** What CreateProcessW was given. */
  created:
    | { program: string; line: string; flags: number; env: string; folder: string }
    | undefined;
  /** key → bytes of the value, as UpdateProcThreadAttribute read them. */
  readonly attributes = new Map<bigint, Bytes>();
  running = false;
  killed = false;
  /** path → access mask given to the container. */
  readonly granted = new Map<string, number>();
  profiles = 0;
  #limits: Bytes = pack(EXTENDED, {});
  #path = "";
  #next = 0;
  readonly #o: FakeOptions;

  constructor(options: FakeOptions = {}) {
    this.#o = options;
  }

  /** 0 if the call is to fail, else `result`. */
  #did(name: string, detail = ""): number {
    this.calls.push(detail === "" ? name : `${name} ${detail}`);
    return this.#o.refuse?.includes(name) ? 0 : 1;
  }

  readonly api: WindowsApi = {
    CreateJobObjectW: () => this.#did("CreateJobObjectW") ? FAKE.job : 0n,
    SetInformationJobObject: (_job, _class, limits) => {
      this.#limits = copy(limits);
      return this.#did("SetInformationJobObject");
    },
    QueryInformationJobObject: (_job, _class, out) => {
      const limits = this.#limits.slice();
      if (this.#o.jobFlags !== undefined) {
        new DataView(limits.buffer).setUint32(
          EXTENDED.fields.LimitFlags[0],
          this.#o.jobFlags,
          true,
        );
      }
      view(out).set(limits);
      return this.#did("QueryInformationJobObject");
    },
    IsProcessInJob: (_process, job, out) => {
      put32(out, +(this.#o.inJob ?? true));
      return this.#did("IsProcessInJob", job === 0n ? "any" : "the job");
    },
    InitializeProcThreadAttributeList: (list, _count, _flags, size) => {
      new DataView(view(size).buffer).setBigUint64(0, 64n, true);
      if (view(list).length === 0) return 0; // tells the size
      return this.#did("InitializeProcThreadAttributeList");
    },
    UpdateProcThreadAttribute: (_list, _flags, key, value, size) => {
      if (view(value).length !== Number(size)) throw new Error("a size that is not the value's");
      this.attributes.set(BigInt(key), copy(value));
      return this.#did("UpdateProcThreadAttribute", `0x${key.toString(16)}`);
    },
    GetStdHandle: (number) => {
      this.#did("GetStdHandle", String(number));
      return BigInt(-number);
    },
    SetHandleInformation: (handle, mask, flags) =>
      this.#did("SetHandleInformation", `${handle} ${mask} ${flags}`),
    CreateProcessW: (program, line, _p, _t, inherit, flags, env, folder, startup, info) => {
      const size = field(STRUCTS.STARTUPINFOEXW, view(startup), "cb");
      if (size !== 112n || inherit !== 1) throw new Error("not a STARTUPINFOEXW");
      this.created = {
        program: text(program),
        line: text(line),
        flags,
        env: new TextDecoder("utf-16le").decode(view(env)),
        folder: text(folder),
      };
      view(info).set(pack(STRUCTS.PROCESS_INFORMATION, {
        hProcess: FAKE.process,
        hThread: FAKE.thread,
        dwProcessId: 4711,
      }));
      return this.#did("CreateProcessW");
    },
    ResumeThread: () => {
      if (!this.#did("ResumeThread")) return 0xFFFFFFFF;
      this.running = true;
      return 1;
    },
    TerminateProcess: () => {
      this.killed = true;
      return this.#did("TerminateProcess");
    },
    WaitForSingleObject: () => Promise.resolve(this.#did("WaitForSingleObject") - 1),
    GetExitCodeProcess: (_process, out) => {
      put32(out, this.#o.exitCode ?? 0);
      return this.#did("GetExitCodeProcess");
    },
    OpenProcess: () => this.#did("OpenProcess") ? FAKE.process : 0n,
    GetCurrentProcess: () => 0xFFFFFFFFFFFFFFFFn,
    GetProcessMitigationPolicy: (_process, _policy, out) => {
      put32(out, this.#o.childPolicy ?? 1);
      return this.#did("GetProcessMitigationPolicy");
    },
    CreateToolhelp32Snapshot: () => {
      this.#next = 0;
      return 500n;
    },
    Process32FirstW: (_snapshot, entry) => this.#process(entry),
    Process32NextW: (_snapshot, entry) => this.#process(entry),
    GlobalMemoryStatusEx: (status) => {
      const total = STRUCTS.MEMORYSTATUSEX.fields.ullTotalPhys[0];
      const bytes = view(status);
      new DataView(bytes.buffer).setBigUint64(total, BigInt(16 * 2 ** 30), true);
      return this.#did("GlobalMemoryStatusEx");
    },
    GetSystemWindowsDirectoryW: (buffer) => {
      const folder = "C:\\Windows";
      for (let i = 0; i < folder.length; i++) view(buffer)[i * 2] = folder.charCodeAt(i);
      return folder.length;
    },
    CloseHandle: (handle) => this.#did("CloseHandle", String(handle)),
    LocalFree: () => 0n,
    GetLastError: () => 5,
    OpenProcessToken: (_process, _access, out) => {
      put64(out, FAKE.token);
      return this.#did("OpenProcessToken");
    },
    GetTokenInformation: (_token, what, out) => {
      const { inContainer, capabilities, elevated } = this.#o;
      const values: { readonly [what: number]: number } = {
        20: +(elevated ?? false),
        29: +(inContainer ?? true),
        30: capabilities ?? 0,
      };
      put32(out, values[what]!);
      return this.#did("GetTokenInformation", String(what));
    },
    FreeSid: () => 0n,
    GetNamedSecurityInfoW: (name, _type, _info, _owner, _group, dacl, _sacl, descriptor) => {
      this.#path = text(name);
      put64(dacl, 600n);
      put64(descriptor, 601n);
      return 1 - this.#did("GetNamedSecurityInfoW");
    },
    SetEntriesInAclW: (_count, entry, _old, out) => {
      const struct = STRUCTS.EXPLICIT_ACCESS_W;
      const read = (name: keyof typeof struct["fields"]) => field(struct, view(entry), name);
      if (read("ptstrName") !== FAKE.sid) throw new Error("an entry for another SID");
      if (read("grfAccessMode") === 1n) {
        this.granted.set(this.#path, Number(read("grfAccessPermissions")));
      } else this.granted.delete(this.#path);
      put64(out, 602n);
      return 1 - this.#did("SetEntriesInAclW");
    },
    SetNamedSecurityInfoW: (name) => 1 - this.#did("SetNamedSecurityInfoW", text(name)),
    CreateAppContainerProfile: (name, _display, _description, _capabilities, count, out) => {
      if (count !== 0) throw new Error("a container with capabilities");
      if (!this.#did("CreateAppContainerProfile", text(name))) return 0x80070005 | 0;
      if (this.#o.profileExists) return 0x800700B7 | 0;
      this.profiles++;
      put64(out, FAKE.sid);
      return 0;
    },
    DeriveAppContainerSidFromAppContainerName: (_name, out) => {
      put64(out, FAKE.sid);
      return this.#did("DeriveAppContainerSidFromAppContainerName") - 1;
    },
    DeleteAppContainerProfile: () => {
      this.profiles--;
      return this.#did("DeleteAppContainerProfile") - 1;
    },
  };

  #process(entry: Source): number {
    const next = this.#o.processes?.[this.#next++];
    if (!next) return 0;
    const struct = STRUCTS.PROCESSENTRY32W;
    const bytes = view(entry);
    const [pid, parent] = next;
    bytes.set(pack(struct, {
      dwSize: struct.size,
      th32ProcessID: pid,
      th32ParentProcessID: parent,
    }));
    return 1;
  }
}

function view(source: Source): Bytes {
  return source as Bytes;
}

function copy(source: Source): Bytes {
  return view(source).slice();
}

function put32(out: Source, value: number): void {
  new DataView(view(out).buffer).setUint32(0, value, true);
}

function put64(out: Source, value: bigint): void {
  new DataView(view(out).buffer).setBigUint64(0, value, true);
}

function text(source: Source): string {
  return new TextDecoder("utf-16le").decode(view(source)).replace(/\0$/, "");
}
