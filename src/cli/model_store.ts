/** The model store that this installation and the settings name. */
import { join } from "node:path";
import { ModelStore } from "../models/store.ts";
import { embeddedDemoPath, type Starter } from "../app/program_paths.ts";
import { readSettings } from "./settings.ts";

/**
 * The store of the settings: `<data folder>/models`, and the Ollama folder that `OLLAMA_MODELS` or the config file names.
 * @throws {SecLlamaError} `bad-config`, `model-store-unreadable`.
 */
export async function openModelStore(starter: Starter): Promise<ModelStore> {
  const { config, dataDir } = await readSettings({ env: starter.env, values: {} });
  return await ModelStore.open(join(dataDir, "models"), {
    ollamaDir: config.ollamaModels || undefined,
    embeddedDemo: await embeddedDemoPath(starter),
  });
}
