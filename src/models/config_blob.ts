/** The configuration blob that Ollama writes and reads. */
import type { ModelDetails } from "./describe.ts";
import type { Descriptor } from "./manifest.ts";
import { parseRequires } from "./requires.ts";

/** Largest that is read. */
export const CONFIG_BYTES = 1024 * 1024;

export function configOf(
  details: ModelDetails,
  layers: readonly Descriptor[],
  requires: string | undefined,
) {
  return {
    model_format: "gguf",
    model_family: details.architecture,
    model_families: [details.architecture],
    model_type: details.parameterSize,
    file_type: details.quantization,
    ...(requires === undefined ? {} : { requires }),
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.digest) },
  };
}

/** What it says of the version of Ollama that the model was made for; anything else than a version is passed over. */
export function requiresOf(bytes: Uint8Array): string | undefined {
  try {
    const { requires } = Object(JSON.parse(new TextDecoder().decode(bytes)));
    return typeof requires === "string" ? parseRequires(requires) : undefined;
  } catch {
    return undefined;
  }
}
