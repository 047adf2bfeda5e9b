/**
 * `deno task vision`: builds llama.cpp's multimodal library (`libmtmd`) from the source that the pinned package carries,
 * against the package's own `libllama`, and puts it where the gateway looks for it.
 *
 * The package holds the whole source as a git bundle; no network is used. The same compiler makes the same bytes each time: no path
 * of this machine and no time is in them. It takes some minutes of processor time.
 *
 *     deno run -A scripts/vision/build.ts [--output build/vision/linux-x64/libmtmd.so] [--if-missing]
 */
import { dirname, join, resolve } from "node:path";
import { librarySetFor } from "../../runner/engine/library.ts";
import { libraryFolder } from "../compile_libraries.ts";
import { TARGETS } from "../compile_targets.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const BUNDLE = "node_modules/node-llama-cpp/llama/gitRelease.bundle";

/** The commit that the package's libraries were built from: another one may lay out its structs in another way. */
const COMMIT = "80fb11ac73e66d89eae2c6a91d8a77428fa733ed";

/** As llama.cpp's own build has them, but for video, which would start `ffmpeg`. */
const FLAGS = [
  "-O2",
  "-fPIC",
  "-fvisibility=hidden",
  "-w",
  "-DNDEBUG",
  "-DLLAMA_BUILD",
  "-DLLAMA_SHARED",
  "-DGGML_SHARED",
  "-DGGML_BACKEND_SHARED",
];

if (import.meta.main) await main(Deno.args);

async function main(args: readonly string[]): Promise<void> {
  const at = args.indexOf("--output");
  const output = resolve(ROOT, args[at + 1] && at >= 0 ? args[at + 1]! : defaultOutput());
  if (args.includes("--if-missing") && await isFile(output)) return;
  for (const program of ["git", "g++"]) {
    if (!await has(program)) {
      console.error(`error: ${program} is not installed`);
      console.error("hint: on Debian, as root: apt-get install --no-install-recommends git g++");
      Deno.exit(1);
    }
  }
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
  const target = TARGETS.find(({ triple }) => triple === Deno.build.target);
  if (Deno.build.os !== "linux" || !target) throw new Error("libmtmd is built on Linux only");
  const libraries = await libraryFolder(target, librarySetFor(`linux-${Deno.build.arch}`));
  const folder = await Deno.makeTempDir({ prefix: "secllama-vision-" });
  try {
    const source = join(folder, "llama.cpp");
    await run("git", ["clone", "--quiet", join(ROOT, BUNDLE), source]);
    const head = (await run("git", ["-C", source, "rev-parse", "HEAD"])).trim();
    if (head !== COMMIT) throw new Error(`the package carries ${head}, must carry ${COMMIT}`);
    const built = await compile(source, folder, libraries);
    await Deno.mkdir(dirname(output), { recursive: true });
    // Under its name only when whole: another process may look for it now.
    await Deno.copyFile(built, `${output}.new`);
    await Deno.rename(`${output}.new`, output);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compile(source: string, folder: string, libraries: string): Promise<string> {
  const tools = join(source, "tools/mtmd");
  const files = [
    ...["clip", "mtmd", "mtmd-audio", "mtmd-image", "mtmd-helper", "mtmd-helper-gen"]
      .map((name) => `${tools}/${name}.cpp`),
    ...[...Deno.readDirSync(`${tools}/models`)].map(({ name }) => name)
      .filter((name) => name.endsWith(".cpp")).sort().map((name) => `${tools}/models/${name}`),
    ...["hash.cpp", "xxhash/xxhash.c", "sha1/sha1.c", "sha256/sha256.c"]
      .map((name) => `${source}/vendor/hash/${name}`),
  ];
  const includes = ["include", "ggml/include", "vendor", "vendor/hash", "tools/mtmd"]
    .map((name) => `-I${source}/${name}`);
  const waiting = files.map((file, index) => ({ file, object: `${folder}/${index}.o` }));
  const objects = waiting.map(({ object }) => object);
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      // As CMake does it there: sha1.c lies in a namespace, the others are C.
      const isC = next.file.endsWith(".c") && !next.file.endsWith("sha1.c");
      const language = isC ? ["-x", "c"] : ["-x", "c++", "-std=c++17"];
      const paths = [`-ffile-prefix-map=${source}=.`];
      await run("g++", [
        ...language,
        ...FLAGS,
        ...paths,
        ...includes,
        "-c",
        next.file,
        "-o",
        next.object,
      ]);
    }
  };
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, work));
  const output = `${folder}/libmtmd.so`;
  await run("g++", [
    "-shared",
    "-Wl,-soname,libmtmd.so",
    "-Wl,--build-id=none",
    "-Wl,-rpath,$ORIGIN",
    "-Wl,--no-undefined",
    "-s",
    ...objects,
    ...["libllama.v0.4.0.so", "libggml.v0.4.0.so", "libggml-base.so"].map((n) =>
      `${libraries}/${n}`
    ),
    "-lpthread",
    "-lm",
    "-o",
    output,
  ]);
  return output;
}

/** @returns What it printed. @throws {Error} If it fails, with what it said. */
async function run(program: string, args: readonly string[]): Promise<string> {
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

async function has(program: string): Promise<boolean> {
  return await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" })
    .output().then(({ success }) => success, () => false);
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((one) => one.isFile, () => false);
}
