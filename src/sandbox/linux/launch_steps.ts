/**
 * The launcher's steps: a launch specification as a table of system calls. Each is a restriction that cannot be undone, or prepares
 * one; the last becomes the runner. Pure, and printed in the golden files.
 */
import { Memory, type Step } from "../../linux/syscall_table.ts";
import { placesOf } from "../../linux/bpf.ts";
import { landlockSteps } from "../../linux/landlock.ts";
import { alloc, AT_EMPTY_PATH, AT_FDCWD, O } from "../../linux/libc.ts";
import { compile, filterProgram, SECCOMP_SET_MODE_FILTER } from "../../linux/seccomp.ts";
import type { Arch } from "../../linux/syscalls.ts";
import { Descriptors } from "./descriptors.ts";
import {
  type CompanionSpec,
  type Exec,
  type Handle,
  handlePath,
  type LaunchSpec,
} from "./launch_spec.ts";
import { type FilterOf, seccompFor } from "./policy.ts";
import { enterPrivateRoot } from "./private_root.ts";

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
const DEFAULT_NOFILE = 1024;
const PR = { setPdeathsig: 1, capbsetDrop: 24, setNoNewPrivs: 38 } as const;
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

/**
 * The starter's steps, the first of the chain: what must hold before `unshare` forks. It closes what this process left open, goes
 * into the groups, dies with its parent, and becomes `argv`.
 */
export function startSteps(o: {
  /** The launcher's descriptor in the gateway. */
  readonly launcherFd: number;
  /** Folders of groups to enter. */
  readonly groups: readonly string[];
  readonly argv: readonly string[];
  readonly env: { readonly [name: string]: string };
}): Step[] {
  const fds = new Descriptors([LAUNCHER_FD]);
  const itself = "0";
  return [
    {
      what: "hand on the launcher",
      call: "dup3",
      args: [o.launcherFd, LAUNCHER_FD, 0],
      wanted: LAUNCHER_FD,
      tolerate: "EINVAL", // it has that number already
    },
    {
      what: `close all but 0 to ${LAUNCHER_FD}`,
      call: "close_range",
      args: [LAUNCHER_FD + 1, 0xFFFFFFFF, 0],
    },
    ...o.groups.flatMap((folder): Step[] => {
      const what = `enter ${folder}`;
      const fd = fds.open();
      return [
        {
          what,
          call: "openat",
          args: [AT_FDCWD, `${folder}/cgroup.procs`, O.writeOnly | O.closeOnExec, 0],
          wanted: fd,
        },
        { what, call: "write", args: [fd, itself, itself.length], wanted: itself.length },
      ];
    }),
    dieWithParent(),
    {
      what: `execute ${o.argv[0]}`,
      call: "execve",
      args: [o.argv[0]!, Memory.strings(o.argv), environment(o.env)],
    },
  ];
}

function limitsOf(spec: LaunchSpec): LaunchSpec["limits"] & { readonly nofile: number } {
  return { nofile: DEFAULT_NOFILE, ...spec.limits };
}

/**
 * The number under which the launcher executes the program: above RLIMIT_NOFILE, so that no later descriptor can have it. The
 * filter lets execveat pass for it only.
 */
export function programDescriptor(spec: LaunchSpec): number {
  return limitsOf(spec).nofile;
}

