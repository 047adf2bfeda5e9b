/**
 * The Linux plan: which layers, by which argv. Pure: the same target, capabilities and mode give the same plan, which is
 * what the golden files compare.
 *
 * Strict needs seccomp AND (Landlock OR namespaces with a private root): without either, files such as `~/.ssh` are readable.
 */
import { SecLlamaError } from "../../errors.ts";
import type { Access } from "../../linux/landlock.ts";
import { translate } from "../arguments.ts";
import type { Plan, RunnerTarget, SandboxMode } from "../types.ts";
import { type Capabilities, namespacesFor, NS_FILE, unshareArgs } from "./capabilities.ts";
import type { CgroupLimits } from "./cgroup.ts";
import { type Bind, type Handle, handlePath, type LaunchSpec } from "./launch_spec.ts";
import { unavailableHint } from "./hints.ts";
import { LAUNCHER_FD } from "./process_steps.ts";
import { describeLayers, type LinuxLayerName } from "./plan_layers.ts";
import {
  companionBinds,
  companionLacks,
  companionSpec,
  mustHoldCompanion,
  writableFolder,
} from "./companion.ts";
import { BASE_POLICY, ENGINE_POLICY, GPU_POLICIES, type Limits, linuxGpu } from "./policy.ts";

/** A Linux plan also shows what the launcher is told; null if there is no launcher. */
export interface LinuxPlan extends Plan<LinuxLayerName> {
  readonly os: "linux";
  readonly launch: LaunchSpec | null;
}

/** In an argv: the starter, which is made when the runner is started, and where it puts the launcher. */
const STARTER = "{starter}";
const LAUNCHER = `/proc/self/fd/${LAUNCHER_FD}`;

/** The environment of launcher and runner: nothing of the operator's. DENO_DIR points where nothing can be made. */
const ENVIRONMENT = {
  DENO_DIR: "/dev/null/deno",
  DENO_NO_UPDATE_CHECK: "1",
  LANG: "C.UTF-8",
  // Large pages for what llama.cpp allocates: the KV cache, and weights that it keeps in another order.
  GLIBC_TUNABLES: "glibc.malloc.hugetlb=1",
};

/**
 * The best plan that this machine allows.
 * @param uid Whom root's runner becomes.
 * @throws {SecLlamaError} `sandbox-unavailable` in strict mode, if that plan does not meet what strict requires.
 */
