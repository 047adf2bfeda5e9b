/**
 * The manifest that names a model's parts: a docker v2 manifest with Ollama's media types.
 *
 * ```
 * {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
 *  "config":{"mediaType":…,"digest":"sha256:…","size":n},
 *  "layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:…","size":n}, …]}
 * ```
 * A manifest is hostile until parsed: digests are strict, sizes are whole numbers, an index of manifests is refused.
 */
import { createHash } from "node:crypto";
import { SecLlamaError } from "../errors.ts";
import { utf8 } from "../bytes.ts";
import { digestHex, isDigest } from "./names.ts";

export const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";
export const CONFIG_TYPE = "application/vnd.docker.container.image.v1+json";
const LAYER_PREFIX = "application/vnd.ollama.image.";

/** Largest manifest that is read. */
export const MANIFEST_BYTES = 1024 * 1024;
const MAX_LAYERS = 256;

/** What a layer holds: the last word of its media type. */
export type LayerKind =
  | "model"
  | "projector"
  | "adapter"
  /** A smaller model that guesses tokens ahead. */
  | "draft"
  | "template"
  /** What the first versions of Ollama called a template. */
  | "prompt"
  | "system"
  | "params"
  | "messages"
  | "license";

export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 lower-case hexadecimal digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

type Fail = (what: string, cause?: unknown) => SecLlamaError;

/** The media type of a kind of layer. */
export function layerType(kind: LayerKind): string {
  return LAYER_PREFIX + kind;
}

/** The layers of a kind, in order. */
export function layersOf(manifest: Pick<Manifest, "layers">, kind: LayerKind): Descriptor[] {
  return manifest.layers.filter((layer) => layer.mediaType === layerType(kind));
}

/**
 * The one layer that holds the model's weights.
 * @throws {SecLlamaError} `model-corrupt` if there is none.
 */
export function modelLayer(manifest: Manifest): Descriptor {
  const [layer] = layersOf(manifest, "model");
  if (!layer) throw corrupt("its manifest names no model file");
  return layer;
}

/**
 * Reads a manifest's bytes.
 * @param fail Makes the error for one that is not a manifest of one model; by default `model-corrupt`.
 */
export function parseManifest(bytes: Uint8Array, fail: Fail = corrupt): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw fail("its manifest is not JSON", cause);
  }
  const record = asRecord(value);
  if (!record || record["schemaVersion"] !== 2 || !Array.isArray(record["layers"])) {
    throw fail("its manifest is not of schema version 2 with layers");
  }
  if (record["layers"].length > MAX_LAYERS) throw fail("its manifest has too many layers");
  return {
    schemaVersion: 2,
    mediaType: typeof record["mediaType"] === "string" ? record["mediaType"] : MANIFEST_TYPE,
    config: parseDescriptor(record["config"], fail),
    layers: record["layers"].map((layer) => parseDescriptor(layer, fail)),
  };
}

function parseDescriptor(value: unknown, fail: Fail): Descriptor {
  const record = asRecord(value);
  const mediaType = record?.["mediaType"];
  const size = record?.["size"];
  if (typeof mediaType !== "string" || mediaType.length > 200) {
    throw fail("a part of its manifest has no media type");
  }
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw fail("a part of its manifest has no size");
  }
  const digest = record?.["digest"];
  if (!isDigest(digest)) throw fail("a digest is not sha256: and 64 lower-case digits");
  return { mediaType, digest: `sha256:${digestHex(digest)}`, size };
}

/** The bytes of a manifest, in the order of keys that Ollama writes. */
export function serializeManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  const part = ({ mediaType, digest, size }: Descriptor) => ({ mediaType, digest, size });
  return utf8(JSON.stringify({
    schemaVersion: manifest.schemaVersion,
    mediaType: manifest.mediaType,
    config: part(manifest.config),
    layers: manifest.layers.map(part),
  }));
}

/** Every blob that the manifest needs. */
export function partsOf(manifest: Manifest): Descriptor[] {
  return [manifest.config, ...manifest.layers];
}

/** The descriptor of these bytes. */
export function describeBytes(mediaType: string, bytes: Uint8Array): Descriptor {
  const hex = createHash("sha256").update(bytes).digest("hex");
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}

/** The error for a model in the store that is not what it should be. */
export function corrupt(what: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("model-corrupt", `the stored model is damaged: ${what}`, {
    hint: "import the model again; to check every model, run: secllama verify",
    ...(cause === undefined ? {} : { cause }),
  });
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Record<string, unknown>
    : undefined;
}
