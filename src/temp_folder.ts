/** Folders of this process's own: gone once they are disposed of, and also where the process must end at once. */

const there = new Set<string>();

/** A new folder, as `Deno.makeTempDir` makes it. Disposing of it removes it with all that is in it. */
export async function tempFolder(
  options: Deno.MakeTempOptions,
): Promise<{ readonly path: string } & Disposable> {
  const path = await Deno.makeTempDir(options);
  there.add(path);
  return { path, [Symbol.dispose]: () => remove(path) };
}

/** Removes all that are still there, for a process that ends without disposing of them. */
export function removeTempFolders(): void {
  for (const path of there) remove(path);
}

function remove(path: string): void {
  there.delete(path);
  try {
    Deno.removeSync(path, { recursive: true });
  } catch { /* what was started still writes into it, or somebody was faster */ }
}
