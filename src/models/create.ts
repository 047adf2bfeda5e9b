/**
 * Making a model: from GGUF files, from blobs that were uploaded, or from another model whose parts it shares. Nothing is
 * visible before everything is checked, on disk and under its digest.
 */
import { utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { type ModelMessage, readParameters } from "./defaults.ts";
import {
  checkDraft,
  checkProjector,
  describeAdapter,
  describeModel,
  kindOfFile,
  type ModelDetails,
} from "./describe.ts";
import { attempt, type CopyOptions, hashStream, type TempFile } from "./files.ts";
import type { ModelFolder, ResolvedModel } from "./folder.ts";
import { type GgufHeader, openRegularFile, readGgufHeader } from "./gguf.ts";
import {
  CONFIG_TYPE,
  describeBytes,
  type Descriptor,
  type LayerKind,
  layersOf,
  layerType,
  type Manifest,
  MANIFEST_TYPE,
  partsOf,
} from "./manifest.ts";
import type { ModelName } from "../api/model_name.ts";
import type { OwnFolder } from "./own_folder.ts";
import type { ParameterValue } from "./parameters.ts";
import { configOf } from "./config_blob.ts";
import { checkChatTemplate, checkTemplate } from "./template_check.ts";
import { forgetUpload } from "./uploads.ts";

/** A GGUF file by its path, or by the digest of a blob that is here already. */
export type FileReference = { readonly path: string } | { readonly digest: string };

/** What to make. A missing field leaves what the base model has; an empty text or list takes it away. */
export interface Recipe {
  /** The model whose parts it shares. */
  readonly base?: ResolvedModel;
  /** Weights, and perhaps a projector: in place of, or beside, the base. */
  readonly files: readonly FileReference[];
  readonly adapters: readonly FileReference[];
  /** A smaller model that guesses tokens ahead, in place of the base's. */
  readonly draft?: FileReference | undefined;
  readonly template?: string | undefined;
  readonly system?: string | undefined;
  /** Each replaces the base's of the same name. */
  readonly parameters?: Readonly<Record<string, ParameterValue>>;
  readonly messages?: readonly ModelMessage[] | undefined;
  /** Added to the base's. */
  readonly licenses?: readonly string[];
  /** The version of Ollama that it was made for. */
  readonly requires?: string | undefined;
}

/** Where a recipe's parts come from and go to. */
export interface Workshop {
  readonly own: OwnFolder;
  /** The folder that holds a model's files; undefined for the embedded demo. */
  folderOf(model: ResolvedModel): ModelFolder | undefined;
  /** Path of a blob in any folder. */
  locate(hex: string): Promise<string | undefined>;
  layerTexts(model: ResolvedModel, kind: LayerKind): Promise<string[]>;
  /** What the configuration blob says. */
  requires(model: ResolvedModel): Promise<string | undefined>;
}

/** Largest text of a recipe, and of all together. */
const RECIPE_TEXT_BYTES = 4 * 1024 * 1024;

/**
 * Makes the model and gives it its name; one of that name is replaced.
 * @throws {SecLlamaError} `bad-modelfile` for a template, `bad-model` if a file is not what its place needs, or its own chat
 *   template cannot be read and no other is given, `bad-request` for texts that are too large,
 *   `model-corrupt` if a part of the base is damaged, `model-store-unreadable`. The store is then unchanged.
 */
export async function createModel(
  shop: Workshop,
  name: ModelName,
  recipe: Recipe,
  options: CopyOptions = {},
): Promise<Manifest> {
  if (recipe.template) checkTemplate(recipe.template);
  await shop.own.clean();
  using parts = new Parts(shop, recipe, options);
  const { base } = recipe;
  if (base) await parts.inherit(base);
  for (const file of recipe.files) await parts.addFile(file);
  const details = await parts.modelDetails();
  const before = base ? (await shop.layerTexts(base, "template")).at(-1) : undefined;
  checkChatTemplate(details, recipe.template ?? before);
  parts.checkProjectors(details);
  for (const file of recipe.adapters) await parts.addAdapter(file, details);
  if (recipe.draft) await parts.setDraft(recipe.draft);
  for (const [kind, text] of [["template", recipe.template], ["system", recipe.system]] as const) {
    if (text !== undefined) parts.setText(kind, text === "" ? [] : [text]);
  }
  // The demo's parameters are in no file, so none of its parts brings them along.
  const embedded = base !== undefined && shop.folderOf(base) === undefined;
  if (embedded || Object.keys(recipe.parameters ?? {}).length > 0) {
    const params = base ? (await shop.layerTexts(base, "params")).at(-1) : undefined;
    const merged = { ...(params ? readParameters(params) : {}), ...recipe.parameters };
    parts.setText("params", [JSON.stringify(merged)]);
  }
  if (recipe.messages !== undefined) {
    const { messages } = recipe;
    parts.setText("messages", messages.length > 0 ? [JSON.stringify(messages)] : []);
  }
  for (const license of recipe.licenses ?? []) parts.addText("license", license);
  const requires = recipe.requires ?? (base ? await shop.requires(base) : undefined);
  return await parts.commit(name, details, requires);
}

/** @throws What was thrown; of a file that is no usable one, with its name in front. */
function failNaming(file: FileReference, error: unknown): never {
  if (!(error instanceof SecLlamaError) || error.code !== "bad-model") throw error;
  const { code, message, hint } = error;
  const name = "path" in file ? file.path : file.digest;
  if (message.includes(name)) throw error;
  throw new SecLlamaError(code, `${name}: ${message}`, { ...(hint && { hint }), cause: error });
}

/** Gives a model's manifest, as it is, a second name; files of another folder are copied, digests checked. */
export async function copyModel(
  shop: Workshop,
  name: ModelName,
  model: ResolvedModel,
  options: CopyOptions = {},
): Promise<void> {
  const source = shop.folderOf(model);
  if (source === undefined) {
    await createModel(shop, name, { base: model, files: [], adapters: [] }, options);
    return;
  }
  const { own } = shop;
  using temps = new DisposableStack();
  const adopted = new Map<string, TempFile>();
  for (const part of source === own ? [] : partsOf(model.manifest)) {
    if (adopted.has(part.digest)) continue;
    adopted.set(part.digest, temps.use(await own.copyBlob(source, part, options)));
  }
  await own.change(async () => {
    for (const [digest, temp] of adopted) await own.commit(temp, digest);
    // Under the lock: a removal may have freed the files since they were resolved.
    for (const part of partsOf(model.manifest)) await own.blobPath(part);
    await own.writeManifest(name, model.manifest);
    await own.sweep();
  });
}

/** A file that has become a blob to be. */
interface Taken {
  readonly part: { readonly digest: string; readonly size: number };
  readonly header: GgufHeader;
}

/** The layers of a model under construction, and the files that are to become blobs. */
class Parts implements Disposable {
  readonly #shop: Workshop;
  /** Whether the one has to be named that is wrong. */
  readonly #several: boolean;
  readonly #options: CopyOptions;
  readonly #temps = new Map<string, TempFile>();
  readonly #texts = new Map<string, Uint8Array>();
  /** Headers of the files that this recipe brought. */
  readonly #headers = new Map<string, GgufHeader>();
  #layers: Descriptor[] = [];
  #weightsPath: string | undefined;
  #textBytes = 0;

  constructor(shop: Workshop, { files, adapters, draft }: Recipe, options: CopyOptions) {
    this.#shop = shop;
    this.#several = files.length + adapters.length + (draft ? 1 : 0) > 1;
    this.#options = options;
  }

  [Symbol.dispose](): void {
    for (const temp of this.#temps.values()) temp[Symbol.dispose]();
  }

  async inherit(base: ResolvedModel): Promise<void> {
    const { own } = this.#shop;
    const folder = this.#shop.folderOf(base);
    if (folder === undefined) return await this.addFile({ path: base.blobPath });
    for (const part of base.manifest.layers) {
      if (folder !== own && !this.#temps.has(part.digest)) {
        this.#temps.set(part.digest, await own.copyBlob(folder, part, this.#options));
      }
    }
    this.#layers = [...base.manifest.layers];
    this.#weightsPath = base.blobPath;
  }

  /** Weights or a projector, by what the file says of itself. */
  async addFile(file: FileReference): Promise<void> {
    const { part, header } = await this.#take(file);
    const kind = kindOfFile(header);
    if (kind === "adapter") {
      throw new SecLlamaError("bad-model", "this file is an adapter, not a model", {
        hint: "name it with ADAPTER, and the model that it was made for with FROM",
      });
    }
    if (kind === "projector" && layersOf({ layers: this.#layers }, "projector").length > 0) {
      // The base's gives way to the recipe's; two of a recipe are one too many.
      const own = (layer: Descriptor) => this.#headers.has(layer.digest);
      const others = layersOf({ layers: this.#layers }, "projector");
      if (others.some((layer) => own(layer) && layer.digest !== part.digest)) {
        throw new SecLlamaError("bad-model", "two projectors were given where one is needed", {
          hint: "give the one that was made for this model",
        });
      }
      this.#layers = this.#layers.filter((layer) => !others.includes(layer));
    }
    if (kind === "model") {
      describeModel(header);
      if (layersOf({ layers: this.#layers }, "model").length > 0) {
        throw new SecLlamaError("bad-model", "two models were given where one is made", {
          hint: "beside a model goes its projector, whose file is often called mmproj",
        });
      }
    }
    this.#add({ mediaType: layerType(kind), ...part });
  }

  async addAdapter(file: FileReference, model: ModelDetails): Promise<void> {
    const { part, header } = await this.#take(file);
    describeAdapter(header, model.architecture);
    this.#add({ mediaType: layerType("adapter"), ...part });
  }

  /** Of the base's there is then none. @throws {SecLlamaError} `bad-model`: it cannot guess for this model. */
  async setDraft(file: FileReference): Promise<void> {
    const { part, header } = await this.#take(file);
    try {
      checkDraft(header, await this.#weightsHeader());
    } catch (error) {
      failNaming(file, error);
    }
    this.#layers = this.#layers.filter((layer) => layer.mediaType !== layerType("draft"));
    this.#add({ mediaType: layerType("draft"), ...part });
  }

  /** Those that this recipe brought; a base's was checked with it. @throws {SecLlamaError} `bad-model`. */
  checkProjectors(model: ModelDetails): void {
    for (const { digest } of layersOf({ layers: this.#layers }, "projector")) {
      const header = this.#headers.get(digest);
      if (header !== undefined) checkProjector(header, model);
    }
  }

  /** @throws {SecLlamaError} `bad-model` if there are no weights. */
  async modelDetails(): Promise<ModelDetails> {
    return describeModel(await this.#weightsHeader());
  }

  async #weightsHeader(): Promise<GgufHeader> {
    const [weights] = layersOf({ layers: this.#layers }, "model");
    if (!weights) {
      // Alone, a projector is named for what it is.
      for (const header of this.#headers.values()) describeModel(header);
      throw new SecLlamaError("bad-model", "no model was given", {
        hint: HINTS.wholeModel,
      });
    }
    return this.#headers.get(weights.digest) ?? await readGgufHeader(this.#weightsPath!);
  }

  setText(kind: LayerKind, texts: readonly string[]): void {
    const replaced = kind === "template" ? ["template", "prompt"] as const : [kind];
    this.#layers = this.#layers.filter((l) => !replaced.some((k) => l.mediaType === layerType(k)));
    for (const text of texts) this.addText(kind, text);
  }

  addText(kind: LayerKind, text: string): void {
    const bytes = utf8(text);
    this.#textBytes += bytes.length;
    if (this.#textBytes > RECIPE_TEXT_BYTES) {
      throw new SecLlamaError("bad-request", "the model's texts are over 4 MiB", { field: kind });
    }
    const part = describeBytes(layerType(kind), bytes);
    this.#texts.set(part.digest, bytes);
    this.#add(part);
  }

  /** What the base has already, an adapter or a license, is not added twice. */
  #add(part: Descriptor): void {
    const same = (l: Descriptor) => l.digest === part.digest && l.mediaType === part.mediaType;
    if (!this.#layers.some(same)) this.#layers.push(part);
  }

  async commit(
    name: ModelName,
    details: ModelDetails,
    requires: string | undefined,
  ): Promise<Manifest> {
    const { own } = this.#shop;
    const config = utf8(JSON.stringify(configOf(details, this.#layers, requires)));
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: describeBytes(CONFIG_TYPE, config),
      layers: this.#layers,
    };
    this.#texts.set(manifest.config.digest, config);
    await own.change(async () => {
      for (const [digest, temp] of this.#temps) await own.commit(temp, digest);
      for (const [digest, bytes] of this.#texts) await own.writeBlob(digest, bytes);
      // Under the lock: what is shared may have been removed since it was resolved.
      for (const part of partsOf(manifest)) await own.blobPath(part);
      await own.writeManifest(name, manifest);
      await own.sweep();
    });
    for (const digest of this.#temps.keys()) await forgetUpload(own.uploads, digest);
    return manifest;
  }

  /** Copies a file to be a blob, or finds the blob, and reads its header. */
  async #take(file: FileReference): Promise<Taken> {
    const taken = this.#takeUnnamed(file);
    return this.#several ? await taken.catch((error) => failNaming(file, error)) : await taken;
  }

  async #takeUnnamed(file: FileReference): Promise<Taken> {
    const { own } = this.#shop;
    const path = "path" in file ? file.path : await this.#pathOf(file.digest);
    using source = await openRegularFile(path);
    // First on the source, to refuse a film before copying it; then on the copy, which is what counts.
    await readGgufHeader(source);
    await attempt(path, () => source.seek(0, Deno.SeekMode.Start));
    const temp = await own.temp();
    try {
      const copied = await attempt(own.dir, () => hashStream(source, temp.file, this.#options));
      await attempt(temp.path, () => temp.file.seek(0, Deno.SeekMode.Start));
      const header = await readGgufHeader(temp.file);
      const digest = `sha256:${copied.hex}`;
      if ("digest" in file && file.digest !== digest) throw unknownBlob(file.digest);
      this.#temps.get(digest)?.[Symbol.dispose]();
      this.#temps.set(digest, temp);
      this.#headers.set(digest, header);
      return { part: { digest, size: copied.sizeBytes }, header };
    } catch (error) {
      temp[Symbol.dispose]();
      throw error;
    }
  }

  async #pathOf(digest: string): Promise<string> {
    const path = await this.#shop.locate(digest.slice("sha256:".length));
    if (path === undefined) throw unknownBlob(digest);
    return path;
  }
}

function unknownBlob(digest: string): SecLlamaError {
  return new SecLlamaError("bad-request", `no blob ${digest} is here`, {
    field: "from",
    hint: "upload it first: POST /api/blobs/sha256:…",
  });
}
