/** Where an Ollama on this machine keeps its models, so that nobody has to fetch them twice. */
import { join } from "node:path";

type Env = { readonly [name: string]: string | undefined };

/**
 * The first of Ollama's usual folders that is there and holds manifests: the user's own, then that of its system service on Linux.
 * It is read by name only; nothing in it is opened.
 */
export async function findOllamaStore(
  env: Env,
  os: typeof Deno.build.os = Deno.build.os,
): Promise<string | undefined> {
  const home = os === "windows" ? env["USERPROFILE"] : env["HOME"];
  const places = [
    ...(home ? [join(home, ".ollama", "models")] : []),
    ...(os === "linux" ? ["/usr/share/ollama/.ollama/models"] : []),
  ];
  for (const place of places) {
    try {
      for await (const _ of Deno.readDir(join(place, "manifests"))) return place;
    } catch { /* not there, or not ours to read */ }
  }
  return undefined;
}

/** One sentence that offers the models of the folder. */
export function offerOllamaStore(folder: string): string {
  return `an Ollama store is in ${folder}; to use its models where they are: OLLAMA_MODELS=${folder}, ` +
    `or ollama_models = ${JSON.stringify(folder)} in config.toml`;
}
