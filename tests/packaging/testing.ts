/** Runs secllama, and other programs, in a folder of their own. */
import { join } from "node:path";
import { bundledProgram } from "../support/binary.ts";
import { type Ended, runToEnd } from "../support/run_to_end.ts";
import { denoDir } from "../support/deno_dir.ts";

export { runToEnd };

export const ROOT = new URL("../../", import.meta.url).pathname;

function bundledArgv(args: readonly string[]): string[] {
  return [Deno.execPath(), "run", "-A", "--quiet", "--frozen", bundledProgram(), ...args];
}

/** `secllama ARGS`, bundled. */
export function secllama(
  args: readonly string[],
  env: Record<string, string>,
): Promise<Ended> {
  return runToEnd(bundledArgv(args), { env, cwd: ROOT });
}

export interface Shim extends Disposable {
  readonly path: string;
  readonly env: Record<string, string>;
}

/** An empty home whose PATH has a `secllama`. */
export async function shim(): Promise<Shim> {
  const path = await Deno.makeTempDir({ prefix: "secllama-packaging-" });
  const bin = join(path, ".bin");
  await Deno.mkdir(bin);
  const words = bundledArgv([]).map((word) => `'${word}'`).join(" ");
  await Deno.writeTextFile(join(bin, "secllama"), `#!/bin/sh\nexec ${words} "$@"\n`, {
    mode: 0o755,
  });
  return {
    path,
    env: { HOME: path, PATH: `${bin}:/usr/bin:/bin`, LANG: "C.UTF-8", DENO_DIR: denoDir() },
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}
