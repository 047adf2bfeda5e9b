/** Starts a command as it stands, on every system: three pipes, and no environment but the command's. */
import type { PlannedCommand } from "./types.ts";

/** How a command is started, besides what its plan says. */
export interface StartOptions {
  /** Default: this process's own. */
  readonly cwd?: string;
  /** Default `piped`. */
  readonly stderr?: "piped" | "inherit";
}

/** As Deno's own command takes it. */
export function commandOptions(
  { env }: Pick<PlannedCommand, "env">,
  { cwd, stderr = "piped" }: StartOptions = {},
): Deno.CommandOptions {
  return {
    env: { ...env },
    clearEnv: true,
    ...(cwd === undefined ? {} : { cwd }),
    stdin: "piped",
    stdout: "piped",
    stderr,
  };
}

/** @throws If the program cannot be started. */
export function spawnCommand(
  command: PlannedCommand,
  options: StartOptions = {},
): Deno.ChildProcess {
  const [program, ...args] = command.argv;
  return new Deno.Command(program!, { ...commandOptions(command, options), args }).spawn();
}
