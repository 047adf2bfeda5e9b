/**
 * The macOS plan: `sandbox-exec` with the profile of sandbox-profiles/macos.sb. Pure.
 *
 * None of this has been run on macOS. The profile is written from public ones and checked by a parser only; a rule too few
 * stops the runner from starting, which is the safe direction.
 */
import policy from "../../../sandbox-profiles/macos.json" with { type: "json" };
import profile from "../../../sandbox-profiles/macos.sb" with { type: "text" };
import { SecLlamaError } from "../../errors.ts";
import { translate } from "../arguments.ts";
import type { Plan, RunnerTarget, SandboxMode } from "../types.ts";

/** By absolute path: a program of that name elsewhere in PATH would isolate nothing. */
export const SANDBOX_EXEC = "/usr/bin/sandbox-exec";

export interface MacosCapabilities {
  /** Whether `SANDBOX_EXEC` is there and isolates. */
  readonly sandboxExec: boolean;
  /** Why it cannot be used; absent: it is not there. */
  readonly reason?: string;
  readonly arch: "aarch64" | "x86_64";
  /** DARWIN_USER_CACHE_DIR of confstr(3), where Metal keeps compiled shaders. Without it nothing is writable. */
  readonly userCacheDir?: string;
  /** realpath(3) of the target's paths: the kernel compares real paths, so a symbolic link in a rule never matches. */
  readonly realPaths?: { readonly [path: string]: string };
}

export type MacosLayerName =
  | "sandbox profile"
  | "no network"
  | "no name service"
  | "no other program"
  | "private files"
  | "no writes"
  | "metal"
  | "limits"
  | "dies with the gateway";

export interface MacosPlan extends Plan<MacosLayerName> {
  readonly os: "macos";
  /** The profile as it is given to sandbox-exec; null without a sandbox. */
  readonly profile: string | null;
  /** Values of the profile's `(param …)`. */
  readonly parameters: { readonly [name: string]: string };
}

export const MACOS_POLICY: {
  readonly name: string;
  readonly description: string;
  readonly deniedServices: readonly string[];
} = policy;

const ENVIRONMENT = { DENO_DIR: "/dev/null/deno", DENO_NO_UPDATE_CHECK: "1", LANG: "C.UTF-8" };
const SLOTS = 4;

/**
 * The plan for macOS. Any GPU of the target means Metal.
 * @throws {SecLlamaError} `sandbox-unavailable` in strict mode without sandbox-exec.
 * @throws {RangeError} For a path that is not absolute and plain, or more than four read-only paths.
 */
export function makeMacosPlan(
  target: RunnerTarget,
  caps: MacosCapabilities,
  mode: SandboxMode,
): MacosPlan {
  const map = pathMapper(target, caps);
  const metal = target.gpu !== "none";
  const command = [map(target.executable), ...translate(target.args, map)];
  const base = { os: "macos", env: ENVIRONMENT, forks: false, pathMap: map } as const;
  if (mode === "off" || !caps.sandboxExec) {
    const missing = caps.reason ?? `sandbox-exec not found at ${SANDBOX_EXEC}`;
    if (mode === "strict") {
      throw new SecLlamaError("sandbox-unavailable", `failed to apply sandbox: ${missing}`, {
        hint: "sandbox-exec is part of macOS: restore it, then run: secllama doctor",
      });
    }
    const why = mode === "off" ? "disabled by the operator" : missing;
    return {
      ...base,
      policy: "none",
      level: mode === "off" ? "none" : "weak",
      argv: command,
      layers: describeLayers({ on: false, why, metal, cache: false }),
      warnings: [
        mode === "off"
          ? "sandbox disabled by the operator (SECLLAMA_ENABLE_SANDBOX=false)"
          : `no sandbox: ${missing}; the runner may use the network and read your files`,
      ],
      profile: null,
      parameters: {},
    };
  }
  const cache = metal && caps.userCacheDir !== undefined;
  const reads = target.readOnly.map(map);
  if (reads.length > SLOTS) {
    throw new RangeError(`${reads.length} read-only paths, at most ${SLOTS}`);
  }
  const executable = map(target.executable);
  const parameters = {
    EXECUTABLE: executable,
    ...Object.fromEntries(
      Array.from({ length: SLOTS }, (_, i) => [`READ_${i}`, reads[i] ?? executable]),
    ),
    ...(cache
      ? {
        SHADER_CACHE: `${plain(realMacosPath(caps.userCacheDir!))}/${
          executable.slice(executable.lastIndexOf("/") + 1)
        }`,
      }
      : {}),
  };
  const text = composeProfile([
    ...(metal ? ["metal", `metal-${caps.arch}`] : []),
    ...(cache ? ["shader-cache"] : []),
  ]);
  return {
    ...base,
    policy: MACOS_POLICY.name,
    level: "full",
    argv: [
      SANDBOX_EXEC,
      ...Object.entries(parameters).flatMap(([name, value]) => ["-D", `${name}=${value}`]),
      "-p",
      text,
      "--",
      ...command,
    ],
    layers: describeLayers({ on: true, why: "", metal, cache }),
    warnings: ["the macOS sandbox has never been run on macOS by its authors"],
    profile: text,
    parameters,
  };
}