/** @throws {TypeError} If the specification names a limit that is not known. */
export function launchSteps(spec: LaunchSpec, host: LaunchHost): Step[] {
  const fds = new Descriptors();
  const limits = limitsOf(spec);
  const program = programDescriptor(spec);
  return [
    { what: "close the launcher", call: "close", args: [LAUNCHER_FD] },
    ...mustHaveLeft(spec.leave),
    // A session of its own: no controlling terminal, and not the terminal's Ctrl-C. EPERM: it leads its group already.
    { what: "setsid", call: "setsid", args: [], wanted: "any", tolerate: "EPERM" },
    // The operator's umask would make the private root's folders unreadable for the id that root gives itself up for.
    { what: "umask", call: "umask", args: [0o022], wanted: "any" },
    ...(spec.root === null ? [] : enterPrivateRoot(spec.root, fds, host.isDirectory)),
    // Where there is no root of its own: out of the operator's folder.
    { what: "leave the folder", call: "chdir", args: ["/"] },
    ...spec.handles.map((handle) => openHandle(handle, fds)),
    ...dropBoundingSet(host.lastCapability, spec.user !== null),
    ...(spec.user === null ? [] : dropUser(spec.user)),
    ...dropCapabilities(),
    // A change of the uid clears it: after dropUser.
    dieWithParent(),
    ...readable(spec).map((path): Step => ({
      what: `read ${hostPath(spec, path)}${spec.user === null ? "" : ` as uid ${spec.user}`}`,
      call: "faccessat",
      args: [AT_FDCWD, path, 4],
    })),
    ...openProgram(spec, spec.exec, program, host.nofile, fds),
    { what: "PR_SET_NO_NEW_PRIVS", call: "prctl", args: [PR.setNoNewPrivs, 1, 0, 0, 0] },
    ...(spec.companion === null ? [] : startCompanion(spec, spec.companion, host, fds)),
    ...(spec.landlock === null ? [] : landlock(
      spec,
      spec.landlock,
      host,
      spec.companion === null ? fds : new Descriptors([ENGINE_OUTPUT_FD]),
    )),
    ...setLimits(limits), // before the filter, which lets nobody set one
    ...installFilter(spec, host.arch, { whose: spec.filter, program }),
    execute(program, spec, spec.exec),
    ...(spec.companion === null ? [] : becomeCompanion(spec, spec.companion, host)),
  ];
}

/** Where the runner finds what its engine prints, which ends when the engine does. */
export const ENGINE_OUTPUT_FD = 4;
/** Descriptors of the companion's part of a launch. Its program's is the number that its own limit makes free. */
const COMPANION = { nothing: 3, output: ENGINE_OUTPUT_FD, outputIn: 5 } as const;

/** As {@link programDescriptor}, for the engine. */
export function companionProgram({ limits }: CompanionSpec): number {
  return limits["nofile"] ?? DEFAULT_NOFILE;
}
const SIGCHLD = 17;

const IN_THE_CHILD = "in the engine's process";
const forget = (fd: number): Step => ({ what: "close", call: "close", args: [fd] });
const inTheChild: Step = { what: IN_THE_CHILD, call: "getpid", args: [], wanted: "any" };

/**
 * Makes the engine's process. Not before the gateway says so: it may still be moving this process into a cgroup, where only what
 * is started afterwards would be too. The runner keeps the reading end of a pipe that the engine alone holds the other end of.
 */
function startCompanion(
  spec: LaunchSpec,
  companion: CompanionSpec,
  host: LaunchHost,
  fds: Descriptors,
): Step[] {
  const child = new Memory("the child", alloc(4));
  const at = companionProgram(companion);
  return [
    {
      what: "wait for the gateway",
      call: "read",
      args: [0, new Memory("a byte", alloc(8)), 1],
      wanted: 1,
    },
    ...openProgram(spec, companion.exec, at, host.nofile, fds),
    // What was opened for the steps above is closed: the numbers from here on are fixed.
    {
      what: "close all but the programs",
      call: "close_range",
      args: [LAUNCHER_FD, Math.min(at, spec.limits["nofile"] ?? DEFAULT_NOFILE) - 1, 0],
    },
    {
      what: "open /dev/null",
      call: "openat",
      args: [AT_FDCWD, "/dev/null", O.readWrite | O.closeOnExec, 0],
      wanted: COMPANION.nothing,
    },
    {
      what: "a pipe for what the engine prints",
      call: "pipe2",
      args: [new Memory("both ends", alloc(8)), 0],
    },
    {
      what: "make the engine's process",
      call: "clone",
      args: [SIGCHLD, null],
      store: { into: child, at: 0 },
    },
    { what: "is it the engine's process", memory: child, ifZero: inTheChild },
    forget(at),
    forget(COMPANION.nothing),
    forget(COMPANION.outputIn),
  ];
}

/** The other way on: what the engine's process does, of which the runner's does nothing. */
function becomeCompanion(spec: LaunchSpec, companion: CompanionSpec, host: LaunchHost): Step[] {
  const { nothing, output, outputIn } = COMPANION;
  const at = companionProgram(companion);
  const standard = (fd: number, to: number): Step => ({
    what: IN_THE_CHILD,
    call: "dup3",
    args: [fd, to, 0],
    wanted: to,
  });
  return [
    inTheChild,
    // Nothing of the gateway's: neither what it says to the runner nor where the runner answers.
    standard(nothing, 0),
    standard(outputIn, 1),
    standard(outputIn, 2),
    forget(nothing),
    forget(output),
    forget(outputIn),
    forget(spec.limits["nofile"] ?? DEFAULT_NOFILE),
    dieWithParent(),
    ...(companion.exec.folder === undefined ? [] : [{
      what: "enter its folder",
      call: "chdir",
      args: [companion.exec.folder],
    }]),
    ...(companion.landlock === null
      ? []
      : landlock(spec, companion.landlock, host, new Descriptors())),
    ...setLimits({ nofile: DEFAULT_NOFILE, ...companion.limits }),
    ...installFilter(spec, host.arch, { whose: companion.kind, program: at }),
    execute(at, spec, companion.exec),
  ];
}

