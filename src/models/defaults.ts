/**
 * What a model's manifest adds to its weights, as a Modelfile says it: TEMPLATE, SYSTEM, PARAMETER, MESSAGE and ADAPTER.
 * The values are a stranger's, since a pulled model brings them along: shapes are checked here, what an option may be is
 * checked where it is used.
 */
import { corrupt, type LayerKind, layersOf } from "./manifest.ts";
import { isParameterValue, type ParameterValue } from "./parameters.ts";
import type { ModelStore, ResolvedModel } from "./store.ts";

export interface ModelMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

interface StoredDefaults {
  /** In Ollama's template language; missing: the GGUF file's own chat template. */
  readonly template?: string;
  readonly system?: string;
  readonly messages?: readonly ModelMessage[];
  /** PARAMETER lines by their names in `options`. */
  readonly options?: Readonly<Record<string, ParameterValue>>;
  /** Digests of LoRA adapters, `sha256:…`, in order. */
  readonly adapters: readonly string[];
  /** Digest of the encoder of a model that sees. */
  readonly projector?: string;
}

/**
 * Reads the text layers of a resolved model.
 * @throws {SecLlamaError} `model-corrupt` if a layer is missing, not as recorded, or not of its kind's shape.
 */
export async function readDefaults(
  store: ModelStore,
  model: ResolvedModel,
): Promise<StoredDefaults> {
  const last = async (kind: LayerKind) => (await store.layerTexts(model, kind)).at(-1);
  // `prompt` is what the first versions of Ollama called a template.
  const template = await last("template") ?? await last("prompt");
  const system = await last("system");
  const params = await last("params");
  const messages = await last("messages");
  const [projector] = layersOf(model.manifest, "projector");
  return {
    ...(template ? { template } : {}),
    ...(system ? { system } : {}),
    ...(params === undefined ? {} : { options: readParameters(params) }),
    ...(messages === undefined ? {} : { messages: readMessages(messages) }),
    adapters: layersOf(model.manifest, "adapter").map((layer) => layer.digest),
    ...(projector && { projector: projector.digest }),
  };
}

/**
 * A params layer: an object of numbers, booleans, texts and lists of texts.
 * @throws {SecLlamaError} `model-corrupt` if it is anything else.
 */
export function readParameters(text: string): Record<string, ParameterValue> {
  const value = parseLayer(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw corrupt("its parameters are not an object");
  }
  const out: Record<string, ParameterValue> = Object.create(null);
  for (const [name, setting] of Object.entries(value)) {
    if (setting === null) continue;
    if (!/^[a-z0-9_]{1,64}$/.test(name) || !isParameterValue(setting)) {
      throw corrupt("one of its parameters is no number, boolean, text or list of texts");
    }
    out[name] = name === "stop" && typeof setting === "string" ? [setting] : setting;
  }
  return { ...out };
}

/**
 * A messages layer: a list of roles and texts.
 * @throws {SecLlamaError} `model-corrupt` if it is anything else.
 */
export function readMessages(text: string): ModelMessage[] {
  const value = parseLayer(text);
  if (!Array.isArray(value)) throw corrupt("its messages are not a list");
  return value.map((message) => {
    const { role, content } = Object(message) as Record<string, unknown>;
    if (!isRole(role) || typeof content !== "string") {
      throw corrupt("one of its messages has no role or no text");
    }
    return { role, content };
  });
}

/** Whether it is a role that a message of a Modelfile can have. */
export function isRole(role: unknown): role is ModelMessage["role"] {
  return role === "system" || role === "user" || role === "assistant";
}

/** The layer's JSON. @throws {SecLlamaError} `model-corrupt` if it is none. */
function parseLayer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw corrupt("one of its parts is not JSON", cause);
  }
}