/** The profile with the wanted optional parts, without comments. @throws {RangeError} For a part that does not exist. */
export function composeProfile(parts: readonly string[]): string {
  const wanted = new Set(parts);
  const kept: string[] = [];
  let part: string | null = null;
  for (const line of profile.split("\n")) {
    const mark = /^; <(\/?)([a-z0-9_-]+)>$/.exec(line);
    if (mark) {
      part = mark[1] === "/" ? null : mark[2]!;
      if (part !== null) wanted.delete(part);
    } else if (line !== "" && !line.startsWith(";") && (part === null || parts.includes(part))) {
      kept.push(line);
    }
  }
  if (wanted.size > 0) throw new RangeError(`no such part: ${[...wanted].join(", ")}`);
  return kept.join("\n") + "\n";
}

/** /tmp, /var and /etc are links into /private on every macOS. */
function realMacosPath(path: string): string {
  return /^\/(tmp|var|etc)(\/|$)/.test(path) ? `/private${path}` : path;
}

function plain(path: string): string {
  const trimmed = path.endsWith("/") ? path.slice(0, -1) : path;
  // A newline or NUL could not be passed on; "/" would open everything.
  // deno-lint-ignore no-control-regex
  if (!/^\/[^\x00-\x1f]+$/.test(trimmed) || /\/(\.{0,2})(\/|$)/.test(trimmed)) {
    throw new RangeError(`${path} must be an absolute path without . or .. and not the root`);
  }
  return trimmed;
}

function pathMapper(
  target: RunnerTarget,
  caps: MacosCapabilities,
): (hostPath: string) => string {
  const roots = [target.executable, ...target.readOnly].map((path) =>
    [plain(path), plain(realMacosPath(caps.realPaths?.[path] ?? path))] as const
  );
  return (hostPath) => {
    for (const [from, to] of roots) {
      if (hostPath === from) return to;
      if (hostPath.startsWith(from + "/")) return plain(to + hostPath.slice(from.length));
    }
    throw new RangeError(`${hostPath} is not among the paths given to the runner`);
  };
}

function describeLayers(
  o: { on: boolean; why: string; metal: boolean; cache: boolean },
): MacosPlan["layers"] {
  const layer = (layer: MacosLayerName, detail: string) => ({
    layer,
    planned: o.on,
    detail: o.on ? detail : o.why,
  });
  return [
    layer("sandbox profile", "deny by default, in force before exec, inherited, irrevocable"),
    layer("no network", "every socket operation is denied, local ones too"),
    layer("no name service", "mDNSResponder, launch services, keychain and pasteboard unreachable"),
    layer("no other program", "no fork, no job, no exec but of itself"),
    layer("private files", "the program, its libraries, the one model, the system's libraries"),
    layer("no writes", o.cache ? "none but the program's shader cache" : "none"),
    {
      layer: "metal",
      planned: o.on && o.metal,
      detail: o.on ? (o.metal ? "the GPU's user client and its compiler" : "no GPU wanted") : o.why,
    },
    { layer: "limits", planned: false, detail: "sandbox-exec sets none" },
    {
      layer: "dies with the gateway",
      planned: false,
      detail: "macOS has no parent-death signal; the runner ends when its pipe closes",
    },
  ];
}
