/**
 * The launcher's steps: a launch specification as a table of system calls. Each is a restriction that cannot be undone, or prepares
 * one; the last becomes the runner. Pure, and printed in the golden files.
 */
import { Memory, type Step } from "../../linux/syscall_table.ts";
import { AT_FDCWD, O } from "../../linux/libc.ts";
import { becomeCompanion, ENGINE_OUTPUT_FD, startCompanion } from "./companion_steps.ts";
import { Descriptors } from "./descriptors.ts";
import type { Handle, LaunchSpec } from "./launch_spec.ts";
import { enterPrivateRoot } from "./private_root.ts";
import {
  DEFAULT_NOFILE,
  dieWithParent,
  environment,
  execute,
  hostPath,
  installFilter,
  landlock,
  LAUNCHER_FD,
  type LaunchHost,
  openProgram,
  setLimits,
} from "./process_steps.ts";

/** Options of prctl(2) (linux/prctl.h). */
const PR = { capbsetDrop: 24, setNoNewPrivs: 38 } as const;

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

/** O_PATH: whether the file may be read is asked later, of the user who will read it. */
function openHandle({ fd, path, kept }: Handle, fds: Descriptors): Step {
  if (fds.open() !== fd) throw new TypeError(`the plan has another descriptor for ${path}`);
  const flags = O.path | (kept ? 0 : O.closeOnExec);
  return { what: `open ${path}`, call: "openat", args: [AT_FDCWD, path, flags, 0], wanted: fd };
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
