/**
 * The Windows launcher: becomes the guardian of one runner. It makes the job and the container, starts the runner suspended
 * inside both, checks that it is there, and only then lets it run; anything that is refused kills it. The job ends with the
 * launcher's handle: who kills the launcher kills the runner. The pipes are the launcher's own, which it never reads.
 *
 * Never run on Windows: see SECURITY.md.
 */
import { addressOf } from "../../linux/libc.ts";
import { must, readU32, readU64, type WindowsApi, WindowsError } from "../../windows/api.ts";
import { field, pack, STRUCTS } from "../../windows/layout.ts";
import { commandLine, environmentBlock, wide } from "../../windows/text.ts";
import { makeContainer, noCapabilities } from "./app_container.ts";
import type { WindowsLaunchSpec } from "./plan.ts";
import { wipe } from "../../secret.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const JOB_EXTENDED_LIMITS = 9;
const STD_HANDLES = [-10, -11, -12] as const;
const HANDLE_FLAG_INHERIT = 1;
const INVALID_HANDLE = 0xFFFFFFFFFFFFFFFFn;
const STARTF_USESTDHANDLES = 0x100;
const CHILD_PROCESS_RESTRICTED = 1;
const TOKEN_QUERY = 8;
const INFINITE = 0xFFFFFFFF;
const TOKEN = { elevation: 20, isAppContainer: 29, capabilities: 30 } as const;

/**
 * Starts the runner and waits for its end. @returns The runner's exit code.
 * @throws {WindowsError} If a step is refused. The runner is dead by then, or was never started.
 */
export async function launch(spec: WindowsLaunchSpec, api: WindowsApi): Promise<number> {
  if (spec.os !== "windows" || spec.version !== 1) throw new TypeError("a plan of another system");
  const job = makeJob(api, spec.job);
  const sid = spec.appContainer === null ? null : makeContainer(api, spec.appContainer);
  const { process, thread } = start(spec, api, { job, sid });
  try {
    check(spec, api, { job, process });
    const suspended = api.ResumeThread(thread);
    if (suspended !== 1) throw new WindowsError("ResumeThread", api.GetLastError());
  } catch (error) {
    api.TerminateProcess(process, 1);
    api.CloseHandle(job); // its limit kills whatever is in it
    throw error;
  }
  api.CloseHandle(thread);
  await api.WaitForSingleObject(process, INFINITE);
  return readU32(api, "GetExitCodeProcess", (out) => api.GetExitCodeProcess(process, out));
}

function makeJob(api: WindowsApi, wanted: WindowsLaunchSpec["job"]): bigint {
  const job = must(api, "CreateJobObjectW", api.CreateJobObjectW(0n, 0n)) as bigint;
  const struct = STRUCTS.JOBOBJECT_EXTENDED_LIMIT_INFORMATION;
  const limits = pack(struct, {
    LimitFlags: wanted.limitFlags,
    ActiveProcessLimit: wanted.activeProcesses,
    JobMemoryLimit: wanted.memoryBytes ?? 0,
  });
  const set = api.SetInformationJobObject(job, JOB_EXTENDED_LIMITS, limits, limits.length);
  must(api, "SetInformationJobObject", set);
  const seen = new Uint8Array(new ArrayBuffer(struct.size));
  const read = api.QueryInformationJobObject(job, JOB_EXTENDED_LIMITS, seen, seen.length, 0n);
  must(api, "QueryInformationJobObject", read);
  for (const name of ["LimitFlags", "ActiveProcessLimit", "JobMemoryLimit"] as const) {
    if (field(struct, seen, name) !== field(struct, limits, name)) {
      throw new WindowsError(`the job's ${name} did not take`);
    }
  }
  return job;
}

interface Started {
  readonly process: bigint;
  readonly thread: bigint;
}

function start(
  spec: WindowsLaunchSpec,
  api: WindowsApi,
  o: { job: bigint; sid: bigint | null },
): Started {
  const handles = STD_HANDLES.map((number) => standardHandle(api, number));
  const security = o.sid === null ? null : noCapabilities(o.sid);
  const values: { readonly [name: string]: Bytes | null } = {
    PROC_THREAD_ATTRIBUTE_HANDLE_LIST: pointers(handles),
    PROC_THREAD_ATTRIBUTE_JOB_LIST: pointers([o.job]),
    PROC_THREAD_ATTRIBUTE_CHILD_PROCESS_POLICY: u32(CHILD_PROCESS_RESTRICTED),
    PROC_THREAD_ATTRIBUTE_SECURITY_CAPABILITIES: security,
  };
  const attributes = attributeList(spec, api, values);
  const [stdin, stdout, stderr] = handles;
  const startup = pack(STRUCTS.STARTUPINFOEXW, {
    cb: STRUCTS.STARTUPINFOEXW.size,
    dwFlags: STARTF_USESTDHANDLES,
    hStdInput: stdin!,
    hStdOutput: stdout!,
    hStdError: stderr!,
    lpAttributeList: addressOf(attributes),
  });
  const info = pack(STRUCTS.PROCESS_INFORMATION, {});
  const created = api.CreateProcessW(
    wide(spec.exec.path),
    wide(commandLine(spec.exec.argv)),
    0n,
    0n,
    1, // inherits the handles of the list, and no others
    spec.process.creationFlags,
    environmentBlock(spec.exec.env),
    wide(spec.exec.env["SystemRoot"] ?? "C:\\Windows"), // the gateway's folder is not the runner's to hold
    startup,
    info,
  );
  must(api, "CreateProcessW", created);
  // Used after the call, so that what the list points to cannot be collected before it.
  wipe(...Object.values(values).filter((value) => value !== null));
  const at = (name: "hProcess" | "hThread") => field(STRUCTS.PROCESS_INFORMATION, info, name);
  return { process: at("hProcess"), thread: at("hThread") };
}

