/**
 * `deno task vision`: builds llama.cpp's multimodal library (`libmtmd`) from the source that the pinned package carries,
 * against the package's own `libllama`, and puts it where the gateway looks for it. It takes some minutes of processor time.
 *
 *     deno run -A scripts/vision/build.ts [--output build/vision/linux-x64/libmtmd.so] [--if-missing]
 */
import { join } from "node:path";
import {
  cloneSource,
  compileObjects,
  FLAGS,
  LLAMA_LIBRARIES,
  mustHave,
  outputOf,
  ownLibraries,
  place,
  run,
  sourcesIn,
} from "../llama_source.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** What is added to llama.cpp's own, and the function in it. */
const OWN = join(ROOT, "scripts/vision/picture.cpp");
const OWN_SYMBOL = "secllama_picture";
/** stb_image shows of a broken JPEG the memory that it has not written: zeros, and not another's picture. */
const ZEROED = [
  "-DSTBI_MALLOC(n)=calloc(1,n)",
  "-DSTBI_REALLOC(p,n)=realloc(p,n)",
  "-DSTBI_FREE(p)=free(p)",
];

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
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compile(source: string, folder: string, libraries: string): Promise<string> {
  const objects = await compileObjects({
    source,
    folder,
    files: [...visionSources(source), OWN],
    // As llama.cpp's own build has them, but for video, which would start `ffmpeg`.
    flags: [...FLAGS, "-fvisibility=hidden", "-DLLAMA_BUILD", ...ZEROED],
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

/** Whether it is there, and was built with what {@link OWN} adds. */
async function isCurrent(path: string): Promise<boolean> {
  return await Deno.readTextFile(path).then((text) => text.includes(OWN_SYMBOL), () => false);
}
