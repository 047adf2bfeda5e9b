/** Writes folders in Ollama's layout, as `ollama create` and `ollama pull` leave them. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { utf8 } from "../../src/bytes.ts";

/** Layers by the last word of their media type; objects are written as JSON. */
export type Layers = readonly (readonly [kind: string, content: Uint8Array | string | object])[];

/** Adds a model; `name` is `model:tag` of the library. */
export async function addModel(folder: string, name: string, layers: Layers): Promise<void> {
  await Deno.mkdir(join(folder, "blobs"), { recursive: true });
  const blob = async (mediaType: string, content: Uint8Array | string | object) => {
    const bytes = content instanceof Uint8Array
      ? content
      : utf8(typeof content === "string" ? content : JSON.stringify(content));
    const hex = createHash("sha256").update(bytes).digest("hex");
    await Deno.writeFile(join(folder, "blobs", `sha256-${hex}`), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const written = [];
  for (const [kind, content] of layers) {
    written.push(await blob(`application/vnd.ollama.image.${kind}`, content));
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: await blob("application/vnd.docker.container.image.v1+json", {
      model_format: "gguf",
      model_family: "llama",
    }),
    layers: written,
  };
  const [model, tag] = name.split(":");
  const path = join(folder, "manifests/registry.ollama.ai/library", model!, tag!);
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, JSON.stringify(manifest));
}
