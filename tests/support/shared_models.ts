/**
 * Models that are too large, or not ours to keep in the repository: in the folder that SECLLAMA_TEST_MODELS names, else in
 * shared/models beside the checkout's folder.
 */
import { join, resolve } from "node:path";
import { ROOT } from "./serve.ts";

/**
 * @param name Of a file in that folder.
 * @returns Its path; undefined: it is not there, and a line says which test does not run for that.
 */
export async function sharedModel(name: string, test: string): Promise<string | undefined> {
  const named = Deno.env.get("SECLLAMA_TEST_MODELS");
  const folders = named
    ? [resolve(named)]
    : ["..", "../.."].map((up) => join(ROOT, up, "shared/models"));
  for (const folder of folders) {
    const path = join(folder, name);
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  console.log(
    `SKIP ${test}: there is no ${name} (a folder that has it: SECLLAMA_TEST_MODELS=FOLDER)`,
  );
  return undefined;
}
