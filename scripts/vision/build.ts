/**
 * `deno task vision`: builds llama.cpp's multimodal library (`libmtmd`) from the source that the pinned package carries,
 * against the package's own `libllama`, and puts it where the gateway looks for it. It takes some minutes of processor time.
 *
 *     deno run -A scripts/vision/build.ts [--output build/vision/linux-x64/libmtmd.so] [--if-missing]
 */
import { join } from "node:path";
import {
  cloneSource,
  COMMIT,
  compileObjects,
  FLAGS,
  LLAMA_LIBRARIES,
  mustHave,
  outputOf,
  ownLibraries,
  place,
  run,
  sourcesIn,
  ZEROED,
} from "../llama_source.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** What is added to llama.cpp's own. */
const OWN = join(ROOT, "scripts/vision/picture.cpp");
/** As llama.cpp's own build has them, but for video, which would start `ffmpeg`. */
const VISION_FLAGS = [...FLAGS, "-fvisibility=hidden", "-DLLAMA_BUILD", ...ZEROED];
/** Ends the name of the file beside the library that says what it was made of. */
const RECIPE = ".made-of";

if (import.meta.main) await main(Deno.args);

async function main(args: readonly string[]): Promise<void> {
  const output = outputOf(args, defaultOutput());
  if (args.includes("--if-missing") && await isCurrent(output)) return;
  await mustHave(["git", "g++"]);
  await buildVision(output);
  console.log(output);
}

function defaultOutput(): string {
  return `build/vision/${Deno.build.os}-${Deno.build.arch}/libmtmd.so`;
}

/**
 * Builds the library. @param output Path of the file to be made; its folder is made if need be.
 * @throws {Error} If a program is missing or fails, or the package carries another source.
 */
export async function buildVision(output: string): Promise<void> {
  const libraries = await ownLibraries();
  const folder = await Deno.makeTempDir({ prefix: "secllama-vision-" });
  try {
    const source = join(folder, "llama.cpp");
    await cloneSource(source);
    await place(await compile(source, folder, libraries), output);
    await Deno.writeTextFile(`${output}${RECIPE}`, await recipe());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compile(source: string, folder: string, libraries: string): Promise<string> {
  const objects = await compileObjects({
    source,
    folder,
    files: [...visionSources(source), OWN],
    flags: VISION_FLAGS,
    includes: ["include", "ggml/include", "vendor", "vendor/hash", "tools/mtmd"],
    isC,
  });
  const output = `${folder}/libmtmd.so`;
  await run("g++", [
    "-shared",
    "-Wl,-soname,libmtmd.so",
    "-Wl,--build-id=none",
    "-Wl,-rpath,$ORIGIN",
    "-Wl,--no-undefined",
    "-s",
    ...objects,
    ...LLAMA_LIBRARIES.map((name) => `${libraries}/${name}`),
    "-lpthread",
    "-lm",
    "-o",
    output,
  ]);
  return output;
}

/** What the library is made of. */
export function visionSources(source: string): string[] {
  const tools = join(source, "tools/mtmd");
  return [
    ...["clip", "mtmd", "mtmd-audio", "mtmd-image", "mtmd-helper", "mtmd-helper-gen"]
      .map((name) => `${tools}/${name}.cpp`),
    ...sourcesIn(`${tools}/models`),
    ...["hash.cpp", "xxhash/xxhash.c", "sha1/sha1.c", "sha256/sha256.c"]
      .map((name) => `${source}/vendor/hash/${name}`),
  ];
}

/** As CMake does it there: sha1.c lies in a namespace, the others are C. */
export function isC(file: string): boolean {
  return file.endsWith(".c") && !file.endsWith("sha1.c");
}

/** What decides on its bytes, besides the compiler, as SHA-256 in hexadecimal. */
async function recipe(): Promise<string> {
  const own = await Deno.readTextFile(OWN);
  const text = new TextEncoder().encode([COMMIT, ...VISION_FLAGS, own].join("\n"));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex();
}

/** Whether it is there, and was made of what it would be made of now. */
async function isCurrent(path: string): Promise<boolean> {
  if (!await Deno.stat(path).then(() => true, () => false)) return false;
  const made = await Deno.readTextFile(`${path}${RECIPE}`).catch(() => "");
  return made === await recipe();
}
