/**
 * What to do about each cause for which a sandbox cannot be had or a start is refused. Pure: the cause is in the words of the error
 * (the launcher's line, unshare's, a layer's reading) and in what the probe saw around this process.
 */
import { HINTS } from "../../hints.ts";

/** What decides which advice is right, beside the error. */
export interface Surroundings {
  readonly uid: number;
  /** A container's mark was found: /.dockerenv or /run/.containerenv. */
  readonly container: boolean;
  /** CAP_SYS_ADMIN in this process's effective set. */
  readonly sysAdmin: boolean;
  /** A setting that forbids user namespaces, as `name=value`; "": none was found. */
  readonly forbids: string;
}

/** What a Landlock probe said: "" where there is one, else the error's name. */
type LandlockReason = string;

const DOCTOR = "to see what this machine can enforce, run: secllama doctor";
const UNCONFINED = "--security-opt seccomp=unconfined";

/** Options of docker run and podman run that give a root its namespaces. */
const WITH_NAMESPACES =
  "--cap-add SYS_ADMIN --cap-add SYS_PTRACE (with --security-opt apparmor=unconfined where AppArmor is on)";

/**
 * Neither Landlock nor a private root, in strict mode.
 * @param o `namespaces`: why there are none; `seccomp`: whether there are filters.
 */
export function unavailableHint(
  o: { seccomp: boolean; landlock: LandlockReason; namespaces: string; unshare: boolean },
  around: Surroundings,
): string {
  if (!o.seccomp) {
    return around.container
      ? `the container's seccomp profile refuses seccomp(2) itself: start it with ${UNCONFINED} or a newer engine`
      : "use a kernel with CONFIG_SECCOMP_FILTER: without it nothing holds native code back";
  }
  const landlock = o.landlock === "EOPNOTSUPP"
    ? "add landlock to lsm= of the kernel's command line"
    : "use a kernel of 5.13 or newer with Landlock";
  if (around.container) {
    const profile = o.landlock === "EOPNOTSUPP"
      ? "on the host, add landlock to lsm= of the kernel's command line"
      : `start the container with a seccomp profile that lets Landlock pass (a newer engine's, or ${UNCONFINED})`;
    return around.uid === 0
      ? `${profile}; or give it namespaces: ${WITH_NAMESPACES}`
      : `${profile}; namespaces of an ordinary user need ${UNCONFINED} too`;
  }
  if (!o.unshare) {
    return `install util-linux, which has unshare (apt-get install util-linux), or ${landlock}`;
  }
  if (around.forbids !== "") {
    const [name, value] = around.forbids.split("=");
    const wanted = name === "kernel.apparmor_restrict_unprivileged_userns" ? "0" : "1";
    return name!.startsWith("user.max_")
      ? `allow namespaces: sysctl -w ${name}=10000 (it is ${value}), or ${landlock}`
      : `allow user namespaces: sysctl -w ${name}=${wanted} (it is ${value}), or ${landlock}`;
  }
  if (around.uid === 0 && !around.sysAdmin) {
    return `this root lacks CAP_SYS_ADMIN, which namespaces need: give it that, run as an ordinary user, or ${landlock}`;
  }
  if (/did not isolate|did not run/.test(o.namespaces)) {
    return "replace the unshare that was found: it does nothing; the one of util-linux does";
  }
  return `${landlock}, or allow namespaces; ${DOCTOR}`;
}

/** Errors that pass by: of a busy or full machine, not of one that cannot. */
const PASSING =
  /Resource temporarily unavailable|Cannot allocate memory|Too many open files|\b(?:EAGAIN|ENOMEM|EMFILE|ENFILE)\b/;
/** More namespaces than user.max_*_namespaces, or 32 levels of them. */
const NO_MORE = /No space left on device|Too many users|\b(?:ENOSPC|EUSERS)\b/;

/** Whether an error says nothing of what the machine can enforce. Taken for a refusal, it would give a weaker plan. */
export function isPassing(reason: string, { forbids }: Pick<Surroundings, "forbids">): boolean {
  return PASSING.test(reason) || (NO_MORE.test(reason) && forbids === "");
}

/** What to do about an error for which {@link isPassing}. */
export function passingHint(reason: string): string {
  if (/EMFILE|ENFILE|Too many open files/.test(reason)) {
    return `too many files are open: ${HINTS.openFiles}`;
  }
  if (/ENOMEM|Cannot allocate memory/.test(reason)) {
    return "there is too little memory just now: end other programs, then try again";
  }
  if (NO_MORE.test(reason)) {
    return "this system has no namespaces left: see sysctl user, raise the user.max_… that is used up, then try again";
  }
  return "no process could be made: there are too many (ulimit -u, pids.max), or the machine is busy; try again";
}

