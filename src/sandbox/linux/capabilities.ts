/**
 * What this machine can enforce, found by trying: namespaces by entering them, Landlock and seccomp by asking the kernel.
 * An answer of a program is not believed: `unshare` that exits 0 without isolating shows the same namespace inodes as ours.
 */
import { SecLlamaError } from "../../errors.ts";
import { alloc, AT_FDCWD, cstr, type Linux, linux, SystemCallError } from "../../linux/libc.ts";
import { landlockAbi } from "../../linux/landlock.ts";
import { seccompAvailable } from "../../linux/seccomp.ts";
import type { Arch } from "../../linux/syscalls.ts";
import { libraryFolders } from "./library_folders.ts";
import { type CgroupSupport, probeCgroups } from "./cgroup.ts";
import { readOptional } from "./cgroup_files.ts";
import { BASE_POLICY, GPU_POLICIES, type Namespace } from "./policy.ts";
import { canEnter } from "./executables.ts";
import { errnoName } from "../../linux/errno.ts";
import { isPassing, passingHint, type Surroundings } from "./hints.ts";

export interface Capabilities {
  readonly os: "linux";
  readonly arch: Arch;
  readonly uid: number;
  /** "6.18.44" */
  readonly kernel: string;
  /** Absolute path, where found. */
  readonly unshare: string | undefined;
  readonly namespaces: {
    readonly usable: boolean;
    /** Whether the launcher will hold the rights to build a private root in them. */
    readonly privateRoot: boolean;
    /** Why not, or "" . */
    readonly reason: string;
  };
  /** This process's namespaces, by their names in /proc/PID/ns: "net:[4026531833]". The launcher must see others. */
  readonly hostNamespaces: { readonly [name in Namespace]: string };
  /** 0: no Landlock. */
  readonly landlockAbi: number;
  /** The error of asking for it, such as ENOSYS; "" where there is one. */
  readonly landlockReason: string;
  readonly surroundings: Surroundings;
  readonly cgroup: CgroupSupport;
  readonly seccomp: boolean;
  /** Host paths of the dynamic loader and of the libraries that the policies name, where found. */
  readonly libraries: readonly string[];
  /** Those files of the policies that exist here. */
  readonly files: readonly string[];
  /** Physical memory in bytes. */
  readonly memoryBytes: number;
}

/** What a probe tries things with. */
export interface ProbeMeans {
  /** Folders in which `unshare` is looked up; PATH is never asked. */
  readonly toolFolders: readonly string[];
  /** Time for one try to enter namespaces; a `unshare` that hangs is killed after it. */
  readonly timeoutMs: number;
  /** Whether a process can go into these groups. */
  readonly enterGroups: typeof canEnter;
}

/** What this machine has. */
export const MEANS: ProbeMeans = {
  toolFolders: ["/usr/bin", "/bin"],
  // Far beyond what a busy machine needs. After it nothing is known, and that is an error.
  timeoutMs: 60_000,
  enterGroups: canEnter,
};

const LOADER: Record<Arch, string> = {
  x86_64: "/lib64/ld-linux-x86-64.so.2",
  aarch64: "/lib/ld-linux-aarch64.so.1",
};

/** What /proc/PID/ns calls a namespace. */
export const NS_FILE: Record<Namespace, string> = {
  user: "user",
  net: "net",
  ipc: "ipc",
  uts: "uts",
  cgroup: "cgroup",
  pid: "pid",
  mount: "mnt",
};

/** Namespaces that are entered: all of the policy's, but root does without `user`, which would map root to root. */
export function namespacesFor(uid: number): Namespace[] {
  return BASE_POLICY.namespaces.filter((name) => name !== "user" || uid !== 0);
}

/**
 * The options of `unshare` for these namespaces, each needed: --map-current-user implies --user, --kill-child (the runner ends with
 * `unshare`) implies --fork, and --mount-proc implies --mount. A private root has no /proc, so none is mounted for it: in a
 * container, where parts of /proc are hidden, the kernel lets no user mount another one.
 */
export function unshareArgs(uid: number, privateRoot: boolean): string[] {
  const names = namespacesFor(uid);
  return [
    ...names.filter((name) => name !== "user" && name !== "mount").map((name) => `--${name}`),
    ...(names.includes("user") ? ["--map-current-user"] : []),
    ...(names.includes("user") && privateRoot ? ["--keep-caps"] : []),
    "--kill-child",
    privateRoot ? "--mount" : "--mount-proc",
  ];
}

