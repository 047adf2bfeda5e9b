/**
 * What this Mac can enforce, found by trying: a profile that denies one file must make a reader of it fail, and a profile that
 * denies nothing must not. A `sandbox-exec` that runs its program without a sandbox is thus not believed. Never run on macOS.
 */
import { cacheFolder, type Macos } from "../../macos/libc.ts";
import { type MacosCapabilities, SANDBOX_EXEC } from "./plan.ts";

/** What the probe and the plan need of the system; tests put a fake here. */
export interface MacosHost {
  readonly arch: "aarch64" | "x86_64";
  readonly system: Pick<Macos, "confstr">;
  exists(path: string): boolean;
  realPath(path: string): string;
  /** Runs a program with an empty environment. @returns Its exit code; undefined: it could not be started, or hung. */
  run(argv: readonly string[]): Promise<number | undefined>;
}

/** Every user may read it, and it is on every Mac. */
const READABLE = "/private/etc/hosts";
const PROFILES = {
  open: "(version 1)(allow default)",
  closed: `(version 1)(allow default)(deny file-read-data (literal "${READABLE}"))`,
};

export async function probeMacos(host: MacosHost): Promise<MacosCapabilities> {
  const { arch } = host;
  const userCacheDir = cacheFolder(host.system);
  const known = { arch, ...(userCacheDir === undefined ? {} : { userCacheDir }) };
  const reason = await whyNot(host);
  return reason === "" ? { sandboxExec: true, ...known } : { sandboxExec: false, reason, ...known };
}

/** "" if sandbox-exec isolates. */
async function whyNot(host: MacosHost): Promise<string> {
  if (!host.exists(SANDBOX_EXEC)) return `sandbox-exec not found at ${SANDBOX_EXEC}`;
  const read = (profile: string) =>
    host.run([SANDBOX_EXEC, "-p", profile, "--", "/bin/cat", READABLE]);
  if (await read(PROFILES.open) !== 0) return "sandbox-exec does not run a program";
  const closed = await read(PROFILES.closed);
  if (closed === undefined) return "sandbox-exec did not end";
  return closed === 0 ? "sandbox-exec succeeded but did not isolate" : "";
}

const TIMEOUT_MS = 5_000;

/** The Mac that this process runs on. */
export function thisHost(system: Macos): MacosHost {
  return {
    arch: Deno.build.arch,
    system,
    exists(path) {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    },
    realPath: (path) => Deno.realPathSync(path),
    async run([program, ...args]) {
      try {
        const child = new Deno.Command(program!, {
          args,
          clearEnv: true,
          stdin: "null",
          stdout: "null",
          stderr: "null",
          signal: AbortSignal.timeout(TIMEOUT_MS),
        }).spawn();
        const { code, signal } = await child.status;
        return signal === null ? code : undefined;
      } catch {
        return undefined;
      }
    },
  };
}
