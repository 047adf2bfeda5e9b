/**
 * What a model's manifest adds to its weights, as a Modelfile says it: TEMPLATE, SYSTEM, PARAMETER, MESSAGE and ADAPTER.
 * The values are a stranger's: shapes are checked here, what an option may be is checked where it is used.
 */
import { corrupt, layersOf } from "./manifest.ts";
import type { ModelStore, ResolvedModel } from "./store.ts";
import { parseLayer } from "./show.ts";

export interface StoredDefaults {
  /** In Ollama's template language. */
  readonly template?: string;
  readonly system?: string;
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
  /** PARAMETER lines by their names in `options`. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Digests of LoRA adapters, `sha256:…`, in order. */
  readonly adapters: readonly string[];
}

/**
 * Reads the text layers of a resolved model.
 * @throws {SecLlamaError} `model-corrupt` if a layer is missing, not as recorded, or not of its kind's shape.
 */
export async function readDefaults(
  store: ModelStore,
  model: ResolvedModel,
): Promise<StoredDefaults> {
  const last = async (kind: "template" | "system" | "params" | "messages") =>
    (await store.layerTexts(model, kind)).at(-1);
  const template = await last("template");
  const system = await last("system");
  const params = await last("params");
  const messages = await last("messages");
  return {
    ...(template ? { template } : {}),
    ...(system ? { system } : {}),
    ...(params === undefined ? {} : { options: optionsOf(parseLayer(params)) }),
    ...(messages === undefined ? {} : { messages: messagesOf(parseLayer(messages)) }),
    adapters: layersOf(model.manifest, "adapter").map((layer) => layer.digest),
  };
}

function optionsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw corrupt("its parameters are not a JSON object");
}

function messagesOf(value: unknown): { role: string; content: string }[] {
  if (!Array.isArray(value)) throw corrupt("its messages are not a list");
  return value.map((message) => {
    const { role, content } = Object(message);
    if (typeof role === "string" && typeof content === "string") return { role, content };
    throw corrupt("one of its messages has no role or no content");
  });
}