/**
 * Probes this machine. Starts `unshare` once or twice, makes and removes a cgroup; touches nothing else.
 * @throws {TypeError} On an architecture other than x86_64 and aarch64.
 * @throws {SecLlamaError} `sandbox-unavailable` if a try does not end, is killed, or fails as it does on a full or busy machine:
 * then nothing is known, and to take that for a refusal would give a weaker plan.
 */
export function probeCapabilities(): Promise<Capabilities> {
  return probeBy(MEANS);
}

/** As {@link probeCapabilities}, with these means. */
export async function probeBy(means: ProbeMeans): Promise<Capabilities> {
  const { toolFolders, timeoutMs, enterGroups } = means;
  const system = linux();
  const unshare = findTool(system, toolFolders, "unshare");
  const uid = system.call("geteuid");
  const kernel = system.readText("/proc/sys/kernel/osrelease").trim();
  const surroundings = lookAround(system, uid);
  const landlock = landlockAbi(system);
  const namespaces = !unshare
    ? refused("unshare was not found in " + toolFolders.join(" or "))
    : await probeNamespaces(system, unshare, {
      uid,
      surroundings,
      mountApi: atLeast(kernel, 5, 12),
      timeoutMs,
    });
  const gpu = Object.values(GPU_POLICIES);
  const names = [...BASE_POLICY.libraries, ...gpu.flatMap((policy) => policy.libraries)];
  const files = [
    ...BASE_POLICY.files.map((file) => file.path),
    ...gpu.flatMap((policy) => [...policy.devices, ...policy.files]),
  ];
  return {
    os: "linux",
    arch: system.arch,
    uid,
    kernel,
    unshare,
    namespaces,
    hostNamespaces: ownNamespaces(system),
    landlockAbi: Math.max(0, landlock),
    landlockReason: landlock > 0 ? "" : errnoName(-landlock),
    surroundings,
    cgroup: await knownGroups(system, enterGroups),
    seccomp: seccompAvailable(system),
    libraries: findLibraries(system, [...new Set(names)]),
    files: [...new Set(files)].filter((path) => exists(system, path)),
    memoryBytes: memoryBytes(system),
  };
}

/** @throws {SecLlamaError} `sandbox-unavailable` for an error that passes. */
async function knownGroups(system: Linux, enter: typeof canEnter): Promise<CgroupSupport> {
  const mustBeAnAnswer = (reason: string) => {
    if (isPassing(reason, { forbids: "" }) && !/EAGAIN/.test(reason)) throw unknown(reason);
  };
  const support = await probeCgroups(system, async (folders) => {
    try {
      return await enter(folders);
    } catch (error) {
      if (error instanceof SystemCallError) throw error;
      throw unknown("no process could be started");
    }
  });
  mustBeAnAnswer(support.reason);
  return support;
}

/** Nothing was learnt: a busy or full machine must not be taken for one that enforces less. */
function unknown(reason: string): SecLlamaError {
  return new SecLlamaError("sandbox-unavailable", `failed to apply sandbox: ${reason}`, {
    hint: passingHint(reason),
  });
}

const CAP_SYS_ADMIN = 21n;

/** What surrounds this process, for the right advice. */
function lookAround(system: Linux, uid: number): Surroundings {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(system.readText("/proc/self/status"))?.[1];
  const settings: [name: string, off: string][] = [
    ...namespacesFor(uid).map((name): [string, string] => [
      `user.max_${NS_FILE[name]}_namespaces`,
      "0",
    ]),
    ...(uid === 0 ? [] : [
      ["kernel.unprivileged_userns_clone", "0"],
      ["kernel.apparmor_restrict_unprivileged_userns", "1"],
    ] as [string, string][]),
  ];
  const forbids = uid === 0
    ? undefined
    : settings.find(([name, off]) =>
      readOptional(system, `/proc/sys/${name.replaceAll(".", "/")}`)?.trim() === off
    );
  return {
    uid,
    container: exists(system, "/.dockerenv") || exists(system, "/run/.containerenv"),
    sysAdmin: (BigInt(`0x${effective ?? "0"}`) >> CAP_SYS_ADMIN & 1n) === 1n,
    forbids: forbids?.join("=") ?? "",
  };
}

function ownNamespaces(system: Linux): Capabilities["hostNamespaces"] {
  const names = Object.keys(NS_FILE) as Namespace[];
  return Object.fromEntries(
    names.map((name) => [name, system.readLink(`/proc/self/ns/${NS_FILE[name]}`)]),
  ) as Record<Namespace, string>;
}

