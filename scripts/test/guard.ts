/** Programs that end, with all that they have started, when whoever started them does, however that ends. */

/**
 * Runs $@ with everything that it starts in a process group of its own, which ends when standard input does: with the one that holds
 * its other end, however that ended, or when $@ is done. Servers that a test has left end too. Where TIMES names a file, it
 * gets what `times` says.
 */
const GUARD = `
exec 3<&0 </dev/null
(
  trap '' TERM
  cat <&3 >/dev/null 2>&1
  kill -TERM 0; sleep 1; kill -KILL 0
) >/dev/null 2>&1 &
exec 3<&-
"$@"
code=$?
if [ -n "$TIMES" ]; then times >"$TIMES"; fi
exit $code
`;

/** Starts a program so; its standard input is only held open. On Windows it is started as it is. */
export function spawnGuarded(
  argv: readonly [program: string, ...args: string[]],
  env: Readonly<Record<string, string>> = {},
): Deno.ChildProcess {
  const posix = Deno.build.os !== "windows";
  const [program, ...args] = posix ? ["/bin/sh", "-c", GUARD, "sh", ...argv] : argv;
  return new Deno.Command(program!, {
    args,
    env: { TIMES: "", ...env },
    detached: posix,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}