export function makeLinuxPlan(
  target: RunnerTarget,
  caps: Capabilities,
  mode: SandboxMode,
  uid: number = BASE_POLICY.uid,
): LinuxPlan {
  if (mode === "off") return unsandboxed(target);
  const gpu = linuxGpu(target.gpu);
  const namespaces = caps.namespaces.usable;
  const privateRoot = namespaces && caps.namespaces.privateRoot;
  const landlock = caps.landlockAbi > 0;
  const { seccomp } = caps;
  const meets = seccomp && (landlock || privateRoot);
  const warnings = [
    ...(seccomp ? [] : ["no seccomp filter: the runner may call anything in the kernel"]),
    ...(landlock || privateRoot ? [] : ["neither Landlock nor a private root: files are readable"]),
    ...(namespaces ? [] : [`no namespaces: ${caps.namespaces.reason}`]),
    ...(landlock ? [] : [`no Landlock: ${landlockMissing(caps.landlockReason)}`]),
    ...(target.companion ? companionLacks(target.companion) : []),
  ];
  if (!meets && mode === "strict") {
    throw new SecLlamaError(
      "sandbox-unavailable",
      `failed to apply sandbox: ${warnings.join("; ")}`,
      {
        hint: unavailableHint({
          seccomp,
          landlock: caps.landlockReason,
          namespaces: caps.namespaces.reason,
          unshare: caps.unshare !== undefined,
        }, caps.surroundings),
      },
    );
  }
  const { companion } = target;
  if (companion) mustHoldCompanion({ privateRoot, landlock, seccomp });
  const root = caps.uid === 0;
  const handles = root && !privateRoot ? handlesOf(target) : [];
  const map = pathMapper(target, placement(target, privateRoot, handles));
  const own = bindsOf(target, caps, map);
  const beside = companion ? companionBinds(companion, own) : [];
  const user = root ? uid : null;
  const spec: LaunchSpec = {
    cgroup: caps.cgroup.places.length > 0
      ? { places: caps.cgroup.places, limits: groupLimits(target) }
      : null,
    leave: namespaces
      ? Object.fromEntries(
        namespacesFor(caps.uid).map((name) => [
          `/proc/self/ns/${NS_FILE[name]}`,
          caps.hostNamespaces[name],
        ]),
      )
      : {},
    root: privateRoot
      // Deno asks where its executable is.
      ? {
        hostname: "secllama",
        binds: [...own, ...beside],
        links: [{ at: "/proc/self/exe", to: map(target.executable) }],
        ...(companion ? { writable: writableFolder(companion, user) } : {}),
      }
      : null,
    handles,
    user,
    landlock: landlock
      ? {
        abi: caps.landlockAbi,
        rules: own.map((bind) => ({ path: bind.to, access: landlockAccess(bind) })),
      }
      : null,
    seccomp: seccomp ? gpu : null,
    filter: companion ? "runner with an engine" : "runner",
    limits: limitsOf(target, { namespaces, root }),
    exec: {
      path: map(target.executable),
      argv: [map(target.executable), ...translate(target.args, map)],
      env: ENVIRONMENT,
    },
    companion: companion
      ? companionSpec(companion, {
        abi: caps.landlockAbi,
        runner: own.filter(({ from, kind }) =>
          kind !== "content" && from !== target.executable || companion.shared.includes(from)
        ),
        beside,
        access: landlockAccess,
        map,
        limits: limitsOf(target, { namespaces, root }),
      })
      : null,
  };
  const argv = namespaces
    ? [
      STARTER,
      caps.unshare!,
      ...unshareArgs(caps.uid, caps.namespaces.privateRoot),
      "--",
      LAUNCHER,
    ]
    : [STARTER, LAUNCHER];
  return {
    os: "linux",
    policy: [
      BASE_POLICY.name,
      ...(gpu === "none" ? [] : [GPU_POLICIES[gpu].name]),
      ...(companion ? [`${ENGINE_POLICY.name} (${companion.kind})`] : []),
    ].join(" + "),
    level: !meets ? "weak" : namespaces && privateRoot && landlock ? "full" : "reduced",
    argv,
    env: ENVIRONMENT,
    layers: describeLayers(spec, caps, namespaces),
    warnings,
    forks: namespaces,
    launch: spec,
    pathMap: map,
  };
}

/** Why a process that asked for Landlock was refused (landlock_create_ruleset(2)). */
function landlockMissing(reason: string): string {
  switch (reason) {
    case "EOPNOTSUPP":
      return "it was switched off when the kernel started";
    case "ENOSYS":
      return "the kernel does not have it, or a filter around this process hides it";
    default:
      return `a filter around this process refuses it (${reason})`;
  }
}

function unsandboxed(target: RunnerTarget): LinuxPlan {
  const map = pathMapper(target, (path) => path);
  const names: LinuxLayerName[] = [
    "network namespace",
    "pid namespace",
    "private root",
    "landlock",
    "seccomp",
  ];
  return {
    os: "linux",
    policy: "none",
    level: "none",
    argv: [target.executable, ...translate(target.args, map)],
    env: ENVIRONMENT,
    layers: names.map((layer) => ({ layer, planned: false, detail: "disabled by the operator" })),
    warnings: ["sandbox disabled by the operator (SECLLAMA_ENABLE_SANDBOX=false)"],
    forks: false,
    launch: null,
    pathMap: map,
  };
}

