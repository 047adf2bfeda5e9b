/**
 * Models that are too large, or not ours to keep in the repository: in the folder that SECLLAMA_TEST_MODELS names, else in
 * shared/models beside the checkout's folder.
 */
const ROOT = new URL("../../", import.meta.url).pathname;

/**
 * @param name Of a file in that folder.
 * @returns Its path; undefined: it is not there, and a line says which test does not run for that.
 */
export function sharedModel(name: string, test: string): string | undefined {
  const named = Deno.env.get("SECLLAMA_TEST_MODELS");
  const folders = named ? [named] : ["..", "../.."].map((up) => `${ROOT}${up}/shared/models`);
  for (const folder of folders) {
    const path = `${folder}/${name}`;
    try {
      if (Deno.statSync(path).isFile) return Deno.realPathSync(path);
    } catch {
      // The next folder may have it.
    }
  }
  console.log(
    `SKIP ${test}: there is no ${name} (a folder that has it: SECLLAMA_TEST_MODELS=FOLDER)`,
  );
  return undefined;
}

let stories: string | undefined | null = null;

/** The path of stories260K, a small model that others trained: in full runs, if it is there. Otherwise a line says why not, once. */
export function storiesModel(): string | undefined {
  if (stories !== null) return stories;
  const name = "tests named (stories)";
  if (Deno.env.get("SECLLAMA_FULL") === "1") return stories = sharedModel("stories260K.gguf", name);
  console.log(`SKIP ${name}: in full runs only`);
  return stories = undefined;
}