const IDENTITY = /^launcher: set(?:groups|resgid \d+|resuid \d+): \S+$/;
const UNMAPPED =
  "user and group 65432 are not mapped in this user namespace, or have too many processes: map them (/etc/subuid, /etc/subgid), or run as an ordinary user";

/** Steps of starter and launcher, and lines of unshare: what refused, and what to do. The first that fits. */
const STARTS:
  readonly (readonly [line: RegExp, hint: string | ((found: RegExpExecArray) => string)])[] = [
    [/^unshare: .*(?:propagation|mount).*(?:Permission denied|not permitted)/, forbiddenMount()],
    [
      /^unshare: .*(?:Operation not permitted|Permission denied)/,
      "namespaces were there when serve started and are refused now: start serve again, which looks anew",
    ],
    [
      /^unshare: .*(?:Invalid argument|unrecognized option)/,
      "use util-linux 2.38 or newer: this unshare lacks an option",
    ],
    [
      /^launcher: unshare did not isolate/,
      "replace the unshare that was found: it does nothing; the one of util-linux does",
    ],
    [
      /^launcher: (?:read|open) (\/\S.*) as uid \d+: E(?:ACCES|PERM)$/,
      ([, path]) =>
        `runners of root run as that user: let others read it (chmod o+r ${path}), or take it in with secllama import`,
    ],
    [
      /^launcher: (?:read|open|clone|landlock rule) (\/\S.*?)(?: as uid \d+)?: ENO(?:ENT|TDIR)$/,
      ([, path]) => `${path} went away meanwhile: try again; to check models: secllama verify`,
    ],
    [
      /^launcher: (?:read|open|execute) (\/\S.*?)(?: as uid \d+)?: E(?:ACCES|PERM)$/,
      ([, path]) =>
        `${path} may not be read or run by the runner's user: look at its mode, and for noexec in its mount options`,
    ],
    [
      /^launcher: execute .*: \S+$/,
      "the program that runs models cannot be executed: install SecLlama again, for this processor",
    ],
    [
      /^launcher: (?:set(?:groups|resgid \d+|resuid \d+): EPERM|(?:drop the bounding set|capset): \S+)$/,
      "root gives itself up, which needs CAP_SETUID, CAP_SETGID and CAP_SETPCAP: give it all three (--cap-add SETUID --cap-add SETGID --cap-add SETPCAP), or run as an ordinary user (--user 1000:1000)",
    ],
    [IDENTITY, UNMAPPED],
    [
      /^launcher: (?:raise )?limit (\w+): \S+$/,
      ([, name]) =>
        `the hard limit ${name} is lower than what a runner is given: raise it (ulimit -H, LimitXXX= of a unit, --ulimit ${name}=… of a container)`,
    ],
    [
      /^launcher: landlock.*: \S+$/,
      "Landlock was there when serve started and is refused now: start serve again; if it stays so, a seccomp profile lets only a part of it pass",
    ],
    [
      /^launcher: (?:seccomp|PR_SET_NO_NEW_PRIVS|getpid): \S+$/,
      "the kernel, or a filter around this process, takes no seccomp filter: in a container use a newer engine's profile, or --security-opt seccomp=unconfined",
    ],
    [
      /^launcher: enter (\/\S+): \S+$/,
      ([, path]) =>
        `the runner may not go into ${path}: start serve where its cgroup is delegated (systemd-run --user --scope -p Delegate=yes -- secllama serve), or as root`,
    ],
    [
      /^launcher: (?:make mounts|clone|mount|pivot_root|detach|bind|make|link|enter the root|set the host).*: E(?:PERM|ACCES)$/,
      forbiddenMount(),
    ],
    [
      /^launcher: (?:make mounts|clone|mount|pivot_root|detach|bind|make|link|enter the root|set the host).*: \S+$/,
      "the private root cannot be built: use a kernel of 5.12 or newer, and look whether the folder for temporary files (/tmp) is there",
    ],
    [
      /^launcher: (?:hand on the launcher|close|setsid|umask|leave the folder|PR_SET_PDEATHSIG|readlink).*: \S+$/,
      "a filter around this process refuses a plain call: look at the seccomp profile of the container or the unit (SystemCallFilter=)",
    ],
    [
      /^launcher: (?:read|open) (\/\S.*?)(?: as uid \d+)?: \S+$/,
      ([, path]) => `${path} cannot be opened: look at the disk and the file system that it is on`,
    ],
    [
      /^launcher: (?:wait for the gateway|a pipe for what the engine prints|in the engine's process|enter its folder): \S+$/,
      "another engine is started inside the models' sandbox, and a step of it was refused: look at the seccomp profile of the container or the unit (SystemCallFilter=), and at what secllama help engines says it needs",
    ],
    [
      /^sandbox-exec:/,
      "sandbox-exec refused the profile: to see it, run: secllama sandbox plan; please report it with the version of macOS",
    ],
  ];

function forbiddenMount(): string {
  return "a runner may not mount in namespaces of its own: AppArmor or a seccomp profile forbids it (in a container: --security-opt apparmor=unconfined, --security-opt seccomp=unconfined)";
}

/**
 * What to do about a start that ended with this line.
 * @param o `mapped`: false if this user namespace does not know the runner's user: then no capability helps.
 */
export function startHint(line: string, o: { mapped: boolean } = { mapped: true }): string {
  if (!o.mapped && IDENTITY.test(line)) return UNMAPPED;
  if (isPassing(line, { forbids: "" })) return passingHint(line);
  for (const [pattern, hint] of STARTS) {
    const found = pattern.exec(line);
    if (found) return typeof hint === "string" ? hint : hint(found);
  }
  return DOCTOR;
}

/** Of a layer that was planned and not found on the running process. */
const LAYERS: { readonly [layer: string]: string } = {
  "user namespace": "the unshare that was found enters less than it says: reinstall util-linux",
  "network namespace": "the unshare that was found enters less than it says: reinstall util-linux",
  "pid namespace": "the unshare that was found enters less than it says: reinstall util-linux",
  "mount namespace": "the unshare that was found enters less than it says: reinstall util-linux",
  "ipc namespace": "the unshare that was found enters less than it says: reinstall util-linux",
  "uts namespace": "the unshare that was found enters less than it says: reinstall util-linux",
  "cgroup namespace": "the unshare that was found enters less than it says: reinstall util-linux",
  "private root":
    "something mounted into the runner's root: look for programs that follow new mount namespaces",
  "unprivileged user":
    "the runner is not the user that it was to be: please report this with the output of: secllama doctor --json",
  "no capabilities":
    "the runner has rights that it was to give up: please report this with the output of: secllama doctor --json",
  "no new privileges": "the kernel does not keep PR_SET_NO_NEW_PRIVS: use another one",
  "landlock": "the kernel has Landlock and does not enforce it: update the kernel",
  "seccomp":
    "the kernel took the filter and does not show it: update the kernel, or look for a sandbox such as gVisor around it",
  "stage 2":
    "the runner's second filter is not in force: a filter around this process may refuse seccomp(2); in a container: --security-opt seccomp=unconfined",
  "engine in the sandbox":
    "the engine is not where it was started: another program moved it, or it ended: start serve again",
  "engine confined":
    "the engine's filter, rights or limits are not those that were planned: please report this with the output of: secllama doctor --json",
  "limits": "another program changed the runner's limits (prlimit): find it and end it",
  "cgroup":
    "the runner is not in its cgroup: another program moved it, or took its delegation back: start serve again",
  "dies with the gateway":
    "the runner's parent is not this program: do not run serve under a supervisor that adopts its children",
  "not dumpable": "the kernel lets this process be traced: look for a debugger that runs it",
  "no core dump": "RLIMIT_CORE cannot be lowered: a filter around this process refuses prlimit",
};

/** What to do about what was measured, one line a layer: "NAME: missing (…)". The first decides. */
export function layerHint(problems: readonly string[]): string {
  const [first = ""] = problems;
  if (/: unreadable/.test(first)) {
    return "this program may not look at its own runner in /proc: mount it without hidepid, or give root CAP_SYS_PTRACE (--cap-add SYS_PTRACE)";
  }
  return LAYERS[first.slice(0, first.indexOf(":"))] ?? DOCTOR;
}

/** What to do when starter or launcher cannot be made: they are executed from memory (memfd_create(2)). */
export function memoryFileHint(message: string): string {
  if (isPassing(message, { forbids: "" })) return passingHint(message);
  return /EACCES|EPERM/.test(message)
    ? "starter and launcher run from memory: set vm.memfd_noexec to 1 or 0 (sysctl), and let memfd_create pass in a seccomp profile"
    : /ENOSYS/.test(message)
    ? "starter and launcher run from memory: let memfd_create pass in the seccomp profile around this program"
    : "starter and launcher run from memory, and that failed: is there memory left?";
}

/** What to do when a runner's cgroup cannot be made or entered, though the probe could. */
export function groupHint(message: string): string {
  if (/EAGAIN/.test(message)) {
    return "raise cgroup.max.descendants of the group above, or end other programs in it";
  }
  if (isPassing(message, { forbids: "" })) return passingHint(message);
  if (/ENOENT|ENODEV/.test(message)) {
    return "the group of this program was removed under it: start serve again";
  }
  if (/EBUSY|EOPNOTSUPP/.test(message)) {
    return "the group is used otherwise by now: start serve again, in a group of its own (systemd-run --user --scope -p Delegate=yes)";
  }
  return "the delegation of this program's cgroup was taken back: start serve again, with Delegate=yes in its unit";
}
