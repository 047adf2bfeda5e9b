/** What both service managers are to the commands, and how their programs are run. */
import type { RunProgram } from "../keys/stores/program.ts";
import { SecLlamaError } from "../errors.ts";

export interface InstallOptions {
  /** Absolute path of the program that the service starts. */
  readonly program: string;
  /** The proxy alone, for a gateway elsewhere. A user's service only. */
  readonly proxy: boolean;
  readonly start: boolean;
}

/** One line each of what was done, or would be. */
export interface Report {
  readonly done: readonly string[];
  readonly next: readonly string[];
}

export interface ServiceState {
  readonly name: string;
  readonly file: string;
  /** It only listens for another unit. */
  readonly socket: boolean;
  readonly installed: boolean;
  /** In the manager's own words: `active (running)`. */
  readonly state: string;
  readonly active: boolean;
  /** Starts by itself with the machine, or when the user logs in. */
  readonly enabled: boolean;
  readonly pid: number | null;
  readonly restarts: number | null;
  /** What the service last said of itself. */
  readonly says: string;
}

export interface ServiceManager {
  /** @throws {SecLlamaError} `not-supported`, `usage`, `key-refused`, `service-failed`. */
  install(options: InstallOptions): Promise<Report>;
  uninstall(): Promise<Report>;
  status(): Promise<ServiceState[]>;
}

/** Runs one of the manager's programs. @throws {SecLlamaError} `service-failed` with the last line that it said. */
export async function must(
  run: RunProgram,
  argv: readonly string[],
  env: Record<string, string>,
  hint: string,
): Promise<string> {
  const [program, ...args] = argv;
  const { code, stdout, stderr } = await run(program!, args, { env, timeoutMs: 15 * 60_000 })
    .catch((cause) => {
      throw new SecLlamaError("not-supported", `${program} could not be run`, { hint, cause });
    });
  if (code === 0) return new TextDecoder().decode(stdout);
  const said = stderr.trim().split("\n").at(-1) ?? "";
  throw new SecLlamaError(
    "service-failed",
    `${program!.split("/").at(-1)} ${
      args.filter((a) => !a.startsWith("-")).join(" ")
    } failed: ${said}`,
    { hint },
  );
}
