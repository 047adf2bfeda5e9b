/**
 * The model store: content-addressed blobs and the manifests that name them, in Ollama's layout.
 *
 * Three places are read, in this order: the own folder, an existing Ollama folder (never written), and the demo model
 * that comes with SecLlama. It does not load models and does not fetch them.
 */
import { join, resolve as absolute } from "node:path";
import { modelNotFoundText } from "../api/texts.ts";
import { SecLlamaError } from "../errors.ts";
import { fileStamp } from "../file_stamp.ts";
import { closest } from "../suggest.ts";
import { CONFIG_BYTES, requiresOf } from "./config_blob.ts";
import { copyModel, createModel, type Recipe, type Workshop } from "./create.ts";
import { describeModel, type ModelDetails } from "./describe.ts";
import { readGgufHeader, unreadable } from "./gguf.ts";
import { attempt, type CopyOptions, exists, hashFile, listFolder, readSmall } from "./files.ts";
import {
  DEMO_MODEL,
  DEMO_PARAMETERS,
  EmbeddedDemo,
  ModelFolder,
  type ModelSource,
  type ResolvedModel,
} from "./folder.ts";
import { PullTransaction } from "./pull_transaction.ts";
import { type ListedModel, listedModel } from "./listed_model.ts";
import { corrupt, describeBytes, type Descriptor, type LayerKind, layersOf } from "./manifest.ts";
import { ManifestDigests } from "./manifest_digests.ts";
import { parseModelName } from "../api/model_name.ts";
import { digestHex } from "./names.ts";
import { OwnFolder } from "./own_folder.ts";
import type { ModelPolicy } from "./policy.ts";
import { Uploads } from "./uploads.ts";

export { DEMO_MODEL, type ModelSource, type ResolvedModel } from "./folder.ts";

/** Largest text layer (template, system prompt, license) that is read. */
const TEXT_LAYER_BYTES = 4 * 1024 * 1024;

interface StoreOptions {
  /** A folder in Ollama's layout (`OLLAMA_MODELS`), read in place and never written. */
  readonly ollamaDir?: string | undefined;
  /** The GGUF file that `demo` means while the store has no `demo` of its own. */
  readonly embeddedDemo?: string | undefined;
  /** Whether the installation has the library for pictures: else no model sees. Default false. */
  readonly readsPictures?: boolean;
  /** Which models may be loaded, or get a name; absent: all. */
  readonly policy?: ModelPolicy;
}

export class ModelStore {
  readonly #own: OwnFolder;
  readonly #folders: readonly ModelFolder[];
  readonly #demo: EmbeddedDemo | undefined;
  readonly #policy: ModelPolicy | undefined;
  /** Whether a model with a projector sees here. */
  readonly readsPictures: boolean;
  /** Digests of draft models that cannot be used here: their models guess from the text alone. */
  readonly refusedDrafts = new Set<string>();
  /** Digests of projectors that llama.cpp was seen to refuse: their models read text only, and say so. */
  readonly refusedProjectors = new Set<string>();
  /** Details by file identity, so that a list does not read every header again. */
  readonly #details = new Map<string, ModelDetails>();

  readonly #manifests: ManifestDigests;

