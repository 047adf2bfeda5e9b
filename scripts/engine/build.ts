/**
 * Builds `llama-server` from the source that the pinned package carries, against the package's own `libllama`: the engine that the
 * tests put behind the door, and the peer of the benchmarks. Without curl, TLS, its web page and what starts programs. It takes
 * about ten minutes of processor time.
 *
 *     deno run -A scripts/engine/build.ts [--output build/engine/linux-x86_64] [--if-missing]
 *
 * The folder then holds `llama-server` and links to the libraries that it needs.
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
  ZEROED,
} from "../llama_source.ts";
import { isC, visionSources } from "../vision/build.ts";

/** vendor/cpp-httplib/CMakeLists.txt: what it sets, so that the server behaves as upstream's. */
const HTTP_FLAGS = [
  "-DCPPHTTPLIB_FORM_URL_ENCODED_PAYLOAD_MAX_LENGTH=1048576",
  "-DCPPHTTPLIB_LISTEN_BACKLOG=512",
  "-DCPPHTTPLIB_REQUEST_URI_MAX_LENGTH=32768",
  "-DCPPHTTPLIB_TCP_NODELAY=1",
];

if (import.meta.main) await main(Deno.args);

async function main(args: readonly string[]): Promise<void> {
  const output = outputOf(args, defaultEngineFolder());
  const there = await Deno.stat(`${output}/llama-server`).then(() => true, () => false);
  if (args.includes("--if-missing") && there) return;
  await mustHave(["git", "g++"]);
  await buildServer(output);
  console.log(`${output}/llama-server`);
}

/** Where it is put, from the project's folder. */
export function defaultEngineFolder(): string {
  return `build/engine/${Deno.build.os}-${Deno.build.arch}`;
}

/**
 * Builds the server. @param output The folder to be made.
 * @throws {Error} If a program is missing or fails, or the package carries another source.
 */
export async function buildServer(output: string): Promise<void> {
  const libraries = await ownLibraries();
  const folder = await Deno.makeTempDir({ prefix: "secllama-engine-" });
  try {
    const source = join(folder, "llama.cpp");
    await cloneSource(source);
    const built = await compile(source, folder, libraries);
    await place(built, `${output}/llama-server`);
    for await (const { name } of Deno.readDir(libraries)) {
      if (!/\.so(\.|$)/.test(name) || name.startsWith("libmtmd")) continue;
      await Deno.copyFile(`${libraries}/${name}`, `${output}/${name}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compile(source: string, folder: string, libraries: string): Promise<string> {
  const generated = `${folder}/generated`;
  await Deno.mkdir(generated);
  await run("g++", ["-O1", "-std=c++17", `${source}/tools/ui/embed.cpp`, "-o", `${folder}/embed`]);
  await run(`${folder}/embed`, [`${generated}/ui.cpp`, `${generated}/ui.h`]);
  await Deno.writeTextFile(`${generated}/build-info.cpp`, await buildInfo(source));
  const objects = await compileObjects({
    source,
    folder,
    files: [
      `${generated}/ui.cpp`,
      `${generated}/build-info.cpp`,
      ...sourcesIn(`${source}/common`).filter((file) => !file.endsWith("build-info.cpp")),
      ...sourcesIn(`${source}/common/jinja`),
      ...visionSources(source),
      ...sourcesIn(`${source}/tools/server`),
      `${source}/vendor/cpp-httplib/httplib.cpp`,
    ],
    flags: [...FLAGS, ...HTTP_FLAGS, ...ZEROED, `-I${generated}`],
    includes: [
      "include",
      "ggml/include",
      "ggml/src",
      "common",
      "vendor",
      "vendor/hash",
      "tools/mtmd",
      "tools/server",
      ".",
    ],
    isC,
  });
  const output = `${folder}/llama-server`;
  await run("g++", [
    "-Wl,--build-id=none",
    "-Wl,-rpath,$ORIGIN",
    "-s",
    ...objects,
    ...LLAMA_LIBRARIES.map((name) => `${libraries}/${name}`),
    `-Wl,-rpath-link,${libraries}`,
    "-lpthread",
    "-lm",
    "-ldl",
    "-o",
    output,
  ]);
  return output;
}

/** common/build-info.cpp.in, filled in without the commit's date. */
async function buildInfo(source: string): Promise<string> {
  const text = await Deno.readTextFile(`${source}/common/build-info.cpp.in`);
  return text.replace("@LLAMA_BUILD_NUMBER@", "0").replace("@LLAMA_BUILD_COMMIT@", "80fb11ac")
    .replace("@BUILD_COMPILER@", "g++").replace("@BUILD_TARGET@", Deno.build.target);
}
