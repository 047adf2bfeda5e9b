/**
 * Reading one folder in Ollama's layout: which manifests it holds and where their blobs lie. Never writes.
 *
 * ```
 * <folder>/blobs/sha256-<hex>                      a model, or a small text that belongs to one
 *          manifests/<host>/<namespace>/<model>/<tag>
 * ```
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { attempt, exists, hashFile, listFolder, readSmall } from "./files.ts";
import {
  CONFIG_TYPE,
  corrupt,
  describeBytes,
  type Descriptor,
  layerType,
  type Manifest,
  MANIFEST_BYTES,
  MANIFEST_TYPE,
  modelLayer,
  parseManifest,
  serializeManifest,
} from "./manifest.ts";
import { stampOf } from "../file_stamp.ts";
import { canonicalParts, type ModelName } from "../api/model_name.ts";
import { digestHex, manifestPath, nameOfManifestPath } from "./names.ts";
import { plural } from "../plural.ts";

/** The name under which the model that comes with SecLlama is found. */
export const DEMO_MODEL = "demo:latest";

/** `own`: written by SecLlama; `ollama`: an Ollama folder, read in place; `embedded`: comes with SecLlama. */
export type ModelSource = "own" | "ollama" | "embedded";

export interface ResolvedModel {
  /** Canonical: `demo:latest`. */
  readonly name: string;
  readonly source: ModelSource;
  /** The GGUF file. */
  readonly blobPath: string;
  /** Digest of that file, `sha256:…`. */
  readonly digest: string;
  /** Size of that file. */
  readonly sizeBytes: number;
  readonly manifest: Manifest;
  /** Digest of the manifest, 64 hexadecimal digits: what Ollama calls a model's digest. */
  readonly manifestDigest: string;
  readonly modifiedAt: Date;
}

interface FoundManifest {
  readonly name: ModelName;
  readonly path: string;
}

export class ModelFolder {
  constructor(readonly dir: string, readonly source: Exclude<ModelSource, "embedded">) {}

  /**
   * The manifests, exactly four folders deep; anything else there is not ours and is passed over. Of two whose names are one, the
   * one that a name means comes first.
   */
  async manifests(): Promise<FoundManifest[]> {
    const found: FoundManifest[] = [];
    const walk = async (parts: string[]): Promise<void> => {
      const folder = join(this.dir, "manifests", ...parts);
      for (const entry of await listFolder(folder)) {
        if (parts.length < 3 && entry.isDirectory) await walk([...parts, entry.name]);
        else if (parts.length === 3 && entry.isFile) {
          const name = nameOfManifestPath([...parts, entry.name]);
          if (name) found.push({ name, path: join(folder, entry.name) });
        }
      }
    };
    await walk([]);
    const rank = ({ name, path }: FoundManifest) =>
      `${path === this.manifestFile(canonicalParts(name)) ? 0 : 1}${path}`;
    return found.sort((a, b) => rank(a) < rank(b) ? -1 : 1);
  }

  /** The manifest of this name, upper and lower case alike: however it is asked for, it is the one that the list has. */
  async find(wanted: ModelName): Promise<FoundManifest | undefined> {
    const name = canonicalParts(wanted);
    const path = this.manifestFile(name);
    if (await exists(path)) return { name, path };
    return (await this.manifests()).find((other) => other.name.canonical === name.canonical);
  }

  /** Where the manifest of a new name goes. */
  manifestFile(name: ModelName): string {
    return join(this.dir, "manifests", ...manifestPath(name));
  }

  /**
   * Reads a manifest and finds its model file.
   * @throws {SecLlamaError} `model-corrupt` if either is not as recorded; the file's content is not hashed here.
   */
  async resolve(found: FoundManifest): Promise<ResolvedModel> {
    const bytes = await readSmall(found.path, MANIFEST_BYTES);
    if (!bytes) throw corrupt("its manifest is gone");
    const manifest = parseManifest(bytes);
    const layer = modelLayer(manifest);
    const { mtime } = await attempt(found.path, () => Deno.stat(found.path));
    return {
      name: found.name.shown,
      source: this.source,
      blobPath: await this.blobPath(layer),
      digest: layer.digest,
      sizeBytes: layer.size,
      manifest,
      manifestDigest: createHash("sha256").update(bytes).digest("hex"),
      modifiedAt: mtime ?? new Date(0),
    };
  }

  /** Where the blob of a digest is, or goes. */
  blobFile(digest: string): string {
    return join(this.dir, "blobs", `sha256-${digestHex(digest)}`);
  }

  /**
   * Path of a blob that is a regular file of the recorded size. In Ollama's folder it may be a link to one.
   * @throws {SecLlamaError} `model-corrupt` if it is missing, not a regular file, or of another size.
   */
  async blobPath(part: Descriptor): Promise<string> {
    const path = this.blobFile(part.digest);
    if (!(await exists(path))) throw corrupt(`the file for ${part.digest} is missing`);
    const real = this.source === "own" ? path : await attempt(path, () => Deno.realPath(path));
    const info = await attempt(real, () => Deno.lstat(real));
    if (!info.isFile) throw corrupt(`the file for ${part.digest} is not a regular file`);
    if (info.size !== part.size) {
      throw corrupt(
        `the file for ${part.digest} has ${plural(info.size, "byte")}, not ${part.size}`,
      );
    }
    return real;
  }
}

/**
 * What its Modelfile would say: at Ollama's default temperature a model this small says "I do not know" to "hi" now and then,
 * and greedily it does not.
 */
export const DEMO_PARAMETERS = JSON.stringify({ temperature: 0.1 });

/** The demo model: one GGUF file that comes with SecLlama and stands outside any folder of models. */
export class EmbeddedDemo {
  #known: { key: string; model: ResolvedModel } | undefined;

  constructor(readonly path: string) {}

  /** @throws {SecLlamaError} `model-corrupt` or `model-store-unreadable` if the file is not there. */
  async resolve(): Promise<ResolvedModel> {
    const info = await attempt(this.path, () => Deno.stat(this.path));
    if (!info.isFile) throw corrupt("the demo model is not a regular file");
    const key = stampOf(info);
    if (this.#known?.key === key) return this.#known.model;
    const { hex, sizeBytes } = await hashFile(this.path);
    const digest = `sha256:${hex}`;
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: describeBytes(CONFIG_TYPE, new TextEncoder().encode("{}")),
      layers: [{ mediaType: layerType("model"), digest, size: sizeBytes }],
    };
    const model: ResolvedModel = {
      name: DEMO_MODEL,
      source: "embedded",
      blobPath: this.path,
      digest,
      sizeBytes,
      manifest,
      manifestDigest: createHash("sha256").update(serializeManifest(manifest)).digest("hex"),
      modifiedAt: info.mtime ?? new Date(0),
    };
    this.#known = { key, model };
    return model;
  }
}
