/** The bundled and the compiled program that the tests use, and what they need to know of its inside. */
import { join } from "node:path";
import { PIECES, PROGRAM_ENTRY } from "../../scripts/test/program.ts";
import { oneBuildAtATime } from "./start_lock.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PROGRAM = join(ROOT, "build/test/secllama");

let made: string | undefined;

/**
 * Path of the compiled program, built now if it is older than the source. "": there is no test base for this system, and a
 * line says so.
 * @throws {Error} If it cannot be built.
 */
export function compiledProgram(): string {
  if (made !== undefined) return made;
  // scripts/test.ts has just built it.
  if (Deno.env.get("TESTS_BUILT") === "1") return made = PROGRAM;
  if (Deno.build.target !== "x86_64-unknown-linux-gnu") {
    console.log(`skipped: the test base is for x86_64 Linux, not for ${Deno.build.target}`);
    return made = "";
  }
  oneBuildAtATime(() => {
    deno(["task", "--quiet", "bundle"]);
    deno([
      "run",
      "-A",
      "--frozen",
      "scripts/compile.ts",
      "--testbase",
      "--if-changed",
      "--output",
      PROGRAM,
    ]);
  });
  return made = PROGRAM;
}

let bundled: string | undefined;

/** What `deno run` is given to run the bundled program of scripts/test/program.ts, made now if it is older than the source. */
export function bundledProgram(): string {
  if (bundled !== undefined) return bundled;
  if (Deno.env.get("TESTS_BUNDLED") !== "1") {
    oneBuildAtATime(() => {
      deno(["task", "--quiet", "bundle"]);
      deno(["run", "-A", "--frozen", "scripts/test/program.ts", "--if-changed"]);
    });
  }
  return bundled = PROGRAM_ENTRY;
}

/** The folder of its pieces, of which `main.js` can be run wherever they are. */
export function bundledPieces(): string {
  return join(bundledProgram(), "..", PIECES);
}

/** Runs it to its end. @throws {Error} What it wrote, if it fails. */
function deno(args: string[]): void {
  const { code, stderr } = new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    stdout: "null",
    stderr: "piped",
  }).outputSync();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
}

let cache: string | undefined;

/** A cache folder that the tests of one run share, so that not each of them unpacks. */
export function sharedCache(): string {
  // scripts/test.ts removes its own.
  cache ??= Deno.env.get("TESTS_CACHE");
  if (cache === undefined) {
    const folder = cache = Deno.makeTempDirSync({ prefix: "secllama-cache-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  }
  return cache;
}
