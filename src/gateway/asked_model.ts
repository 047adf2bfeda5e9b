/** The model that a request for inference names. */
import { modelNotFoundText } from "../api/texts.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import { parseModelName } from "../api/model_name.ts";

/**
 * The name that a client asks for, as it wrote it. A name that cannot be one is, as in Ollama, that of no model.
 * @throws {SecLlamaError} `model-not-found`.
 */
export function askedModel(name: string): string {
  try {
    parseModelName(name);
    return name;
  } catch (cause) {
    const { hint } = toSecLlamaError(cause);
    throw new SecLlamaError("model-not-found", modelNotFoundText(name), {
      field: "model",
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