function basename(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/**
 * What the launcher opens while it is root. Not what an argument names as it stands: Deno reads its bundle by path, and refuses
 * /proc to a program that has not all permissions.
 */
function handlesOf(target: RunnerTarget): Handle[] {
  const named = target.args.flatMap((arg) =>
    typeof arg !== "string" && "path" in arg ? [arg.path] : []
  );
  return [target.executable, ...target.readOnly.filter((path) => !named.includes(path))]
    .map((path, i) => ({ fd: LAUNCHER_FD + i, path, kept: path !== target.executable }));
}

/** Where the runner finds the paths that it is given. In a private root: `/app/exe/NAME` and, for the N-th, `/app/N/NAME`. */
function placement(
  target: RunnerTarget,
  privateRoot: boolean,
  handles: readonly Handle[],
): (path: string) => string {
  return (path) => {
    const handle = handles.find((handle) => handle.path === path);
    if (handle) return handlePath(handle.fd);
    if (!privateRoot) return path;
    if (path === target.executable) return `/app/exe/${basename(path)}`;
    return `/app/${target.readOnly.indexOf(path)}/${basename(path)}`;
  };
}

/** Host paths, and what is below them, as the runner sees them. */
function pathMapper(
  target: RunnerTarget,
  place: (path: string) => string,
): (hostPath: string) => string {
  const roots = [target.executable, ...target.readOnly];
  for (const path of roots) {
    if (!path.startsWith("/") || path.split("/").includes("..") || path.endsWith("/")) {
      throw new RangeError(`${path} must be an absolute path without .. and without a final slash`);
    }
  }
  return (hostPath) => {
    for (const from of roots) {
      if (hostPath !== from && !hostPath.startsWith(from + "/")) continue;
      if (hostPath.split("/").includes("..")) break;
      return place(from) + hostPath.slice(from.length);
    }
    throw new RangeError(`${hostPath} is not among the paths given to the runner`);
  };
}

function bindsOf(
  target: RunnerTarget,
  caps: Capabilities,
  map: (path: string) => string,
): Bind[] {
  const name = linuxGpu(target.gpu);
  const gpu = name === "none" ? null : GPU_POLICIES[name];
  const there = new Set(caps.files);
  const wanted = new Set([...BASE_POLICY.libraries, ...(gpu?.libraries ?? [])]);
  const [loader, ...libraries] = caps.libraries;
  const same = (kind: Bind["kind"]) => (path: string): Bind => ({ from: path, to: path, kind });
  return [
    { from: target.executable, to: map(target.executable), kind: "program" },
    ...(loader === undefined ? [] : [same("program")(loader)]),
    ...libraries.filter((path) => wanted.has(basename(path))).map(same("library")),
    ...target.readOnly.map((path): Bind => ({ from: path, to: map(path), kind: "content" })),
    ...BASE_POLICY.files.filter((file) => there.has(file.path))
      .map((file) => same(file.path.startsWith("/dev/") ? "device" : "data")(file.path)),
    ...(gpu?.files ?? []).filter((path) => there.has(path)).map(same("data")),
    ...(gpu?.devices ?? []).filter((path) => there.has(path)).map(same("device")),
  ];
}

function landlockAccess(bind: Bind): Access {
  if (bind.kind === "program") return "rx";
  if (bind.kind !== "device") return "r";
  return BASE_POLICY.files.find((file) => file.path === bind.from)?.access ?? "rw";
}

function limitsOf(
  target: RunnerTarget,
  o: { namespaces: boolean; root: boolean },
): Limits {
  const { nproc, ...limits } = BASE_POLICY.limits;
  return {
    ...limits,
    // Outside a user namespace of its own, and under the operator's id, this counts all of the operator's threads.
    ...(nproc !== undefined && (o.namespaces || o.root) ? { nproc } : {}),
    ...(target.memory ? { data: target.memory.privateBytes } : {}),
  };
}

function groupLimits({ memory }: RunnerTarget): CgroupLimits {
  return {
    tasks: BASE_POLICY.tasks,
    ...(memory ? { memoryBytes: memory.groupBytes } : {}),
  };
}