/** O_PATH: whether the file may be read is asked later, of the user who will read it. */
function openHandle({ fd, path, kept }: Handle, fds: Descriptors): Step {
  if (fds.open() !== fd) throw new TypeError(`the plan has another descriptor for ${path}`);
  const flags = O.path | (kept ? 0 : O.closeOnExec);
  return { what: `open ${path}`, call: "openat", args: [AT_FDCWD, path, flags, 0], wanted: fd };
}

/** A path of the launcher's as the host knows it. */
function hostPath({ root, handles }: LaunchSpec, path: string): string {
  return handles.find(({ fd }) => handlePath(fd) === path)?.path ??
    root?.binds.find(({ to }) => to === path)?.from ?? path;
}

function mustHaveLeft(namespaces: LaunchSpec["leave"]): Step[] {
  return Object.entries(namespaces).flatMap(([path, host]): Step[] => {
    const name = new Memory("its name", new Uint8Array(64));
    return [
      {
        what: `readlink ${path}`,
        call: "readlinkat",
        args: [AT_FDCWD, path, name, 63],
        wanted: "any",
      },
      {
        what: `unshare did not isolate: still in the gateway's ${host}`,
        memory: name,
        mustNotBe: host,
      },
    ];
  });
}

/** What the runner must be able to read as the user that it now is. */
function readable(spec: LaunchSpec): string[] {
  if (spec.root === null) {
    return (spec.landlock?.rules ?? []).filter((r) => r.access !== "rw").map((r) => r.path);
  }
  return spec.root.binds.filter((bind) => bind.kind !== "device").map((bind) => bind.to);
}

/** Before dropUser: it needs a capability, and a change of the uid takes those away. */
function dropBoundingSet(last: number, root: boolean): Step[] {
  return Array.from({ length: last + 1 }, (_, capability) => ({
    what: "drop the bounding set",
    call: "prctl",
    args: [PR.capbsetDrop, capability, 0, 0, 0],
    // An ordinary user cannot; NO_NEW_PRIVS then makes the set useless.
    ...(root ? {} : { tolerate: "EPERM" }),
  }));
}

/** All ids and groups become `uid`, which cannot be taken back once the capabilities are gone. */
function dropUser(uid: number): Step[] {
  return [
    { what: "setgroups", call: "setgroups", args: [0, null] },
    { what: `setresgid ${uid}`, call: "setresgid", args: [uid, uid, uid] },
    { what: `setresuid ${uid}`, call: "setresuid", args: [uid, uid, uid] },
  ];
}

/** Empties the effective, permitted and inheritable sets, and with them the ambient one. */
function dropCapabilities(): Step[] {
  const header = Memory.words(0x20080522); // struct __user_cap_header_struct: version u32, pid s32
  return [
    { what: "capset", call: "capset", args: [header, Memory.words(0, 0, 0)] },
  ];
}

/** The kernel kills the process when its parent ends. */
function dieWithParent(): Step {
  return { what: "PR_SET_PDEATHSIG", call: "prctl", args: [PR.setPdeathsig, SIGKILL, 0, 0, 0] };
}

/** Opens what will be executed, at descriptor `at`, which closes on exec. */
function openProgram(
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

function landlock(
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
function installFilter(
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
function setLimits(limits: LaunchSpec["limits"]): Step[] {
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

function execute(fd: number, spec: LaunchSpec, { path, argv, env }: Exec): Step {
  return {
    what: `execute ${hostPath(spec, path)}`,
    call: "execveat",
    args: [fd, "", Memory.strings(argv), environment(env), AT_EMPTY_PATH],
  };
}

function environment(env: { readonly [name: string]: string }): Memory {
  return Memory.strings(Object.entries(env).map(([name, value]) => `${name}=${value}`));
}
