/**
 * llama.cpp's source, which the pinned package carries as a git bundle, and compiling from it without a network. The same compiler
 * makes the same bytes each time: no path of this machine and no time is in them.
 */
import { join, resolve } from "node:path";
import { librarySetFor } from "../runner/engine/library.ts";
import { libraryFolder } from "./compile_libraries.ts";
import { TARGETS } from "./compile_targets.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const BUNDLE = "node_modules/node-llama-cpp/llama/gitRelease.bundle";

/** The commit that the package's libraries were built from: another one may lay out its structs in another way. */
export const COMMIT = "80fb11ac73e66d89eae2c6a91d8a77428fa733ed";

/** As llama.cpp's own build has them. */
export const FLAGS = [
  "-O2",
  "-fPIC",
  "-w",
  "-DNDEBUG",
  "-DLLAMA_SHARED",
  "-DGGML_SHARED",
  "-DGGML_BACKEND_SHARED",
];

/** stb_image shows of a broken JPEG the memory that it has not written: zeros, and not another's picture. */
export const ZEROED = [
  "-DSTBI_MALLOC(n)=calloc(1,n)",
  "-DSTBI_REALLOC(p,n)=realloc(p,n)",
  "-DSTBI_FREE(p)=free(p)",
];

/** The package's own libraries, which what is built is linked to. */
export const LLAMA_LIBRARIES = ["libllama.v0.4.0.so", "libggml.v0.4.0.so", "libggml-base.so"];

/** Where `--output PATH` puts what is built, else `standard`, from the project's folder. */
export function outputOf(args: readonly string[], standard: string): string {
  const at = args.indexOf("--output");
  return resolve(ROOT, (at >= 0 && args[at + 1]) || standard);
}

/** A clone of the source in `folder`, which must not exist. @throws {Error} If the package carries another source. */
export async function cloneSource(folder: string): Promise<void> {
  await run("git", ["clone", "--quiet", join(ROOT, BUNDLE), folder]);
  const head = (await run("git", ["-C", folder, "rev-parse", "HEAD"])).trim();
  if (head !== COMMIT) throw new Error(`the package carries ${head}, must carry ${COMMIT}`);
}

/** Where the package's libraries for this machine are. @throws {Error} On another system than Linux. */
export async function ownLibraries(): Promise<string> {
  const target = TARGETS.find(({ triple }) => triple === Deno.build.target);
  if (Deno.build.os !== "linux" || !target) throw new Error("this is built on Linux only");
  return await libraryFolder(target, librarySetFor(`linux-${Deno.build.arch}`));
}

/**
 * Compiles each file, as many at a time as there are processors.
 * @param source The clone, of which no path shows in what is made.
 * @param files C++, or C where they end in .c and `isC` says so.
 * @returns The objects, in the files' order.
 * @throws {Error} With what the compiler said.
 */
export async function compileObjects(
  o: {
    readonly source: string;
    readonly folder: string;
    readonly files: readonly string[];
    readonly flags: readonly string[];
    readonly includes: readonly string[];
    readonly isC?: (file: string) => boolean;
  },
): Promise<string[]> {
  const waiting = o.files.map((file, index) => ({ file, object: `${o.folder}/${index}.o` }));
  const objects = waiting.map(({ object }) => object);
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const language = o.isC?.(next.file) ? ["-x", "c"] : ["-x", "c++", "-std=c++17"];
      await run("g++", [
        ...language,
        ...o.flags,
        `-ffile-prefix-map=${o.source}=.`,
        `-ffile-prefix-map=${ROOT}=./`,
        ...o.includes.map((name) => `-I${o.source}/${name}`),
        "-c",
        next.file,
        "-o",
        next.object,
      ]);
    }
  };
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, work));
  return objects;
}

/** The C++ files of a folder, by name; none if it is not there. */
export function sourcesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.endsWith(".cpp")).sort().map((name) => `${folder}/${name}`);
}

/** @returns What it printed. @throws {Error} If it fails, with what it said. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) {
    const said = new TextDecoder().decode(stderr).slice(-2000);
    throw new Error(`${program} ${args.at(-1)} failed:\n${said}`);
  }
  return new TextDecoder().decode(stdout);
}

/** Ends the script, with what to do, if a program is not installed. */
export async function mustHave(programs: readonly string[]): Promise<void> {
  for (const program of programs) {
    const there = await new Deno.Command(program, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).output().then(({ success }) => success, () => false);
    if (there) continue;
    console.error(`error: ${program} is not installed`);
    console.error("hint: on Debian, as root: apt-get install --no-install-recommends git g++");
    Deno.exit(1);
  }
}

/** Puts what was built under its name, once it is whole: another process may look for it now. */
export async function place(built: string, output: string): Promise<void> {
  await Deno.mkdir(output.slice(0, output.lastIndexOf("/")), { recursive: true });
  await Deno.copyFile(built, `${output}.new`);
  await Deno.rename(`${output}.new`, output);
}
