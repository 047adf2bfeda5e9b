/** The store's side of a pull: blobs that come in parts, are checked, and become visible together with their manifest. */
import { createHash } from "node:crypto";
import { SecLlamaError } from "../errors.ts";
import { readMessages, readParameters } from "./defaults.ts";
import { describeAdapter, describeModel, kindOfFile } from "./describe.ts";
import { readSmall } from "./files.ts";
import { readGgufHeader } from "./gguf.ts";
import {
  corrupt,
  type Descriptor,
  layersOf,
  layerType,
  type Manifest,
  MANIFEST_BYTES,
  modelLayer,
  partsOf,
} from "./manifest.ts";
import type { ModelName } from "../api/model_name.ts";
import type { OwnFolder } from "./own_folder.ts";
import { checkChatTemplate, checkTemplate } from "./template_check.ts";
import { CHUNK_BYTES, PartialBlob } from "./partial.ts";

export class PullTransaction {
  readonly #own: OwnFolder;

  constructor(own: OwnFolder) {
    this.#own = own;
  }

  /** Digest of the manifest that the name has now, `sha256:…`. */
  async current(name: ModelName): Promise<string | undefined> {
    const found = await this.#own.find(name);
    const bytes = found && await readSmall(found.path, MANIFEST_BYTES);
    return bytes && `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  }

  /** Whether the store has the blob. */
  async has(part: Descriptor): Promise<boolean> {
    return await this.#own.blobPath(part).then(() => true, (error) => {
      if (error instanceof SecLlamaError && error.code === "model-corrupt") return false;
      throw error;
    });
  }

  /** Removes what killed writers left, and downloads that never went on. */
  clean(): Promise<void> {
    return this.#own.clean();
  }

  /** @throws {SecLlamaError} `busy` if another process is fetching it. */
  open(part: Descriptor, chunkBytes = CHUNK_BYTES): Promise<PartialBlob> {
    return PartialBlob.open(this.#own.partials, part, chunkBytes);
  }

  /**
   * Checks every file of a model against what its place needs, in the partial blobs or, where there is none, in the store.
   * @throws {SecLlamaError} `bad-model`, `model-corrupt`.
   */
  async check(manifest: Manifest, blobs: ReadonlyMap<string, PartialBlob>): Promise<void> {
    const path = async (part: Descriptor) =>
      blobs.get(part.digest)?.path ?? await this.#own.blobPath(part);
    const model = describeModel(await readGgufHeader(await path(modelLayer(manifest))));
    let template: string | undefined;
    for (const part of manifest.layers) {
      const file = await path(part);
      switch (part.mediaType) {
        case layerType("projector"):
          if (kindOfFile(await readGgufHeader(file)) !== "projector") {
            throw new SecLlamaError("bad-model", "its projector is none");
          }
          break;
        case layerType("adapter"):
          describeAdapter(await readGgufHeader(file), model.architecture);
          break;
        case layerType("template"):
          template = await text(file, part);
          break;
        case layerType("params"):
          readParameters(await text(file, part));
          break;
        case layerType("messages"):
          readMessages(await text(file, part));
          break;
      }
    }
    if (template) checkPulledTemplate(template);
    checkChatTemplate(model, template);
    if (layersOf(manifest, "model").length > 1) {
      throw new SecLlamaError("bad-model", "its manifest names several models");
    }
  }

  /**
   * Makes finished blobs and the manifest visible together.
   * @param manifestBytes As they came: their digest is the model's.
   * @throws {SecLlamaError} `model-corrupt` if a digest is wrong, or a blob that was here is gone by now.
   */
  async publish(
    name: ModelName,
    o: { manifest: Manifest; manifestBytes: Uint8Array; blobs: readonly PartialBlob[] },
  ): Promise<void> {
    const own = this.#own;
    await own.change(async () => {
      for (const blob of o.blobs) {
        await own.commit(await blob.finish(), blob.part.digest);
        await blob.forgetList();
      }
      for (const part of partsOf(o.manifest)) await own.blobPath(part);
      await own.writeManifestBytes(name, o.manifestBytes);
      await own.sweep();
    });
  }
}

/** The judge of `create`, whose fault it is not here. */
function checkPulledTemplate(template: string): void {
  try {
    checkTemplate(template);
  } catch (error) {
    if (!(error instanceof SecLlamaError)) throw error;
    throw new SecLlamaError("bad-model", `its template cannot be used: ${error.message}`, {
      hint: "pull another model, or import its file and give it a TEMPLATE: secllama create",
    });
  }
}

async function text(path: string, part: Descriptor): Promise<string> {
  const bytes = await readSmall(path, part.size);
  if (!bytes) throw corrupt(`the file for ${part.digest} is missing`);
  return new TextDecoder().decode(bytes);
}
