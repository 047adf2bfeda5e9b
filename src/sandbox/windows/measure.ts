/**
 * The gateway's own reading of a runner on Windows: its token, its job, its policy, by its process id. What no call shows from
 * outside rests on the launcher, which ends if it is refused, and on the runner's own report. Never run on Windows.
 */
import { must, readU32, type WindowsApi, WindowsError } from "../../windows/api.ts";
import { field, pack, STRUCTS } from "../../windows/layout.ts";
import type { LayerReport } from "../types.ts";
import { containerOf } from "./launch.ts";
import type { WindowsLayerName, WindowsPlan } from "./plan.ts";
import { plural } from "../../plural.ts";

const SNAPSHOT_PROCESSES = 2;
const INVALID_HANDLE = 0xFFFFFFFFFFFFFFFFn;
const QUERY_INFORMATION = 0x400;
const CHILD_PROCESS_POLICY = 13;

/** The only child of the launcher, which has no other; undefined: there is none, or more than one. */
export function findChild(api: WindowsApi, parent: number): number | undefined {
  const snapshot = api.CreateToolhelp32Snapshot(SNAPSHOT_PROCESSES, 0);
  if (snapshot === INVALID_HANDLE) return undefined;
  const struct = STRUCTS.PROCESSENTRY32W;
  const entry = pack(struct, { dwSize: struct.size });
  const children: number[] = [];
  let more = api.Process32FirstW(snapshot, entry);
  while (more !== 0) {
    if (Number(field(struct, entry, "th32ParentProcessID")) === parent) {
      children.push(Number(field(struct, entry, "th32ProcessID")));
    }
    more = api.Process32NextW(snapshot, entry);
  }
  api.CloseHandle(snapshot);
  return children.length === 1 ? children[0] : undefined;
}

/** Every layer that can be read from outside. `rules`: whether the firewall rules were read back as in effect. */
export function measureWindows(
  api: WindowsApi,
  pid: number,
  o: { plan: WindowsPlan; rules: boolean },
): LayerReport<WindowsLayerName>[] {
  const planned = new Map(o.plan.layers.map((layer) => [layer.layer, layer.planned]));
  const process = api.OpenProcess(QUERY_INFORMATION, 0, pid);
  const report = (
    layer: WindowsLayerName,
    read: () => { holds: boolean; observed: string },
  ): LayerReport<WindowsLayerName> => {
    try {
      if (process === 0n) throw new WindowsError("OpenProcess", api.GetLastError());
      const { holds, observed } = read();
      const state = !planned.get(layer) ? "not planned" : holds ? "enforced" : "missing";
      return { layer, state, observed };
    } catch (error) {
      if (!(error instanceof WindowsError)) throw error;
      const state = planned.get(layer) ? "unreadable" : "not planned";
      return { layer, state, observed: error.message };
    }
  };
  try {
    return [
      report("appcontainer", () => {
        const { container, capabilities } = containerOf(api, process);
        return {
          holds: container && capabilities === 0,
          observed: `TokenIsAppContainer ${+container}, ${
            plural(capabilities, "capability", "capabilities")
          }`,
        };
      }),
      report("job", () => {
        const inside = readU32(api, "IsProcessInJob", (b) => api.IsProcessInJob(process, 0n, b));
        return { holds: inside !== 0, observed: inside !== 0 ? "in a job" : "in no job" };
      }),
      report("no child process", () => {
        const flags = readU32(
          api,
          "GetProcessMitigationPolicy",
          (out) => api.GetProcessMitigationPolicy(process, CHILD_PROCESS_POLICY, out, 4n),
        );
        return { holds: (flags & 1) === 1, observed: `ProcessChildProcessPolicy ${flags}` };
      }),
      report("firewall", () => ({
        holds: o.rules,
        observed: o.rules ? "read back as in effect before the runner" : "not read back",
      })),
    ];
  } finally {
    if (process !== 0n) api.CloseHandle(process);
  }
}

/** Bytes of physical memory; 0 if Windows does not say. */
export function physicalMemory(api: WindowsApi): number {
  const struct = STRUCTS.MEMORYSTATUSEX;
  const status = pack(struct, { dwLength: struct.size });
  if (api.GlobalMemoryStatusEx(status) === 0) return 0;
  return Number(field(struct, status, "ullTotalPhys"));
}

/** "C:\\Windows", from Windows and not from a variable. @throws {WindowsError} If it does not say. */
export function windowsFolder(api: WindowsApi): string {
  const units = 260;
  const buffer = new Uint8Array(new ArrayBuffer(units * 2));
  const length = must(
    api,
    "GetSystemWindowsDirectoryW",
    api.GetSystemWindowsDirectoryW(buffer, units),
  );
  if (length >= units) throw new WindowsError("GetSystemWindowsDirectoryW", 0);
  return new TextDecoder("utf-16le").decode(buffer.subarray(0, length * 2));
}
