/**
 * Pulls a model: its manifest, then each file that is not here, then everything becomes visible at once. A command of the
 * user's own, and the gateway's only where the operator turned model management on; never the runner's.
 */
import { SecLlamaError } from "../errors.ts";
import {
  type Descriptor,
  type LayerKind,
  layersOf,
  layerType,
  type Manifest,
  parseManifest,
  partsOf,
} from "../models/manifest.ts";
import { type ModelName, parseModelName } from "../api/model_name.ts";
import { isDigest } from "../models/names.ts";
import type { PartialBlob } from "../models/partial.ts";
import type { ModelStore, ResolvedModel } from "../models/store.ts";
import { download } from "./download.ts";
import type { PullPolicy } from "./policy.ts";
import { Registry } from "./registry.ts";
import { type Network, SYSTEM_NETWORK } from "./transport.ts";

/** What happens, in Ollama's words. */
export type PullEvent =
  | { readonly status: "pulling manifest" | "verifying sha256 digest" | "writing manifest" }
  | {
    readonly status: "pulling";
    readonly digest: string;
    readonly totalBytes: number;
    readonly doneBytes: number;
  };

export interface PullOptions {
  readonly policy: PullPolicy;
  /** Of all files of the model together. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  readonly onEvent?: (event: PullEvent) => void;
  readonly network?: Network;
  readonly idleMs?: number;
  readonly backoffMs?: number;
  /** Of a range; a partial file of another size begins anew. */
  readonly chunkBytes?: number;
}

interface PulledModel {
  readonly model: ResolvedModel;
  /** The name meant this very manifest before. */
  readonly unchanged: boolean;
}

const TEXT_BYTES = 4 * 1024 * 1024;
const FILES: readonly LayerKind[] = ["model", "projector", "adapter"];
const TEXTS: readonly LayerKind[] = [
  "template",
  "prompt",
  "system",
  "params",
  "messages",
  "license",
];

/** `NAME` or `NAME@sha256:…`, the latter for one manifest and no other. */
export function parseReference(text: string): { name: ModelName; pinned: string | undefined } {
  const at = text.indexOf("@");
  if (at < 0) return { name: parseModelName(text), pinned: undefined };
  const digest = text.slice(at + 1).replace(/^sha256-/, "sha256:");
  if (!isDigest(digest)) {
    throw new SecLlamaError("bad-model-name", "what follows @ is not a digest", {
      field: "model",
      hint: "a digest is sha256: and 64 lower-case hexadecimal digits",
    });
  }
  return { name: parseModelName(text.slice(0, at)), pinned: digest };
}

/**
 * Pulls what `reference` names into the store. After a failure what was fetched is kept, unseen, and the next pull goes on.
 * @throws {SecLlamaError} `bad-model-name`, `registry-not-allowed`, `pull-refused`, `pull-failed`, `model-not-found`,
 *   `bad-model`, `busy`, `cancelled`, `model-store-unreadable`.
 */
export async function pullModel(
  store: ModelStore,
  reference: string,
  options: PullOptions,
): Promise<PulledModel> {
  const { name, pinned } = parseReference(reference);
  const { signal } = options;
  const registry = new Registry(name, options.policy, {
    network: options.network ?? SYSTEM_NETWORK,
    signal,
    idleMs: options.idleMs ?? 30_000,
  });
  options.onEvent?.({ status: "pulling manifest" });
  const { bytes, digest } = await registry.manifest(pinned);
  const manifest = parseManifest(bytes, refusedManifest);
  checkManifest(manifest, options.maxBytes);
  const transaction = store.pullTransaction;
  await transaction.clean();
  const unchanged = await transaction.current(name) === digest;
  // A second time, if another process removed a shared file in the meantime.
  for (let again = false;; again = true) {
    try {
      await fetchParts(store, registry, { name, manifest, manifestBytes: bytes }, options);
      break;
    } catch (error) {
      const gone = error instanceof SecLlamaError && error.code === "model-corrupt";
      if (!gone || again) throw error;
    }
  }
  return { model: await store.resolve(name.canonical), unchanged };
}

async function fetchParts(
  store: ModelStore,
  registry: Registry,
  what: { name: ModelName; manifest: Manifest; manifestBytes: Uint8Array },
  options: PullOptions,
): Promise<void> {
  const { pullTransaction: transaction } = store;
  const { onEvent = () => {} } = options;
  using open = new DisposableStack();
  const blobs = new Map<string, PartialBlob>();
  // Small ones first: what is wrong with them is then known before the large ones come.
  for (const part of [...partsOf(what.manifest)].sort((a, b) => a.size - b.size)) {
    const { digest, size } = part;
    if (blobs.has(digest)) continue;
    const progress = (doneBytes: number) =>
      onEvent({ status: "pulling", digest, totalBytes: size, doneBytes });
    if (await transaction.has(part)) {
      progress(size);
      continue;
    }
    const blob = open.use(await transaction.open(part, options.chunkBytes));
    blobs.set(digest, blob);
    await download(registry, blob, {
      signal: options.signal,
      backoffMs: options.backoffMs ?? 500,
      onProgress: progress,
    });
  }
  onEvent({ status: "verifying sha256 digest" });
  for (const blob of blobs.values()) await blob.verify();
  try {
    await transaction.check(what.manifest, blobs);
  } catch (error) {
    // It is what the digest says and no use: fetched again it would be the same.
    if (error instanceof SecLlamaError && error.code === "bad-model") {
      for (const blob of blobs.values()) await blob.discard();
    }
    throw error;
  }
  onEvent({ status: "writing manifest" });
  await transaction.publish(what.name, { ...what, blobs: [...blobs.values()] });
}

/** @throws {SecLlamaError} `pull-refused` if it is not one model of known parts, or too large. */
function checkManifest(manifest: Manifest, maxBytes: number): void {
  const known = [...FILES, ...TEXTS].map(layerType);
  const strange = manifest.layers.find((layer) => !known.includes(layer.mediaType));
  if (strange) {
    const type = strange.mediaType.replace(/[^\x20-\x7e]/g, "?").slice(0, 80);
    throw refusedManifest(`it has a part that is not known: ${type}`);
  }
  if (layersOf(manifest, "model").length !== 1) throw refusedManifest("it names not one model");
  const small: Descriptor[] = [
    manifest.config,
    ...TEXTS.flatMap((kind) => layersOf(manifest, kind)),
  ];
  for (const part of small) {
    if (part.size > TEXT_BYTES) throw refusedManifest(`a text of it is over ${TEXT_BYTES} bytes`);
  }
  const total = partsOf(manifest).reduce((sum, part) => sum + part.size, 0);
  if (total > maxBytes) {
    throw new SecLlamaError(
      "pull-refused",
      `the model has ${total} bytes, ${maxBytes} are allowed`,
      {
        hint: "to allow more, raise SECLLAMA_MAX_MODEL_SIZE",
      },
    );
  }
}

function refusedManifest(what: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("pull-refused", `the registry's manifest is refused: ${what}`, {
    ...(cause === undefined ? {} : { cause }),
  });
}