  private constructor(dir: string, options: StoreOptions) {
    this.#own = new OwnFolder(absolute(dir), options.policy);
    this.#policy = options.policy;
    const { ollamaDir, embeddedDemo, readsPictures = false } = options;
    this.readsPictures = readsPictures;
    this.#folders = ollamaDir === undefined
      ? [this.#own]
      : [this.#own, new ModelFolder(absolute(ollamaDir), "ollama")];
    this.#demo = embeddedDemo === undefined ? undefined : new EmbeddedDemo(embeddedDemo);
    this.#manifests = new ManifestDigests(this.#folders, this.#demo);
  }

  /**
   * Opens the store in `dir`, which need not exist yet; nothing is written before the first import.
   * @throws {SecLlamaError} `model-store-unreadable` if it cannot be read, or the Ollama folder is not there.
   */
  static async open(dir: string, options: StoreOptions = {}): Promise<ModelStore> {
    const store = new ModelStore(dir, options);
    for (const folder of store.#folders) {
      if (folder.source === "ollama" && !(await exists(folder.dir))) {
        throw unreadable(folder.dir, new Deno.errors.NotFound());
      }
      await listFolder(folder.dir);
      await listFolder(join(folder.dir, "manifests"));
    }
    return store;
  }

  /** The folder of the own store, absolute. */
  get folder(): string {
    return this.#own.dir;
  }

  /**
   * The model of this name.
   * @throws {SecLlamaError} `bad-model-name`; `model-not-found` in Ollama's words; `model-corrupt` if the manifest or the
   *   file it names is not as recorded (the content is checked by {@link verify}).
   */
  async resolve(name: string): Promise<ResolvedModel> {
    const wanted = parseModelName(name);
    for (const folder of this.#folders) {
      const found = await folder.find(wanted);
      if (found) return await folder.resolve(found);
    }
    if (this.#demo && wanted.canonical === DEMO_MODEL) {
      return await this.#demo.resolve();
    }
    throw new SecLlamaError("model-not-found", modelNotFoundText(name), {
      hint: await this.#hintFor(name),
      field: "model",
    });
  }

  /** Whether there is a policy at all. */
  get hasPolicy(): boolean {
    return this.#policy !== undefined;
  }

  /** Whether the policy lets this model be loaded, as it is now. @throws {SecLlamaError} `model-not-approved`, `bad-config`. */
  async approve(model: ResolvedModel): Promise<void> {
    await this.#policy?.check(model, (digest) => this.#own.signature(digest));
  }

  /** The signature of a model's weights, if there is one here. @param digest `sha256:…`. */
  signature(digest: string): Promise<Uint8Array | undefined> {
    return this.#own.signature(digest);
  }

  /** Keeps a signature of these weights; an older one goes. */
  async keepSignature(digest: string, bundle: Uint8Array): Promise<void> {
    await this.#own.change(() => this.#own.writeSignature(digest, bundle));
  }

  /** What to do where there is no model of this name: another that is nearly called so, or the list. */
  async #hintFor(name: string): Promise<string> {
    const names = (await this.list()).map((row) => row.name);
    const meant = closest(name, names) ??
      closest(name, names.map((one) => one.replace(/:latest$/, "")));
    return meant === undefined
      ? "to see the models that are here, run: secllama list; to get one: secllama help models"
      : `did you mean ${meant}? To see the models that are here, run: secllama list`;
  }

  /** Whether a manifest of this name is in the own folder or Ollama's; the demo that comes along does not count. */
  async has(name: string): Promise<boolean> {
    const wanted = parseModelName(name);
    for (const folder of this.#folders) if (await folder.find(wanted)) return true;
    return false;
  }

  /**
   * Whether the name still means this manifest. Asked for each request, so it costs little: see {@link ManifestDigests}.
   * @param name Canonical, as {@link resolve} gave it.
   */
  async isCurrent(name: string, manifestDigest: string): Promise<boolean> {
    return await this.#manifests.of(name) === manifestDigest;
  }

  /** Every model that can be resolved, newest first. A damaged one is listed with its `problem`. */
  async list(): Promise<ListedModel[]> {
    const row = (name: string, source: ModelSource, resolve: () => Promise<ResolvedModel>) =>
      listedModel({ name, source }, resolve, (model) => this.details(model));
    const rows: ListedModel[] = [];
    const seen = new Set<string>();
    for (const folder of this.#folders) {
      for (const found of await folder.manifests()) {
        const key = found.name.canonical;
        if (seen.has(key)) continue;
        seen.add(key);
        rows.push(await row(found.name.shown, folder.source, () => folder.resolve(found)));
      }
    }
    const demo = this.#demo;
    if (demo && !seen.has(DEMO_MODEL)) {
      rows.push(await row(DEMO_MODEL, "embedded", () => demo.resolve()));
    }
    return rows.sort((a, b) =>
      b.modifiedAt.getTime() - a.modifiedAt.getTime() || (a.name < b.name ? -1 : 1)
    );
  }

  /**
   * What the model's file says of itself.
   * @throws {SecLlamaError} `bad-model` if it is no usable GGUF file.
   */
  async details({ blobPath }: ResolvedModel): Promise<ModelDetails> {
    return await this.#detailsOf(blobPath);
  }

  async #detailsOf(path: string): Promise<ModelDetails> {
    const stamp = await attempt(path, () => fileStamp(path));
    const key = `${path}|${stamp}`;
    const known = this.#details.get(key);
    if (known) return known;
    const details = describeModel(await readGgufHeader(path));
    if (this.#details.size > 1000) this.#details.clear();
    this.#details.set(key, details);
    return details;
  }

  /**
   * The text of each layer of a kind (a template, a system prompt, parameters as JSON, …), in order.
   * @throws {SecLlamaError} `model-corrupt` if one is missing or its content is not what its digest says.
   */
  async layerTexts(model: ResolvedModel, kind: LayerKind): Promise<string[]> {
    if (model.source === "embedded") return kind === "params" ? [DEMO_PARAMETERS] : [];
    const texts: string[] = [];
    for (const layer of layersOf(model.manifest, kind)) {
      const path = await this.#folderOf(model).blobPath(layer);
      const bytes = await readSmall(path, TEXT_LAYER_BYTES);
      if (!bytes || describeBytes("", bytes).digest !== layer.digest) {
        throw corrupt(`the file for ${layer.digest} has other content`);
      }
      texts.push(new TextDecoder().decode(bytes));
    }
    return texts;
  }

  /** The version of Ollama that the model was made for, if its configuration says. */
  async requires(model: ResolvedModel): Promise<string | undefined> {
    if (model.source === "embedded") return undefined;
    // Nothing else is read of it: a folder of another program's may have lost it.
    const path = await this.#folderOf(model).blobPath(model.manifest.config).catch(() => undefined);
    const bytes = path === undefined ? undefined : await readSmall(path, CONFIG_BYTES);
    return bytes && requiresOf(bytes);
  }

  /**
   * Hashes a blob and compares: to be called before each load.
   * @param digest `sha256:…` as {@link resolve} gave it.
   * @throws {SecLlamaError} `model-corrupt` if the content is another, or no blob has this digest.
   */
  async verify(
    digest: string,
    options: CopyOptions = {},
  ): Promise<{ path: string; sizeBytes: number }> {
    const hex = digestHex(digest);
    const path = await this.#locate(hex);
    if (path === undefined) throw corrupt(`no file for sha256:${hex}`);
    const actual = await hashFile(path, options);
    if (actual.hex !== hex) throw corrupt(`the file for sha256:${hex} has other content`);
    return { path, sizeBytes: actual.sizeBytes };
  }

  /** Of the model that guesses tokens ahead for this one: one, or none. */
  draftLayers(model: ResolvedModel): readonly Descriptor[] {
    return layersOf(model.manifest, "draft");
  }

  /** As {@link details}, of another file of the model's. @throws {SecLlamaError} `bad-model`, `model-corrupt` if it is not there. */
  async layerDetails(model: ResolvedModel, layer: Descriptor): Promise<ModelDetails> {
    return await this.#detailsOf(await this.#folderOf(model).blobPath(layer));
  }

  /** Path of the encoder of a model that sees; undefined: it has none. @throws {SecLlamaError} `model-corrupt`. */
  async projectorPath(model: ResolvedModel): Promise<string | undefined> {
    const [layer] = layersOf(model.manifest, "projector");
    return layer && await this.#folderOf(model).blobPath(layer);
  }

  /**
   * Copies a GGUF file into the store and gives it a name; an existing model of that name is replaced.
   * @param options.projector Path of the encoder of a model that sees.
   * @throws {SecLlamaError} `bad-model-name`; `bad-model` if it is no regular file or no usable model, in which case the
   *   store is unchanged; `model-store-unreadable` if it cannot be read or written (disk full).
   */
  async importGguf(
    path: string,
    name: string,
    { projector, ...options }: CopyOptions & { readonly projector?: string | undefined } = {},
  ): Promise<ResolvedModel> {
    const files = [path, ...(projector === undefined ? [] : [projector])];
    return await this.create(
      name,
      { files: files.map((path) => ({ path })), adapters: [] },
      options,
    );
  }

  /**
   * Makes a model by a recipe; an existing model of that name is replaced.
   * @throws {SecLlamaError} `bad-model-name`, and as `createModel`.
   */
  async create(name: string, recipe: Recipe, options: CopyOptions = {}): Promise<ResolvedModel> {
    const wanted = parseModelName(name);
    await createModel(this.#workshop, wanted, recipe, options);
    return await this.resolve(wanted.canonical);
  }

  /** Where files that clients send come in. */
  get uploads(): Uploads {
    return new Uploads(this.#own, (hex) => this.#locate(hex));
  }

  /** Where a pulled model comes in. */
  get pullTransaction(): PullTransaction {
    return new PullTransaction(this.#own);
  }

  /**
   * Gives a model a second name. From an Ollama folder or the embedded demo its files are copied, digests checked.
   * @throws {SecLlamaError} as {@link resolve}, and `model-corrupt` if a copied file is not what its digest says.
   */
  async copy(from: string, to: string, options: CopyOptions = {}): Promise<ResolvedModel> {
    const wanted = parseModelName(to);
    await copyModel(this.#workshop, wanted, await this.resolve(from), options);
    return await this.resolve(wanted.canonical);
  }

  /**
   * Removes a name, and the files that no other name needs.
   * @throws {SecLlamaError} `model-not-found`; `bad-request` for a model that is not SecLlama's to remove.
   */
  async remove(name: string): Promise<{ name: string; freedBytes: number }> {
    const wanted = parseModelName(name);
    if (await this.#own.find(wanted)) {
      const removed = await this.#own.change(async () => {
        const found = await this.#own.find(wanted);
        if (!found) return undefined;
        await this.#own.removeManifest(found.path);
        return { name: found.name.shown, freedBytes: await this.#own.sweep() };
      });
      await this.#own.clean();
      if (removed) return removed;
    }
    const model = await this.resolve(name);
    throw new SecLlamaError(
      "bad-request",
      model.source === "ollama"
        ? `model "${model.name}" is in Ollama's folder, which SecLlama only reads`
        : `model "${model.name}" comes with SecLlama and cannot be removed`,
      model.source === "ollama" ? { hint: `to remove it there, run: ollama rm ${model.name}` } : {
        hint: `to start without it: secllama serve --no-preload, or --model with another`,
      },
    );
  }

  get #workshop(): Workshop {
    return {
      own: this.#own,
      folderOf: (model) => model.source === "embedded" ? undefined : this.#folderOf(model),
      locate: (hex) => this.#locate(hex),
      layerTexts: (model, kind) => this.layerTexts(model, kind),
      requires: (model) => this.requires(model),
    };
  }

  #folderOf(model: ResolvedModel): ModelFolder {
    return this.#folders.find((folder) => folder.source === model.source) ?? this.#own;
  }

  async #locate(hex: string): Promise<string | undefined> {
    for (const folder of this.#folders) {
      const path = folder.blobFile(`sha256:${hex}`);
      if (await exists(path)) return path;
    }
    const upload = join(this.#own.uploads, `sha256-${hex}`);
    if (await exists(upload)) return upload;
    const demo = await this.#demo?.resolve();
    return demo?.digest === `sha256:${hex}` ? demo.blobPath : undefined;
  }
}
