/** What the bundles and the program are made of, and when it was last changed. */

/** What the bundles import: files and folders of the repository. tests/bundle_sources_test.ts compares it with their imports. */
export const RUNNER_SOURCES: readonly string[] = ["src", "runner", "sandbox-profiles", "deno.lock"];

/** What the program imports or carries. */
export const PROGRAM_SOURCES: readonly string[] = [
  ...RUNNER_SOURCES,
  "main.ts",
  "docs",
  "packaging",
  "models/demo.gguf",
];

/**
 * When the newest of these files, or of the files in these folders, was changed: milliseconds since 1970. A file that is not there
 * is as old as can be.
 */
export async function newest(paths: readonly string[]): Promise<number> {
  let latest = 0;
  for (const path of paths) {
    const info = await Deno.stat(path).catch(() => undefined);
    if (info === undefined) continue;
    if (!info.isDirectory) latest = Math.max(latest, info.mtime!.getTime());
    else {
      const inside = [...Deno.readDirSync(path)].map(({ name }) => `${path}/${name}`);
      latest = Math.max(latest, await newest(inside));
    }
  }
  return latest;
}
