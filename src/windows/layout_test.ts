/** Recomputes the Win32 layouts from the C declarations: a compiler's rules of alignment, written out once more. */
import assert from "node:assert/strict";
import { field, pack, type Struct, STRUCTS } from "./layout.ts";

/** Members in order: [name, bytes, count] under LLP64; a pointer, a HANDLE and SIZE_T have 8. */
type Declaration = readonly (readonly [name: string, bytes: number, count?: number])[];
const POINTER = 8;

const TRUSTEE_W: Declaration = [
  ["pMultipleTrustee", POINTER],
  ["MultipleTrusteeOperation", 4],
  ["TrusteeForm", 4],
  ["TrusteeType", 4],
  ["ptstrName", POINTER],
];

const DECLARATIONS: Record<keyof typeof STRUCTS, Declaration> = {
  STARTUPINFOEXW: [
    ["cb", 4],
    ["lpReserved", POINTER],
    ["lpDesktop", POINTER],
    ["lpTitle", POINTER],
    ...["dwX", "dwY", "dwXSize", "dwYSize", "dwXCountChars", "dwYCountChars", "dwFillAttribute"]
      .map((name) => [name, 4] as const),
    ["dwFlags", 4],
    ["wShowWindow", 2],
    ["cbReserved2", 2],
    ["lpReserved2", POINTER],
    ["hStdInput", POINTER],
    ["hStdOutput", POINTER],
    ["hStdError", POINTER],
    ["lpAttributeList", POINTER],
  ],
  PROCESS_INFORMATION: [
    ["hProcess", POINTER],
    ["hThread", POINTER],
    ["dwProcessId", 4],
    ["dwThreadId", 4],
  ],
  SECURITY_CAPABILITIES: [
    ["AppContainerSid", POINTER],
    ["Capabilities", POINTER],
    ["CapabilityCount", 4],
    ["Reserved", 4],
  ],
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION: [
    ["PerProcessUserTimeLimit", 8],
    ["PerJobUserTimeLimit", 8],
    ["LimitFlags", 4],
    ["MinimumWorkingSetSize", POINTER],
    ["MaximumWorkingSetSize", POINTER],
    ["ActiveProcessLimit", 4],
    ["Affinity", POINTER],
    ["PriorityClass", 4],
    ["SchedulingClass", 4],
    ["IoInfo", 8, 6],
    ["ProcessMemoryLimit", POINTER],
    ["JobMemoryLimit", POINTER],
    ["PeakProcessMemoryUsed", POINTER],
    ["PeakJobMemoryUsed", POINTER],
  ],
  EXPLICIT_ACCESS_W: [
    ["grfAccessPermissions", 4],
    ["grfAccessMode", 4],
    ["grfInheritance", 4],
    ["Trustee", POINTER, 0], // a struct begins where its widest member may
    ...TRUSTEE_W,
  ],
  PROCESSENTRY32W: [
    ["dwSize", 4],
    ["cntUsage", 4],
    ["th32ProcessID", 4],
    ["th32DefaultHeapID", POINTER],
    ["th32ModuleID", 4],
    ["cntThreads", 4],
    ["th32ParentProcessID", 4],
    ["pcPriClassBase", 4],
    ["dwFlags", 4],
    ["szExeFile", 2, 260],
  ],
  MEMORYSTATUSEX: [
    ["dwLength", 4],
    ["dwMemoryLoad", 4],
    ...["ullTotalPhys", "ullAvailPhys", "ullTotalPageFile", "ullAvailPageFile"]
      .map((name) => [name, 8] as const),
    ["ullTotalVirtual", 8],
    ["ullAvailVirtual", 8],
    ["ullAvailExtendedVirtual", 8],
  ],
};

function layOut(declaration: Declaration): { offsets: Map<string, number>; size: number } {
  const offsets = new Map<string, number>();
  let at = 0;
  const align = (to: number) => at = Math.ceil(at / to) * to;
  for (const [name, bytes, count = 1] of declaration) {
    align(bytes);
    offsets.set(name, at);
    at += bytes * count;
  }
  align(Math.max(...declaration.map(([, bytes]) => bytes)));
  return { offsets, size: at };
}

const BYTES = { u16: 2, u32: 4, u64: 8, pointer: 8 } as const;

Deno.test("Windows structs: sizes and offsets are those of the C declarations", () => {
  for (const [name, struct] of Object.entries(STRUCTS) as [keyof typeof STRUCTS, Struct][]) {
    const declaration = DECLARATIONS[name];
    const { offsets, size } = layOut(declaration);
    assert.equal(struct.size, size, name);
    for (const [member, [offset, type]] of Object.entries(struct.fields)) {
      assert.equal(offset, offsets.get(member), `${name}.${member}`);
      const [, bytes] = declaration.find(([n]) => n === member)!;
      assert.equal(BYTES[type], bytes, `${name}.${member}`);
    }
  }
});

Deno.test("Windows structs: what is packed is read back, and its neighbours stay zero", () => {
  const struct = STRUCTS.JOBOBJECT_EXTENDED_LIMIT_INFORMATION;
  const bytes = pack(struct, { ActiveProcessLimit: 1, JobMemoryLimit: 2 ** 40 });
  assert.equal(field(struct, bytes, "ActiveProcessLimit"), 1n);
  assert.equal(field(struct, bytes, "JobMemoryLimit"), 2n ** 40n);
  assert.equal(field(struct, bytes, "LimitFlags"), 0n);
  assert.equal(bytes.filter((byte) => byte !== 0).length, 2);
});
