/** llama.cpp's libraries for a target: from node_modules where they are this machine's, else from the npm registry. */
import { join } from "node:path";
import type { LibrarySet } from "../runner/engine/digests.ts";
import { sha256 } from "./compile_parts.ts";
import type { Target } from "./compile_targets.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/**
 * The files of the set, each compared with its pinned digest.
 * @throws {Error} If one is missing or another.
 */
export async function obtainLibraries(
  target: Target,
  set: LibrarySet,
): Promise<{ name: string; bytes: Uint8Array }[]> {
  const folder = await libraryFolder(target, set);
  const out = [];
  for (const [name, digest] of Object.entries(set.files).sort()) {
    const bytes = await Deno.readFile(join(folder, name));
    if (sha256(bytes) !== digest) throw new Error(`${set.package}: ${name} is not the pinned one`);
    out.push({ name, bytes });
  }
  return out;
}

/** Where they lie: fetched if this machine has not installed them. */
export async function libraryFolder(target: Target, set: LibrarySet): Promise<string> {
  const inside = `bins/${target.npm.name}`;
  const installed = join(
    ROOT,
    "node_modules/.deno",
    set.package.replace("/", "+"),
    "node_modules/@node-llama-cpp",
    target.npm.name,
    inside,
  );
  if (await Deno.stat(installed).then(() => true, () => false)) return installed;
  const folder = join(ROOT, "build/libraries", target.npm.name);
  await Deno.mkdir(folder, { recursive: true });
  if (!await Deno.stat(join(folder, "package", inside)).then(() => true, () => false)) {
    const run = async (program: string, args: string[]) => {
      const { success } = await new Deno.Command(program, { args, cwd: folder, stdout: "null" })
        .spawn().status;
      if (!success) throw new Error(`${program} ${args[0]} failed`);
    };
    await run("npm", ["pack", "--silent", set.package]);
    const [file] = [...Deno.readDirSync(folder)].filter((e) => e.name.endsWith(".tgz"));
    await run("tar", ["-xzf", file!.name]);
  }
  return join(folder, "package", inside);
}
