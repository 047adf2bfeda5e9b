/** With how much context a model would be loaded now, and what it would take. */
import { MAX_DEFAULTS_BYTES } from "../api/pipe_messages.ts";
import { utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { readDefaults } from "../models/defaults.ts";
import type { ResolvedModel } from "../models/store.ts";
import { isOthers, type Occupant } from "./admission.ts";
import { chooseContext } from "./context_size.ts";
import { draftOf } from "./draft.ts";
import { estimateMemory } from "./memory.ts";
import type { Defaults, ModelStarterOptions } from "./start_model.ts";

interface LoadSizeOptions extends Pick<ModelStarterOptions, "config" | "models" | "logger"> {
  /** Tokens of context that are asked for; 0: none. */
  readonly wanted: number;
  /** Who asks. */
  readonly client: string;
  /** All that is loaded. */
  readonly occupants: () => readonly Occupant[];
  /** Bytes that all models together may take, of which so many are taken. */
  readonly budget: (takenBytes: number) => number;
}

/** Of a load for this client. @throws {SecLlamaError} `bad-model`, `model-*`. */
export async function loadSize(
  resolved: ResolvedModel,
  { config, models, logger, wanted, client, occupants: occupantsNow, budget }: LoadSizeOptions,
) {
  const details = await models.details(resolved);
  const defaults = await readDefaults(models, resolved);
  checkSize(defaults);
  const draft = await draftOf(resolved, { config, models, logger });
  const { embeddingLength } = details;
  const kvBytesPerToken = config.kvCache === "q8_0"
    ? details.kvBytesPerTokenQ8
    : details.kvBytesPerToken;
  const shape = { sizeBytes: resolved.sizeBytes, kvBytesPerToken, embeddingLength };
  const occupants = occupantsNow();
  const wholeBytes = budget(bytesOf(occupants));
  const budgetBytes = wholeBytes - (draft?.sizeBytes ?? 0);
  // What nobody else used lately may go for it, and the model itself as it is.
  const others = occupants.filter((o) => o.name !== resolved.name && isOthers(o, client));
  const { contextLength, cacheCells } = chooseContext({
    trained: details.contextLength,
    configured: config.contextLength,
    modelfile: defaults.options?.["num_ctx"],
    ...(wanted > 0 ? { asked: wanted } : {}),
    embeds: !details.capabilities.includes("completion"),
    slots: config.parallel,
    shape,
    budgetBytes,
    wishBytes: budgetBytes - bytesOf(others),
  });
  const ownBytes = estimateMemory({ ...shape, cacheCells });
  const draftBytes = draft?.needBytes(contextLength) ?? 0;
  // What only makes it quicker is not to cost a model its place.
  const drafts = draft !== undefined && ownBytes + draftBytes <= wholeBytes;
  return {
    details,
    defaults,
    contextLength,
    cacheCells,
    needBytes: ownBytes + (drafts ? draftBytes : 0),
    draft: drafts ? draft.digest : undefined,
  };
}

function bytesOf(occupants: readonly Occupant[]): number {
  return occupants.reduce((sum, { needBytes }) => sum + needBytes, 0);
}

/** @throws {SecLlamaError} `bad-model` if what the Modelfile says does not fit the boot message. */
function checkSize(defaults: Defaults): void {
  const sizeBytes = utf8(JSON.stringify(defaults)).length;
  if (sizeBytes <= MAX_DEFAULTS_BYTES) return;
  throw new SecLlamaError(
    "bad-model",
    `template, system message, messages and parameters of the model have ${sizeBytes} bytes ` +
      `together, must have at most ${MAX_DEFAULTS_BYTES}`,
    { hint: "make the model again with a shorter Modelfile" },
  );
}
