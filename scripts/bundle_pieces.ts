/** Bundles the program in pieces, so that a command loads no more than it needs: for the compiled program, and for tests. */
import { join } from "node:path";

const ROOT = new URL("../", import.meta.url).pathname;

/** Programs of threads, without `.ts`, which nothing imports: src/worker.ts starts them by these names. */
export const WORKERS: readonly string[] = [
  "history/worker_main",
  "documents/parse_main",
  "documents/parse_pdf_main",
  "documents/scan_main",
];

/**
 * Writes `main.js`, the threads' programs and their pieces.
 * @param folder Where; it is made.
 * @param env All of the bundler's environment; undefined: this one's.
 * @throws {Error} What the bundler says.
 */
export async function bundlePieces(folder: string, env?: Record<string, string>): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform=deno", "--code-splitting", "--outdir", folder],
      ...["main.ts", ...WORKERS.map((path) => `src/${path}.ts`)],
    ],
    ...(env ? { env, clearEnv: true } : {}),
    cwd: ROOT,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trimEnd());
  await lightenAll(folder);
}

async function lightenAll(folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) await lightenAll(path);
    if (!name.endsWith(".js")) continue;
    const text = await Deno.readTextFile(path);
    const light = withoutModuleLoader(text);
    if (light !== text) await Deno.writeTextFile(path, light);
  }
}

/** How the bundler lets CommonJS packages load what is the runtime's. */
const LOADER =
  /^import \{ createRequire as (\w+) \} from "node:module";\nvar (\w+) = \1\(import\.meta\.url\);$/m;
/** Not the bundler's own functions, of which one is named alike. */
const OTHERS = [/^import .*"node:module";$/m, /\b__require\d*\((?!"node:[\w/]+"\)|\) \{)[^)]*\)/];

/**
 * The piece without Node's module loader. Every command would load it for its `require`, which takes a third of its time; packages of
 * the program ask that for the runtime's own modules only.
 * @throws {Error} If there is another way to it than the known one, or a package asks for something else.
 */
export function withoutModuleLoader(piece: string): string {
  const light = piece.replace(
    LOADER,
    "var $2 = (name) => globalThis.process.getBuiltinModule(name);",
  );
  const [other] = OTHERS.map((pattern) => pattern.exec(light)?.[0]).filter((found) => found);
  if (other !== undefined) {
    throw new Error(`a bundled package wants Node's module loader: ${other.trim()}`);
  }
  return light;
}
