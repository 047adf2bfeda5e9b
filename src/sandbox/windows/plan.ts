/**
 * The Windows plan: an AppContainer without capabilities, a job of one process, and firewall rules where the gateway is
 * elevated. Pure. What calls CreateAppContainerProfile and CreateProcessW is the launcher, which is told by `launch`.
 *
 * None of this has been run on Windows.
 */
import { createHash } from "node:crypto";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { translate } from "../arguments.ts";
import type { LaunchedTarget, Plan, SandboxMode } from "../types.ts";
import { type FirewallCommands, firewallCommands } from "./firewall.ts";
import { ATTRIBUTES, CREATION_FLAGS, JOB_LIMITS, WINDOWS_POLICY } from "./policy.ts";
import { plural } from "../../plural.ts";

export interface WindowsCapabilities {
  /** Whether userenv.dll has CreateAppContainerProfile and a trial of it worked. */
  readonly appContainer: boolean;
  /** Whether the gateway's token is elevated. */
  readonly elevated: boolean;
  /** "C:\\Windows" */
  readonly systemRoot: string;
  /** Tells this runner's rules and container from those of others: letters, digits, dashes; the gateway's pid will do. */
  readonly instance: string;
}

export type WindowsLayerName =
  | "appcontainer"
  | "job"
  | "no child process"
  | "inherited handles"
  | "limits"
  | "firewall"
  | "dies with the gateway";

/** What the launcher is told; it must refuse an `os` that is not its own. */
export interface WindowsLaunchSpec {
  readonly version: 1;
  readonly os: "windows";
  readonly appContainer: {
    readonly name: string;
    readonly displayName: string;
    readonly description: string;
    /** SECURITY_CAPABILITIES; empty: no network, not even loopback. */
    readonly capabilities: readonly string[];
    /** Rights given to the container's SID before, taken back after, together with the profile. */
    readonly grants: readonly { readonly path: string; readonly access: "read" | "read-execute" }[];
  } | null;
  readonly job: {
    readonly limits: readonly string[];
    readonly limitFlags: number;
    readonly activeProcesses: number;
    /** Of committed memory: mapped weights do not count. */
    readonly memoryBytes: number | null;
  };
  readonly process: {
    readonly creationFlags: number;
    readonly attributes: { readonly [name: string]: number };
    /** The only handles that are inherited. */
    readonly handles: readonly ["stdin", "stdout", "stderr"];
    readonly childProcesses: "restricted";
  };
  readonly exec: {
    readonly path: string;
    readonly argv: readonly string[];
    readonly env: { readonly [name: string]: string };
  };
}

export interface WindowsPlan extends Plan<WindowsLayerName> {
  readonly os: "windows";
  readonly launch: WindowsLaunchSpec | null;
  /** To be run around the runner by `withFirewallRules`; null: none. */
  readonly firewall: FirewallCommands | null;
}

/**
 * The plan for Windows.
 * @throws {SecLlamaError} `sandbox-unavailable` in strict mode with neither an AppContainer nor firewall rules.
 * @throws {RangeError} For a path that is not `X:\…`, or an instance that cannot be part of a name.
 */
