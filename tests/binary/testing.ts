/** Runs the compiled program in a home of its own. */
import { join } from "node:path";
import { compiledProgram, sharedCache } from "../support/binary.ts";
import { type Ended, runToEnd as toEnd } from "../support/run_to_end.ts";
import { HANG_MS } from "../support/patience.ts";

export const IGNORE = compiledProgram() === "";
/** Mounts and other users need root. */
export const ROOT_ONLY = IGNORE || Deno.uid() !== 0;
if (!IGNORE && ROOT_ONLY) console.log("skipped: tests that mount a file system need root");

export interface Home extends AsyncDisposable {
  readonly home: string;
  /** The folder that parts are unpacked to. */
  readonly cache: string;
  readonly env: Record<string, string>;
}

/** @param unpacked What the program unpacked is shared by all tests; "here": it unpacks to `cache`, which is not there yet. */
export async function emptyHome(unpacked: "here" | "shared" = "shared"): Promise<Home> {
  const shared = unpacked === "shared" && !IGNORE ? { XDG_CACHE_HOME: sharedCache() } : {};
  const home = await Deno.makeTempDir({ prefix: "secllama-binary-" });
  return {
    home,
    cache: join(home, ".cache/secllama"),
    env: { HOME: home, PATH: "/usr/bin:/bin", LANG: "C.UTF-8", ...shared },
    [Symbol.asyncDispose]: () => Deno.remove(home, { recursive: true }),
  };
}

const TIMEOUT_SECONDS = HANG_MS / 1000;

/** Runs any program to its end with nothing but `env`. */
export function runToEnd(
  argv: readonly string[],
  o: { env: Record<string, string>; cwd?: string },
): Promise<Ended> {
  return toEnd(argv, { ...o, timeoutSeconds: TIMEOUT_SECONDS });
}

/** `secllama ARGS`, compiled. */
export function run(args: readonly string[], home: Pick<Home, "env">): Promise<Ended> {
  return runToEnd([compiledProgram(), ...args], { env: home.env });
}

/** The unpacked folder, of which there must be one. */
export function onlyFolder(cache: string): string {
  const names = [...Deno.readDirSync(cache)].filter((e) => e.isDirectory).map((e) => e.name);
  if (names.length !== 1) throw new Error(`in the cache: ${names.join(", ")}`);
  return join(cache, names[0]!);
}
