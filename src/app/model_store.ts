/** The model store that this installation and the settings name. */
import { join } from "node:path";
import type { Settings } from "../config/settings.ts";
import { ModelStore } from "../models/store.ts";
import type { Installation } from "./installation.ts";

/**
 * `<data folder>/models`, the Ollama folder that `OLLAMA_MODELS` or the config file names, and the demo model.
 * @throws {SecLlamaError} `model-store-unreadable`.
 */
export async function openModelStore(
  { config, dataDir }: Pick<Settings, "config" | "dataDir">,
  installation: Installation,
): Promise<ModelStore> {
  return await ModelStore.open(join(dataDir, "models"), {
    ollamaDir: config.ollamaModels || undefined,
    embeddedDemo: await installation.demoModel(),
  });
}
