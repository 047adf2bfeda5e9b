/**
 * The steps that each process of a launch makes for itself, the runner and an engine beside it: what confines it, and the program that
 * it becomes.
 */
import { placesOf } from "../../linux/bpf.ts";
import { landlockSteps } from "../../linux/landlock.ts";
import { AT_EMPTY_PATH, AT_FDCWD, O } from "../../linux/libc.ts";
import { compile, filterProgram, SECCOMP_SET_MODE_FILTER } from "../../linux/seccomp.ts";
import { Memory, type Step } from "../../linux/syscall_table.ts";
import type { Arch } from "../../linux/syscalls.ts";
import type { Descriptors } from "./descriptors.ts";
import { type Exec, handlePath, type LaunchSpec } from "./launch_spec.ts";
import { type FilterOf, seccompFor } from "./policy.ts";

/** What the steps depend on beside the specification: the machine, as it is when a runner is started. */
export interface LaunchHost {
  readonly arch: Arch;
  /** The last capability that the kernel knows. */
  readonly lastCapability: number;
  /** This process's own limit of descriptors, which the launcher inherits. */
  readonly nofile: { readonly soft: bigint; readonly hard: bigint };
  readonly isDirectory: (hostPath: string) => boolean;
}

/** Descriptors that the runner may have open when its policy sets no limit. */
export const DEFAULT_NOFILE = 1024;
/** PR_SET_PDEATHSIG (linux/prctl.h). */
const SET_PDEATHSIG = 1;
const SIGKILL = 9;
/** Stands for the process's id in a filter until the launcher knows it; no process has such a one (at most 2^22). */
const SELF = 0x5E1F5E1F;

/** RLIMIT_* (asm-generic/resource.h). */
const LIMITS: { readonly [name: string]: number } = {
  fsize: 1,
  data: 2,
  core: 4,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  sigpending: 11,
  msgqueue: 12,
};

/** The descriptor at which the launcher's executable is handed through the chain. */
export const LAUNCHER_FD = 3;

/** A path of the launcher's as the host knows it. */
export function hostPath({ root, handles }: LaunchSpec, path: string): string {
  return handles.find(({ fd }) => handlePath(fd) === path)?.path ??
    root?.binds.find(({ to }) => to === path)?.from ?? path;
}

/** The kernel kills the process when its parent ends. */
export function dieWithParent(): Step {
  return { what: "PR_SET_PDEATHSIG", call: "prctl", args: [SET_PDEATHSIG, SIGKILL, 0, 0, 0] };
}

/** Opens what will be executed, at descriptor `at`, which closes on exec. */
export function openProgram(
  spec: LaunchSpec,
  { path }: Exec,
  at: number,
  nofile: LaunchHost["nofile"],
  fds: Descriptors,
): Step[] {
  const what = `open ${hostPath(spec, path)}`;
  const enough = (limit: bigint) => limit > BigInt(at) ? limit : BigInt(at) + 1n;
  const room = Memory.words(enough(nofile.soft), enough(nofile.hard));
  const fd = fds.open();
  return [
    ...(nofile.soft > BigInt(at) ? [] : [{
      what: "raise limit nofile",
      call: "prlimit64",
      args: [0, LIMITS["nofile"]!, room, null],
    }]),
    { what, call: "openat", args: [AT_FDCWD, path, O.path | O.closeOnExec, 0], wanted: fd },
    { what, call: "dup3", args: [fd, at, O.closeOnExec], wanted: at },
  ];
}

/** Which files it may open from now on; `fds` are the numbers that are free. */
export function landlock(
  spec: LaunchSpec,
  { abi, rules }: NonNullable<LaunchSpec["landlock"]>,
  host: LaunchHost,
  fds: Descriptors,
): Step[] {
  return landlockSteps(abi, rules, {
    open: () => fds.open(),
    isDirectory: (path) =>
      path === spec.root?.writable?.at || host.isDirectory(hostPath(spec, path)),
  });
}

/** The allowlist; nothing where the kernel has no filters. */
export function installFilter(
  { seccomp: gpu }: LaunchSpec,
  arch: Arch,
  { whose, program }: { whose: FilterOf; program: number },
): Step[] {
  if (gpu === null) return [];
  const policy = seccompFor(gpu, whose);
  const code = compile(policy, { arch, variables: { self: SELF, execFd: program } });
  const filter = filterProgram(code);
  return [
    ...placesOf(code, SELF).map((at): Step => ({
      what: "getpid",
      call: "getpid",
      args: [],
      store: { into: filter.code, at },
    })),
    { what: "seccomp", call: "seccomp", args: [SECCOMP_SET_MODE_FILTER, 0, filter.program] },
  ];
}

/** Soft and hard limit alike. */
export function setLimits(limits: LaunchSpec["limits"]): Step[] {
  return Object.entries(limits).map(([name, value]) => {
    const resource = LIMITS[name];
    if (resource === undefined) throw new TypeError(`the policy names an unknown limit ${name}`);
    return {
      what: `limit ${name}`,
      call: "prlimit64",
      args: [0, resource, Memory.words(value, value), null],
    };
  });
}

/** The process becomes the program that is open at `fd`. */
export function execute(fd: number, spec: LaunchSpec, { path, argv, env }: Exec): Step {
  return {
    what: `execute ${hostPath(spec, path)}`,
    call: "execveat",
    args: [fd, "", Memory.strings(argv), environment(env), AT_EMPTY_PATH],
  };
}

/** As execve(2) takes it: `NAME=value`, one after the other. */
export function environment(env: { readonly [name: string]: string }): Memory {
  return Memory.strings(Object.entries(env).map(([name, value]) => `${name}=${value}`));
}
