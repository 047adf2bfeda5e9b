/** The model store, for commands whose own flags change no setting of it. */
import { Installation } from "../app/installation.ts";
import { openModelStore } from "../app/model_store.ts";
import { loadSettings } from "../config/settings.ts";
import type { ModelStore } from "../models/store.ts";
import type { CommandContext } from "./command.ts";

/**
 * The parts of this installation; what is said while they are unpacked goes to standard error.
 */
export function installationFor({ env, tui }: Pick<CommandContext, "env" | "tui">): Installation {
  return new Installation({ env, onNote: (line) => tui.note(line) });
}

/** @throws {SecLlamaError} `bad-config`, `model-store-unreadable`. */
export async function modelStoreFor(
  context: Pick<CommandContext, "env" | "tui">,
): Promise<ModelStore> {
  return await openModelStore(
    await loadSettings({ env: context.env }),
    installationFor(context),
  );
}