function standardHandle(api: WindowsApi, number: number): bigint {
  const handle = api.GetStdHandle(number);
  if (handle === 0n || handle === INVALID_HANDLE) throw new WindowsError("GetStdHandle", 0);
  const set = api.SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
  must(api, "SetHandleInformation", set);
  return handle;
}

function attributeList(
  spec: WindowsLaunchSpec,
  api: WindowsApi,
  values: { readonly [name: string]: Bytes | null },
): Bytes {
  const wanted = Object.entries(spec.process.attributes);
  const size = pointers([0n]);
  const none = new Uint8Array(new ArrayBuffer(0));
  api.InitializeProcThreadAttributeList(none, wanted.length, 0, size); // fails, and tells the size
  const list = new Uint8Array(
    new ArrayBuffer(Number(new DataView(size.buffer).getBigUint64(0, true))),
  );
  const made = api.InitializeProcThreadAttributeList(list, wanted.length, 0, size);
  must(api, "InitializeProcThreadAttributeList", made);
  for (const [name, key] of wanted) {
    const value = values[name];
    if (!value) throw new TypeError(`the plan asks for ${name}, which has no value`);
    const set = api.UpdateProcThreadAttribute(
      list,
      0,
      BigInt(key),
      value,
      BigInt(value.length),
      0n,
      0n,
    );
    must(api, `UpdateProcThreadAttribute ${name}`, set);
  }
  return list;
}

/** That the suspended process is where it was put. @throws {WindowsError} If not. */
function check(
  spec: WindowsLaunchSpec,
  api: WindowsApi,
  o: { job: bigint; process: bigint },
): void {
  const inJob = readU32(api, "IsProcessInJob", (out) => api.IsProcessInJob(o.process, o.job, out));
  if (inJob === 0) throw new WindowsError("the runner is not in its job");
  if (spec.appContainer === null) return;
  const seen = containerOf(api, o.process);
  if (!seen.container) throw new WindowsError("the runner is not in an AppContainer");
  if (seen.capabilities !== 0) throw new WindowsError("the runner's container has capabilities");
}

/** What the token of a process says. @throws {WindowsError} If it cannot be read. */
export function containerOf(
  api: WindowsApi,
  process: bigint,
): { container: boolean; capabilities: number } {
  const token = readU64((out) => {
    must(api, "OpenProcessToken", api.OpenProcessToken(process, TOKEN_QUERY, out));
  });
  try {
    const container = tokenU32(api, token, { what: TOKEN.isAppContainer, sizeBytes: 4 }) !== 0;
    // TOKEN_GROUPS begins with the count; the list behind it may be long.
    const capabilities = tokenU32(api, token, { what: TOKEN.capabilities, sizeBytes: 4096 });
    return { container, capabilities };
  } finally {
    api.CloseHandle(token);
  }
}

/** Whether this process has an administrator's rights in force. @throws {WindowsError} If it cannot be read. */
export function isElevated(api: WindowsApi): boolean {
  const token = readU64((out) => {
    must(
      api,
      "OpenProcessToken",
      api.OpenProcessToken(api.GetCurrentProcess(), TOKEN_QUERY, out),
    );
  });
  try {
    return tokenU32(api, token, { what: TOKEN.elevation, sizeBytes: 4 }) !== 0;
  } finally {
    api.CloseHandle(token);
  }
}

/** The first 32 bits of a token's information. */
function tokenU32(
  api: WindowsApi,
  token: bigint,
  o: { what: number; sizeBytes: number },
): number {
  const out = new Uint8Array(new ArrayBuffer(o.sizeBytes));
  const got = api.GetTokenInformation(token, o.what, out, out.length, u32(0));
  must(api, "GetTokenInformation", got);
  return new DataView(out.buffer).getUint32(0, true);
}

function pointers(values: readonly bigint[]): Bytes {
  const bytes = new Uint8Array(new ArrayBuffer(values.length * 8));
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setBigUint64(i * 8, value, true));
  return bytes;
}

function u32(value: number): Bytes {
  const bytes = new Uint8Array(new ArrayBuffer(4));
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
