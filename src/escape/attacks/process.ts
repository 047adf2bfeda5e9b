/** Attacks on another process of the operator's, and on what this one was started with. */
import { addressOf, alloc, cstr, type Linux, O } from "../../linux/libc.ts";
import {
  type Attack,
  type Battlefield,
  byResult,
  type Outcome,
  readDescriptor,
  readProof,
} from "./attack.ts";

const PTRACE = { seize: 0x4206, detach: 17, interrupt: 0x4207 } as const;

/** The first page of the victim's [stack] that holds its environment, from its own maps. */
function stackTop(linux: Linux, pid: number): bigint | null {
  try {
    const line = linux.readText(`/proc/${pid}/maps`).split("\n").find((l) => l.endsWith("[stack]"));
    return line ? BigInt("0x" + line.split(/[- ]/)[1]!) : null;
  } catch {
    return null;
  }
}

function iovec(address: bigint, length: number): Uint8Array {
  const out = alloc(16);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, address, true);
  view.setBigUint64(8, BigInt(length), true);
  return out;
}

function readMemory(linux: Linux, field: Battlefield): Outcome {
  const buffer = alloc(8192);
  // Where the maps cannot be read an address is guessed: what is tested is the call.
  const top = stackTop(linux, field.victimPid) ?? 0x7ffffffff000n;
  const result = linux.call(
    "process_vm_readv",
    field.victimPid,
    iovec(addressOf(buffer), buffer.length),
    1,
    iovec(top - BigInt(buffer.length), buffer.length),
    1,
    0,
  );
  if (result < 0) return byResult("process_vm_readv", result);
  const out = new TextDecoder().decode(buffer).includes(field.canary);
  return { out, step: "process_vm_readv", errno: "", ...(out ? { proof: field.canary } : {}) };
}

function readMem(linux: Linux, field: Battlefield): Outcome {
  const path = `/proc/${field.victimPid}/mem`;
  const fd = linux.call("openat", -100, cstr(path), O.readOnly | O.closeOnExec, 0);
  if (fd < 0) return byResult("open mem", fd);
  const top = stackTop(linux, field.victimPid) ?? 0n;
  linux.call("lseek", fd, top - 8192n, 0);
  const outcome = readDescriptor(linux, fd, field.canary);
  linux.call("close", fd);
  return outcome;
}

function stealDescriptor(linux: Linux, field: Battlefield): Outcome {
  const pidfd = linux.call("pidfd_open", field.victimPid, 0);
  if (pidfd < 0) return byResult("pidfd_open", pidfd);
  const fd = linux.call("pidfd_getfd", pidfd, 0, 0);
  linux.call("close", pidfd);
  if (fd >= 0) linux.call("close", fd);
  return byResult("pidfd_getfd", fd);
}

/** Signal 0 asks only whether a signal could be sent. */
const NO_SIGNAL = 0;

function limitVictim(linux: Linux, field: Battlefield): Outcome {
  return byResult("prlimit64", linux.call("prlimit64", field.victimPid, 7, null, alloc(16)));
}

// Opened when the program starts: stage 2 lets nothing be loaded afterwards.
const ENVIRONMENT = Deno.dlopen("libc.so.6", {
  getenv: { parameters: ["buffer"], result: "pointer" },
});

function readEnvironment(_linux: Linux, field: Battlefield): Outcome {
  const at = ENVIRONMENT.symbols.getenv(cstr("SECLLAMA_TRIAL_CANARY"));
  const out = at !== null && Deno.UnsafePointerView.getCString(at) === field.canary;
  return { out, step: "getenv", errno: "", ...(out ? { proof: field.canary } : {}) };
}

/** uname(2): struct new_utsname, six fields of 65 bytes; the second is the host's name. */
function readHostName(linux: Linux, field: Battlefield): Outcome {
  const names = alloc(6 * 65);
  const result = linux.call("uname", names);
  if (result < 0) return byResult("uname", result);
  const out = new TextDecoder().decode(names.subarray(65, names.indexOf(0, 65))) === field.hostname;
  return { out, step: "uname", errno: "", ...(out ? { proof: field.hostname } : {}) };
}

export const PROCESS: readonly Attack[] = [
  {
    name: "ptrace another process",
    run(linux, field) {
      const result = linux.call("ptrace", PTRACE.seize, field.victimPid, 0, 0);
      if (result >= 0) {
        linux.call("ptrace", PTRACE.interrupt, field.victimPid, 0, 0);
        linux.call("wait4", field.victimPid, null, 0x40000000, null);
        linux.call("ptrace", PTRACE.detach, field.victimPid, 0, 0);
      }
      return byResult("ptrace", result);
    },
  },
  { name: "process_vm_readv", run: readMemory },
  { name: "pidfd_getfd", run: stealDescriptor },
  { name: "/proc/PID/mem", run: readMem },
  {
    name: "/proc/PID/environ",
    run: (linux, f) => readProof(linux, `/proc/${f.victimPid}/environ`, f.canary),
  },
  {
    name: "/proc/PID/maps",
    run: (linux, f) => readProof(linux, `/proc/${f.victimPid}/maps`, "[stack]"),
  },
  {
    name: "/proc/PID/fd",
    run: (linux, f) => {
      const path = cstr(`/proc/${f.victimPid}/fd`);
      const fd = linux.call("openat", -100, path, O.readOnly | O.closeOnExec, 0);
      if (fd >= 0) linux.call("close", fd);
      return byResult("open fd", fd);
    },
  },
  {
    name: "/proc/PID/root",
    run: (linux, f) => readProof(linux, `/proc/${f.victimPid}/root${f.folder}/secret`, f.canary),
  },
  {
    name: "signal another process",
    run: (linux, f) => byResult("kill", linux.call("kill", f.victimPid, NO_SIGNAL)),
  },
  {
    name: "tgkill another process",
    run: (linux, f) => byResult("tgkill", linux.call("tgkill", f.victimPid, f.victimPid, 0)),
  },
  {
    name: "signal by pidfd",
    run(linux, f) {
      const pidfd = linux.call("pidfd_open", f.victimPid, 0);
      if (pidfd < 0) return byResult("pidfd_open", pidfd);
      return byResult(
        "pidfd_send_signal",
        linux.call("pidfd_send_signal", pidfd, NO_SIGNAL, null, 0),
      );
    },
  },
  { name: "limits of another process", run: limitVictim },
  {
    name: "inherited descriptor",
    run: (linux, f) => readDescriptor(linux, f.leakedFd, f.canary),
  },
  { name: "inherited environment", run: readEnvironment },
  { name: "learn the host's name", run: readHostName },
];
