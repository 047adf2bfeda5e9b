/** Runs a program to its end with nothing but the environment that it is given. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** With `timeoutSeconds`, timeout(1) ends it with all that it started. */
export async function runToEnd(
  argv: readonly string[],
  o: { env: Record<string, string>; cwd?: string; timeoutSeconds?: number },
): Promise<Ended> {
  const [program, ...args] = o.timeoutSeconds === undefined
    ? argv
    : ["/usr/bin/timeout", "--kill-after=5", String(o.timeoutSeconds), ...argv];
  const { code, stdout, stderr } = await new Deno.Command(program!, {
    args,
    env: o.env,
    clearEnv: true,
    cwd: o.cwd ?? "/",
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