export function makeWindowsPlan(
  target: LaunchedTarget,
  caps: WindowsCapabilities,
  mode: SandboxMode,
): WindowsPlan {
  if (!/^[A-Za-z0-9-]{1,16}$/.test(caps.instance)) {
    throw new RangeError(`${caps.instance} cannot be part of a name`);
  }
  plain(caps.systemRoot);
  const map = pathMapper(target);
  const env = {
    DENO_DIR: "NUL\\deno",
    DENO_NO_UPDATE_CHECK: "1",
    SystemRoot: caps.systemRoot,
  };
  const command = [target.executable, ...translate(target.args, map)];
  if (mode === "off") {
    const detail = "disabled by the operator";
    return {
      os: "windows",
      policy: "none",
      level: "none",
      argv: command,
      env,
      layers: (["appcontainer", "job", "no child process", "firewall"] as const)
        .map((layer) => ({ layer, planned: false, detail })),
      warnings: ["sandbox disabled by the operator (SECLLAMA_ENABLE_SANDBOX=false)"],
      forks: false,
      pathMap: map,
      launch: null,
      firewall: null,
    };
  }
  // A rule for an executable binds every process of it: from source, runner and gateway are both deno.exe.
  const shared = same(target.executable, target.launcher.executable);
  const rules = caps.elevated && !shared;
  const noRules = caps.elevated
    ? "the runner shares its executable with the gateway, which the rule would bind too"
    : "Access denied when creating firewall rules: not elevated";
  const warnings = [
    "the Windows sandbox has never been run on Windows by its authors",
    ...(caps.appContainer ? [] : ["no AppContainer: the runner may read your files"]),
    ...(rules ? [] : [`no firewall rules: ${noRules}`]),
    ...(rules && !caps.appContainer
      ? ["firewall rules alone leave loopback and the system's DNS client reachable"]
      : []),
  ];
  if (!caps.appContainer && !rules && mode === "strict") {
    throw new SecLlamaError(
      "sandbox-unavailable",
      `failed to apply sandbox: no AppContainer, and ${noRules}`,
      {
        hint: shared ? "use an installed build, and run as Administrator" : HINTS.administrator,
      },
    );
  }
  const id = `${hash([target.executable, ...target.readOnly])}-${caps.instance}`;
  const { limits, activeProcesses } = WINDOWS_POLICY.job;
  const memory = target.memory?.privateBytes ?? null;
  const jobLimits = [...limits, ...(memory === null ? [] : ["JOB_OBJECT_LIMIT_JOB_MEMORY"])];
  const { namePrefix, ...profile } = WINDOWS_POLICY.appContainer;
  const { PROC_THREAD_ATTRIBUTE_SECURITY_CAPABILITIES: security, ...attributes } = ATTRIBUTES;
  const launch: WindowsLaunchSpec = {
    version: 1,
    os: "windows",
    appContainer: caps.appContainer
      ? {
        name: `${namePrefix}.${id}`,
        ...profile,
        grants: [
          { path: target.executable, access: "read-execute" },
          ...target.readOnly.map((path) => ({
            path,
            // A model is one file and holds no code; folders hold libraries.
            access: /\\blobs\\[^\\]+$/i.test(path) ? "read" as const : "read-execute" as const,
          })),
        ],
      }
      : null,
    job: {
      limits: jobLimits,
      limitFlags: jobLimits.reduce((flags, name) => flags | flag(name), 0),
      activeProcesses,
      memoryBytes: memory,
    },
    process: {
      creationFlags: Object.values(CREATION_FLAGS).reduce((flags, value) => flags | value, 0),
      attributes: caps.appContainer
        ? { ...attributes, PROC_THREAD_ATTRIBUTE_SECURITY_CAPABILITIES: security }
        : attributes,
      handles: ["stdin", "stdout", "stderr"],
      childProcesses: "restricted",
    },
    exec: { path: target.executable, argv: command, env },
  };
  return {
    os: "windows",
    policy: WINDOWS_POLICY.name,
    level: caps.appContainer && rules ? "full" : caps.appContainer || rules ? "reduced" : "weak",
    argv: [
      target.launcher.executable,
      ...translate(target.launcher.args, (path) => path),
      JSON.stringify(launch),
    ],
    env,
    layers: describeLayers(launch, rules, noRules),
    warnings,
    forks: true,
    pathMap: map,
    launch,
    firewall: rules
      ? firewallCommands({
        rule: `SecLlama-runner-${id}`,
        program: target.executable,
        systemRoot: caps.systemRoot,
      })
      : null,
  };
}

function describeLayers(
  launch: WindowsLaunchSpec,
  rules: boolean,
  noRules: string,
): WindowsPlan["layers"] {
  const memory = launch.job.memoryBytes;
  const container = launch.appContainer;
  return [
    {
      layer: "appcontainer",
      planned: container !== null,
      detail: container === null
        ? "this Windows cannot make one"
        : `${plural(container.capabilities.length, "capability", "capabilities")}, ${
          plural(container.grants.length, "path")
        }`,
    },
    {
      layer: "job",
      planned: true,
      detail: plural(launch.job.activeProcesses, "process", "processes"),
    },
    { layer: "no child process", planned: true, detail: "child-process policy: restricted" },
    { layer: "inherited handles", planned: true, detail: launch.process.handles.join(", ") },
    {
      layer: "limits",
      planned: memory !== null,
      detail: memory === null ? "no memory limit was asked for" : `memory ${memory}`,
    },
    {
      layer: "firewall",
      planned: rules,
      detail: rules ? "blocks the runner's executable, in and out" : noRules,
    },
    { layer: "dies with the gateway", planned: true, detail: "the job ends with its last handle" },
  ];
}

function flag(name: string): number {
  const value = (JOB_LIMITS as { readonly [name: string]: number })[name];
  if (value === undefined) throw new RangeError(`${name} is not a known job limit`);
  return value;
}

function hash(paths: readonly string[]): string {
  const text = paths.map((path) => path.toLowerCase()).join("\0");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** Drive paths only: a UNC path would be read over the network. */
function plain(path: string): void {
  // deno-lint-ignore no-control-regex
  if (!/^[A-Za-z]:(\\[^\\/:*?"<>|\x00-\x1f]+)+$/.test(path) || /\\\.{1,2}(\\|$)/.test(path)) {
    throw new RangeError(`${path} must be like C:\\folder\\file, without . or ..`);
  }
}

function pathMapper(target: LaunchedTarget): (hostPath: string) => string {
  const roots = [target.executable, ...target.readOnly];
  roots.forEach(plain);
  return (hostPath) => {
    plain(hostPath);
    const inside = roots.some((root) =>
      same(root, hostPath) || hostPath.toLowerCase().startsWith(root.toLowerCase() + "\\")
    );
    if (!inside) throw new RangeError(`${hostPath} is not among the paths given to the runner`);
    return hostPath;
  };
}
