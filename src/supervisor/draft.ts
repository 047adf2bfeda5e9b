/** A model's draft model: what it takes beside it, and what becomes of one that cannot be used. */
import { toSecLlamaError } from "../errors.ts";
import { label } from "../log.ts";
import type { ResolvedModel } from "../models/store.ts";
import { usesEngine } from "./engine.ts";
import { estimateDraft } from "./memory.ts";
import type { ModelStarterOptions } from "./start_model.ts";

/** A model that guesses tokens ahead for another one. */
interface Draft {
  /** `sha256:…` */
  readonly digest: string;
  /** Of its file. */
  readonly sizeBytes: number;
  /** What it takes in the runner with so many tokens of context. */
  needBytes(contextLength: number): number;
}

type Means = Pick<ModelStarterOptions, "config" | "models" | "logger">;

/** A model's draft model; undefined: it has none, or none that can be used. */
export async function draftOf(model: ResolvedModel, means: Means): Promise<Draft | undefined> {
  const { config, models } = means;
  if (usesEngine(config, model.name)) return undefined;
  const [layer] = models.draftLayers(model);
  if (layer === undefined || models.refusedDrafts.has(layer.digest)) return undefined;
  try {
    const details = await models.layerDetails(model, layer);
    const { embeddingLength } = details;
    const kvBytesPerToken = config.kvCache === "q8_0"
      ? details.kvBytesPerTokenQ8
      : details.kvBytesPerToken;
    const { digest, size: sizeBytes } = layer;
    return {
      digest,
      sizeBytes,
      needBytes: (cacheCells) =>
        estimateDraft({ sizeBytes, cacheCells, embeddingLength, kvBytesPerToken }),
    };
  } catch (error) {
    if (!["bad-model", "model-corrupt"].includes(toSecLlamaError(error).code)) throw error;
    refuseDraft(layer.digest, model, means);
    return undefined;
  }
}

/** Says that a draft model cannot be used: the model says the same without it, in more time. It is not tried again. */
export function refuseDraft(
  digest: string,
  { name }: Pick<ResolvedModel, "name">,
  { models, logger }: Pick<Means, "models" | "logger">,
): void {
  if (models.refusedDrafts.has(digest)) return;
  models.refusedDrafts.add(digest);
  logger.warn("draft-refused", { model: label(name) });
}
