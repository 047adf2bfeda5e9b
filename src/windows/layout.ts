/**
 * Layouts of the Win32 structs that the sandbox fills or reads: one table, for 64-bit Windows (winnt.h, winbase.h,
 * processthreadsapi.h, accctrl.h, tlhelp32.h, sysinfoapi.h). An offset is where the C declaration puts the field under LLP64;
 * `layout_test.ts` recomputes each from the declaration's types.
 */
type FieldType = "u16" | "u32" | "u64" | "pointer";
/** [offset in bytes, type] */
type Field = readonly [offset: number, type: FieldType];

export interface Struct {
  readonly size: number;
  readonly fields: { readonly [name: string]: Field };
}

export const STRUCTS = {
  /** cb must be the size of the whole. */
  STARTUPINFOEXW: {
    size: 112,
    fields: {
      cb: [0, "u32"],
      dwFlags: [60, "u32"],
      hStdInput: [80, "pointer"],
      hStdOutput: [88, "pointer"],
      hStdError: [96, "pointer"],
      lpAttributeList: [104, "pointer"],
    },
  },
  PROCESS_INFORMATION: {
    size: 24,
    fields: {
      hProcess: [0, "pointer"],
      hThread: [8, "pointer"],
      dwProcessId: [16, "u32"],
      dwThreadId: [20, "u32"],
    },
  },
  SECURITY_CAPABILITIES: {
    size: 24,
    fields: {
      AppContainerSid: [0, "pointer"],
      Capabilities: [8, "pointer"],
      CapabilityCount: [16, "u32"],
      Reserved: [20, "u32"],
    },
  },
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION: {
    size: 144,
    fields: {
      LimitFlags: [16, "u32"],
      ActiveProcessLimit: [40, "u32"],
      JobMemoryLimit: [120, "u64"],
    },
  },
  /** With its TRUSTEE_W at 16. */
  EXPLICIT_ACCESS_W: {
    size: 48,
    fields: {
      grfAccessPermissions: [0, "u32"],
      grfAccessMode: [4, "u32"],
      grfInheritance: [8, "u32"],
      TrusteeForm: [28, "u32"],
      TrusteeType: [32, "u32"],
      ptstrName: [40, "pointer"],
    },
  },
  PROCESSENTRY32W: {
    size: 568,
    fields: {
      dwSize: [0, "u32"],
      th32ProcessID: [8, "u32"],
      th32ParentProcessID: [32, "u32"],
    },
  },
  MEMORYSTATUSEX: {
    size: 64,
    fields: { dwLength: [0, "u32"], ullTotalPhys: [8, "u64"] },
  },
} as const satisfies { readonly [name: string]: Struct };

type Value = number | bigint;
type FieldsOf<S extends Struct> = { readonly [K in keyof S["fields"]]?: Value };

/** A zeroed struct with these fields. Its memory does not move, so its address may be handed out. */
export function pack<S extends Struct>(struct: S, values: FieldsOf<S>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(struct.size));
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(values) as [string, Value][]) {
    const [offset, type] = struct.fields[name]!;
    if (type === "u16") view.setUint16(offset, Number(value), true);
    else if (type === "u32") view.setUint32(offset, Number(value), true);
    else view.setBigUint64(offset, BigInt(value), true);
  }
  return bytes;
}

/** Reads one field. */
export function field<S extends Struct>(
  struct: S,
  bytes: Uint8Array,
  name: keyof S["fields"] & string,
): bigint {
  const [offset, type] = struct.fields[name]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type === "u16") return BigInt(view.getUint16(offset, true));
  return type === "u32" ? BigInt(view.getUint32(offset, true)) : view.getBigUint64(offset, true);
}
