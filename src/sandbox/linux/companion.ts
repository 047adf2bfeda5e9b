/**
 * The part of a Linux plan that is for an engine of somebody else's: what it sees, what it may do, and where its socket is. Pure.
 *
 * It needs a private root and a network namespace: a system call filter can tell Unix sockets from others, not one path from
 * another, so it is the root that holds one socket and the namespace that holds no name.
 */
import { dirname } from "node:path";
import { SecLlamaError } from "../../errors.ts";
import type { Access } from "../../linux/landlock.ts";
import { translate } from "../arguments.ts";
import type { Companion } from "../types.ts";
import type { Bind, CompanionSpec, PrivateRoot } from "./launch_spec.ts";
import { ENGINE_POLICY, type Limits } from "./policy.ts";

/** What a socket's folder takes, and what a folder for files may. */
const SOCKET_BYTES = 64 * 1024;
const SCRATCH_BYTES = 2 ** 30;

/** @throws {SecLlamaError} `sandbox-unavailable` where the machine cannot hold an engine, strict or not. */
export function mustHoldCompanion(
  has: { privateRoot: boolean; landlock: boolean; seccomp: boolean },
): void {
  const missing = [
    ...(has.privateRoot ? [] : ["namespaces with a private root"]),
    ...(has.landlock ? [] : ["Landlock"]),
    ...(has.seccomp ? [] : ["seccomp"]),
  ];
  if (missing.length === 0) return;
  throw new SecLlamaError(
    "sandbox-unavailable",
    `failed to apply sandbox: an engine needs ${missing.join(", ")}, which this machine lacks`,
    { hint: "run without --engine: the models' own runner is held by less" },
  );
}

/** What an engine's level lacks that `strict` has, one sentence each. */
export function companionLacks({ kind }: Companion): string[] {
  const { scratch } = ENGINE_POLICY.programs[kind];
  return [
    `${kind} is a program of the operator's: no digest is pinned for it or its libraries`,
    `${kind} has no second filter: with the model loaded it may still open what it was given and map code`,
    `runner and ${kind} may make Unix sockets, which reach nothing but each other`,
    `${kind} sees every client's prompts, and keeps them as long as it likes`,
    ...(scratch
      ? [`${kind} may start processes of what it was given, and keep files in memory until it ends`]
      : []),
  ];
}

/** The folder in memory that holds its socket. */
export function writableFolder(
  { kind }: Companion,
  user: number | null,
): NonNullable<PrivateRoot["writable"]> {
  const { scratch } = ENGINE_POLICY.programs[kind];
  return {
    at: ENGINE_POLICY.folder,
    bytes: scratch ? SCRATCH_BYTES : SOCKET_BYTES,
    executable: scratch,
    user,
  };
}

/** Its own files, at their places on the host; without what the runner has there already. */
export function companionBinds(companion: Companion, runner: readonly Bind[]): Bind[] {
  const there = new Set(runner.map(({ to }) => to));
  const binds: Bind[] = [
    { from: companion.executable, to: companion.executable, kind: "program" },
    ...companion.readOnly.map((path): Bind => ({ from: path, to: path, kind: "library" })),
  ];
  for (const { to } of binds) {
    if (!to.startsWith("/") || to.split("/").includes("..") || to.endsWith("/")) {
      throw new RangeError(`${to} must be an absolute path without .. and without a final slash`);
    }
  }
  return binds.filter(({ to }) => !there.has(to) && there.add(to));
}

export function companionSpec(
  companion: Companion,
  o: {
    readonly abi: number;
    /** What it sees of the runner's: the system's libraries and devices, and what they share. */
    readonly runner: readonly Bind[];
    readonly beside: readonly Bind[];
    readonly access: (bind: Bind) => Access;
    readonly map: (path: string) => string;
    readonly limits: Limits;
  },
): CompanionSpec {
  const policy = ENGINE_POLICY.programs[companion.kind];
  const binds = [...o.runner, ...o.beside];
  // A program that starts others needs to execute what it was given.
  const access = (bind: Bind): Access =>
    policy.scratch && bind.kind === "library" ? "rx" : o.access(bind);
  return {
    kind: companion.kind,
    landlock: {
      abi: o.abi,
      rules: [
        ...binds.map((bind) => ({ path: bind.to, access: access(bind) })),
        // llama.cpp lists it for its backends; in the private root nothing is in it but what was given.
        { path: dirname(companion.executable), access: "r" },
        { path: ENGINE_POLICY.folder, access: policy.scratch ? "scratch" : "socket" },
      ],
    },
    limits: {
      ...policy.limits,
      ...(o.limits["data"] === undefined ? {} : { data: o.limits["data"] }),
    },
    exec: {
      path: companion.executable,
      argv: [
        companion.executable,
        ...translate(companion.args, (path) => {
          return companion.shared.includes(path) ? o.map(path) : path;
        }),
      ],
      env: {
        LANG: "C.UTF-8",
        HOME: ENGINE_POLICY.folder,
        TMPDIR: ENGINE_POLICY.folder,
        ...libraryPath(companion),
      },
      // Where llama.cpp looks for its backends, as it cannot find out where its program is.
      folder: dirname(companion.executable),
    },
  };
}

/** The root's one /proc/self/exe is the runner's: the loader would take that for the place that `$ORIGIN` means. */
function libraryPath({ readOnly }: Companion): { LD_LIBRARY_PATH?: string } {
  const folders = readOnly.filter((path) => /\.so(\.|$)/.test(path)).map((path) => dirname(path));
  const own = [...new Set(folders)].filter((path) => !/^(\/usr)?\/lib(64)?(\/|$)/.test(path));
  return own.length === 0 ? {} : { LD_LIBRARY_PATH: own.join(":") };
}
