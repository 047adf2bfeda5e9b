/** `secllama verify`: every file of every model hashed and compared with its digest. */
import { SecLlamaError } from "../../errors.ts";
import { layerType, partsOf } from "../../models/manifest.ts";
import type { ModelStore } from "../../models/store.ts";
import { type Command, flag, JSON_OPTION } from "../command.ts";
import { Progress } from "../progress.ts";
import { modelStoreFor } from "../installation.ts";

export const verifyCommand: Command = {
  path: ["verify"],
  summary: "Hash every model file and compare it with its digest",
  arguments: "[MODEL...]",
  maxPositionals: 1000,
  options: JSON_OPTION,
  details: "Without a name every model is checked. The exit code is 1 if one is damaged.",
  async run(context) {
    const { tui, positionals, signal } = context;
    const store = await modelStoreFor(context);
    const names = positionals.length > 0
      ? positionals
      : (await store.list()).map((row) => row.name);
    const results = [];
    const progress = new Progress(tui);
    for (const name of names) {
      const problem = await verifyModel(store, name, { signal, progress })
        .finally(() => progress.end());
      results.push({ name, ok: problem === undefined, ...(problem ? { problem } : {}) });
      if (!flag(context, "json")) {
        tui.out(problem ? `damaged  ${name}  ${problem}` : `ok       ${name}`);
      }
    }
    if (flag(context, "json")) tui.json({ models: results });
    return results.every((result) => result.ok) ? 0 : 1;
  },
};

/** What is wrong with a model, or undefined. A name that is not there is an error, not a finding. */
async function verifyModel(
  store: ModelStore,
  name: string,
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<string | undefined> {
  try {
    const model = await store.resolve(name);
    const parts = model.source === "embedded"
      ? model.manifest.layers.filter((layer) => layer.mediaType === layerType("model"))
      : partsOf(model.manifest);
    for (const { digest, size } of parts) {
      await store.verify(digest, { signal, onProgress: (done) => progress.to(name, done, size) });
    }
    await store.details(model);
    return undefined;
  } catch (error) {
    if (error instanceof SecLlamaError && ["model-corrupt", "bad-model"].includes(error.code)) {
      return error.message;
    }
    throw error;
  }
}
