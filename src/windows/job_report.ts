/** What a process on Windows can say of its own job; for the runner's report. Never run on Windows. */
import type { WindowsApi } from "./api.ts";
import { field, STRUCTS } from "./layout.ts";
import { plural } from "../plural.ts";

/** One layer by its name in the plan. */
interface OwnLayer {
  readonly layer: string;
  readonly enforced: boolean;
  readonly observed: string;
}

const JOB_EXTENDED_LIMITS = 9;
const FLAGS = { activeProcess: 0x8, jobMemory: 0x200, breakaway: 0x1800, killOnClose: 0x2000 };

/** The limits of the job that this process is in, which a null handle means. */
export function jobReport(
  api: Pick<WindowsApi, "QueryInformationJobObject" | "GetLastError">,
): OwnLayer[] {
  const struct = STRUCTS.JOBOBJECT_EXTENDED_LIMIT_INFORMATION;
  const limits = new Uint8Array(new ArrayBuffer(struct.size));
  const read = api.QueryInformationJobObject(0n, JOB_EXTENDED_LIMITS, limits, limits.length, 0n);
  if (read === 0) {
    const observed = `QueryInformationJobObject: error ${api.GetLastError()}`;
    return ["limits", "dies with the gateway"].map((layer) => ({
      layer,
      enforced: false,
      observed,
    }));
  }
  const flags = Number(field(struct, limits, "LimitFlags"));
  const processes = Number(field(struct, limits, "ActiveProcessLimit"));
  const memory = Number(field(struct, limits, "JobMemoryLimit"));
  const has = (flag: number) => (flags & flag) === flag;
  return [
    {
      layer: "limits",
      enforced: has(FLAGS.activeProcess) && processes === 1 && has(FLAGS.jobMemory) && memory > 0 &&
        (flags & FLAGS.breakaway) === 0,
      observed: `flags 0x${flags.toString(16)}, ${plural(processes, "process", "processes")}, ${
        plural(memory, "byte")
      }`,
    },
    {
      layer: "dies with the gateway",
      enforced: has(FLAGS.killOnClose),
      observed: `JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE ${+has(FLAGS.killOnClose)}`,
    },
  ];
}
