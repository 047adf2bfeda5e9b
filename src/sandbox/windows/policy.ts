/**
 * The Windows policy of `sandbox-profiles/`, typed, and the Win32 constants that it names (winnt.h, processthreadsapi.h).
 * None of this has been run on Windows.
 */
import policy from "../../../sandbox-profiles/windows.json" with { type: "json" };

/** LimitFlags of JOBOBJECT_BASIC_LIMIT_INFORMATION. The two BREAKAWAY flags (0x800, 0x1000) are left out on purpose. */
export const JOB_LIMITS = {
  JOB_OBJECT_LIMIT_ACTIVE_PROCESS: 0x8,
  JOB_OBJECT_LIMIT_JOB_MEMORY: 0x200,
  JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION: 0x400,
  JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE: 0x2000,
} as const;

/** dwCreationFlags of CreateProcessW: suspended until it is in its job. */
export const CREATION_FLAGS = {
  CREATE_SUSPENDED: 0x4,
  CREATE_UNICODE_ENVIRONMENT: 0x400,
  EXTENDED_STARTUPINFO_PRESENT: 0x80000,
  CREATE_NO_WINDOW: 0x8000000,
} as const;

/** Keys for UpdateProcThreadAttribute. */
export const ATTRIBUTES = {
  PROC_THREAD_ATTRIBUTE_HANDLE_LIST: 0x20002,
  PROC_THREAD_ATTRIBUTE_SECURITY_CAPABILITIES: 0x20009,
  PROC_THREAD_ATTRIBUTE_JOB_LIST: 0x2000d,
  PROC_THREAD_ATTRIBUTE_CHILD_PROCESS_POLICY: 0x2000e,
} as const;

interface WindowsPolicy {
  readonly name: string;
  readonly description: string;
  readonly appContainer: {
    readonly namePrefix: string;
    readonly displayName: string;
    readonly description: string;
    readonly capabilities: readonly string[];
  };
  readonly job: { readonly limits: readonly string[]; readonly activeProcesses: number };
  readonly firewall: { readonly directions: readonly string[] };
}

export const WINDOWS_POLICY: WindowsPolicy = policy;
