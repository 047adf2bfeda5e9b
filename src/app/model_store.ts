/** The model store that this installation and the settings name. */
import type { Settings } from "../config/settings.ts";
import { ModelPolicy } from "../models/policy.ts";
import { ModelStore } from "../models/store.ts";
import type { Installation } from "./installation.ts";

/**
 * `<data folder>/models`, the Ollama folder that `OLLAMA_MODELS` or the config file names, and the demo model.
 * @throws {SecLlamaError} `model-store-unreadable`.
 */
export async function openModelStore(
  { config, modelsDir }: Pick<Settings, "config" | "modelsDir">,
  installation: Installation,
): Promise<ModelStore> {
  return await ModelStore.open(modelsDir, {
    ollamaDir: config.ollamaModels || undefined,
    embeddedDemo: await installation.demoModel(),
    readsPictures: await installation.readsPictures(),
    ...(config.modelPolicy === "" ? {} : { policy: new ModelPolicy(config.modelPolicy) }),
  });
}
