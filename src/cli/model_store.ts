/** The model store that this installation and the environment name. */
import { join } from "node:path";
import { dataDirectory } from "../config/paths.ts";
import { ModelStore } from "../models/store.ts";
import { embeddedDemoPath, type Starter } from "./roles.ts";

/**
 * The store that the environment names: `<data folder>/models`, and the folder of `OLLAMA_MODELS` if it is set.
 * @throws {SecLlamaError} `bad-config`, `model-store-unreadable`.
 */
export async function openModelStore(starter: Starter): Promise<ModelStore> {
  const { env } = starter;
  return await ModelStore.open(join(dataDirectory(env), "models"), {
    ollamaDir: env["OLLAMA_MODELS"] || undefined,
    embeddedDemo: await embeddedDemoPath(starter),
  });
}