function refused(reason: string): Capabilities["namespaces"] {
  return { usable: false, privateRoot: false, reason };
}

async function probeNamespaces(
  system: Linux,
  unshare: string,
  o: { uid: number; surroundings: Surroundings; mountApi: boolean; timeoutMs: number },
): Promise<Capabilities["namespaces"]> {
  let reason = "";
  for (const privateRoot of o.mountApi ? [true, false] : [false]) {
    reason = await tryNamespaces(system, unshare, unshareArgs(o.uid, privateRoot), o);
    if (reason === "") return { usable: true, privateRoot, reason };
    if (o.uid === 0) break; // --keep-caps makes no difference to root
  }
  return refused(reason);
}

/**
 * "" if a process entered all of them; else why it did not.
 * @throws {SecLlamaError} `sandbox-unavailable` if that says nothing of the machine.
 */
async function tryNamespaces(
  system: Linux,
  unshare: string,
  args: readonly string[],
  o: { uid: number; surroundings: Surroundings; timeoutMs: number },
): Promise<string> {
  const files = namespacesFor(o.uid).map((name) => `/proc/self/ns/${NS_FILE[name]}`);
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(unshare, {
      args: [...args, "--", "/usr/bin/readlink", ...files],
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return `${unshare} could not be started`;
    }
    throw unknown(`${unshare} could not be started`);
  }
  const out = new TextReader(child.stdout);
  const error = new TextReader(child.stderr);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    try {
      child.kill("SIGKILL"); // unshare ignores SIGTERM
    } catch { /* it has ended */ }
    // What it forked may hold the pipes open.
    out.stop();
    error.stop();
  }, o.timeoutMs);
  try {
    const [status] = await Promise.all([child.status, out.done, error.done]);
    if (timedOut) {
      throw new SecLlamaError(
        "sandbox-unavailable",
        `failed to apply sandbox: ${unshare} did not end within ${o.timeoutMs} ms`,
        { hint: "try again; if it stays so, replace util-linux, whose unshare hangs" },
      );
    }
    // As by the kernel, when memory is short.
    if (status.signal !== null) throw unknown(`${unshare} was ended by ${status.signal}`);
    if (!status.success) {
      const line = error.text.split("\n")[0]!.replace(/[^\x20-\x7e]/g, "?").slice(0, 120);
      if (isPassing(line, o.surroundings)) throw unknown(line);
      return line || `${unshare} ended with code ${status.code}`;
    }
    const seen = out.text.trim().split("\n");
    if (seen.length !== files.length) return `${unshare} did not run its program`;
    for (const [i, file] of files.entries()) {
      if (seen[i] === system.readLink(file)) {
        return `${unshare} succeeded but did not isolate: ${seen[i]}`;
      }
    }
    return "";
  } finally {
    clearTimeout(timer);
  }
}

/** The first 4 KiB of a stream as text, until it ends or is told to stop. */
class TextReader {
  text = "";
  readonly done: Promise<void>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.done = this.#read();
  }

  stop(): void {
    void this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) return;
      if (this.text.length < 4096) this.text += decoder.decode(value, { stream: true });
    }
  }
}

function exists(system: Linux, path: string): boolean {
  return system.call("faccessat", AT_FDCWD, cstr(path), 0) === 0;
}

function findTool(system: Linux, folders: readonly string[], name: string): string | undefined {
  const EXECUTABLE = 1;
  return folders.map((folder) => `${folder}/${name}`)
    .find((path) => system.call("faccessat", AT_FDCWD, cstr(path), EXECUTABLE) === 0);
}

/** The loader, and each library where the loader would find it without a cache file. */
function findLibraries(system: Linux, names: readonly string[]): string[] {
  const folders = libraryFolders(system.arch);
  const found = names.flatMap((name) => {
    const folder = folders.find((path) => exists(system, `${path}/${name}`));
    return folder === undefined ? [] : [`${folder}/${name}`];
  });
  return [LOADER[system.arch], ...found];
}

function atLeast(release: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = release.split(/[.-]/).map(Number);
  return a > major || (a === major && b >= minor);
}

function memoryBytes(system: Linux): number {
  const info = alloc(112); // struct sysinfo: totalram u64 @32, mem_unit u32 @104
  if (system.call("sysinfo", info) < 0) return 0;
  const view = new DataView(info.buffer);
  return Number(view.getBigUint64(32, true)) * view.getUint32(104, true);
}
