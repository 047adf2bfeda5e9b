/**
 * Starts a planned command. The launcher in its argv is an executable made for this one start: a few kilobytes in a sealed
 * memory file (memfd_create(2)), which no one can change and no name on disk leads to. It is handed on as a descriptor, which every
 * program of the chain inherits and the launcher closes first.
 */
import { SecLlamaError } from "../../errors.ts";
import { executable } from "../../linux/call_table.ts";
import {
  addressOf,
  alloc,
  AT_FDCWD,
  cstr,
  type Linux,
  linux,
  SystemCallError,
} from "../../linux/libc.ts";
import type { LaunchSpec } from "./launch_spec.ts";
import { type LaunchHost, launchSteps } from "./launch_steps.ts";
import { LAUNCHER } from "./plan.ts";

export interface PlannedCommand {
  readonly argv: readonly string[];
  readonly env: { readonly [name: string]: string };
  /** What the launcher in `argv` does; null or absent: there is none. */
  readonly launch?: LaunchSpec | null;
}

export interface SpawnOptions {
  readonly cwd?: string;
  /** Hands on this process's environment as well. */
  readonly inheritEnv?: boolean;
  readonly stderr?: "piped" | "inherit";
}

/**
 * Spawns it with pipes for its standard streams and nothing of this process's environment.
 * @throws {SecLlamaError} `sandbox-failed` if the launcher cannot be made.
 * @throws If the program cannot be started.
 */
export function spawnPlanned(command: PlannedCommand, o: SpawnOptions = {}): Deno.ChildProcess {
  const image = command.launch ? makeLauncher(linux(), command.launch) : undefined;
  try {
    const [program, ...args] = command.argv.map((word) =>
      word === LAUNCHER && image !== undefined ? `/proc/self/fd/${image}` : word
    );
    return new Deno.Command(program!, {
      args,
      env: { ...command.env },
      clearEnv: o.inheritEnv !== true,
      ...(o.cwd === undefined ? {} : { cwd: o.cwd }),
      stdin: "piped",
      stdout: "piped",
      stderr: o.stderr ?? "piped",
    }).spawn(); // has forked and executed when it returns, so that no other child gets the descriptor
  } finally {
    if (image !== undefined) linux().call("close", image);
  }
}

const MFD = { allowSealing: 2, exec: 0x10 } as const;
const F_ADD_SEALS = 1033;
/** Seal, shrink, grow, write. */
const ALL_SEALS = 0xF;
const EINVAL = 22;

/** A descriptor of the launcher that children inherit. */
function makeLauncher(system: Linux, spec: LaunchSpec): number {
  const image = executable(launchSteps(spec, launchHost(system)), system.arch);
  try {
    return memoryFile(system, image);
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause;
    throw new SecLlamaError("sandbox-failed", `failed to apply sandbox: ${cause.message}`, {
      hint: "the launcher runs from memory: vm.memfd_noexec must not be 2",
      cause,
    });
  }
}

function memoryFile(system: Linux, bytes: Uint8Array): number {
  const name = cstr("secllama-launcher");
  // Linux 6.3 wants to be told that it will be executed; earlier ones do not know the flag.
  let fd = system.call("memfd_create", name, MFD.allowSealing | MFD.exec);
  if (fd === -EINVAL) fd = system.call("memfd_create", name, MFD.allowSealing);
  if (fd < 0) throw new SystemCallError("make the launcher", -fd);
  try {
    for (let at = 0; at < bytes.length;) {
      const left = bytes.subarray(at);
      at += system.must("write the launcher", "write", fd, addressOf(left), left.length);
    }
    system.must("seal the launcher", "fcntl", fd, F_ADD_SEALS, ALL_SEALS);
    return fd;
  } catch (error) {
    system.call("close", fd);
    throw error;
  }
}

function launchHost(system: Linux): LaunchHost {
  const RLIMIT_NOFILE = 7;
  const limit = alloc(16);
  system.must("read limit nofile", "prlimit64", 0, RLIMIT_NOFILE, null, limit);
  const view = new DataView(limit.buffer);
  return {
    arch: system.arch,
    lastCapability: Number(system.readText("/proc/sys/kernel/cap_last_cap")),
    nofile: { soft: view.getBigUint64(0, true), hard: view.getBigUint64(8, true) },
    isDirectory: (path) => isDirectory(system, path),
  };
}

/** Follows links. A path that is not there is none; the launcher then stops at it. */
function isDirectory(system: Linux, path: string): boolean {
  const stat = alloc(256);
  const STATX_TYPE = 1;
  if (system.call("statx", AT_FDCWD, cstr(path), 0, STATX_TYPE, stat) < 0) return false;
  return (new DataView(stat.buffer).getUint16(28, true) & 0o170000) === 0o040000; // stx_mode
}
