/** The model store that this installation and the environment name. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dataDirectory } from "../config/paths.ts";
import { ModelStore } from "../models/store.ts";
import type { CommandContext } from "./command.ts";
import { compiledFolder } from "./roles.ts";

/** The demo model of this installation, if it is there. */
export function embeddedDemoPath(): string | undefined {
  // The runner maps the file itself, so the one that is inside a compiled program would not do.
  const path = Deno.build.standalone
    ? join(compiledFolder(), "demo.gguf")
    : fileURLToPath(new URL("../../models/demo.gguf", import.meta.url));
  return existsSync(path) ? path : undefined;
}

/**
 * The store that the environment names: `<data folder>/models`, and the folder of `OLLAMA_MODELS` if it is set.
 * @throws {SecLlamaError} `bad-config`, `model-store-unreadable`.
 */
export function openModelStore(env: CommandContext["env"]): Promise<ModelStore> {
  return ModelStore.open(join(dataDirectory(env), "models"), {
    ollamaDir: env["OLLAMA_MODELS"] || undefined,
    embeddedDemo: embeddedDemoPath(),
  });
}
