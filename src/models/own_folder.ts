/**
 * Changing the own folder: manifests and blobs appear whole or not at all, and blobs that nothing names go.
 *
 * ```
 * <folder>/blobs/…  manifests/…   as folder.ts says
 *          tmp/part-<uuid>        half-written files, never looked at
 *          partial/sha256-<hex>   downloads that are to go on
 *          signatures/sha256-<hex>.json  who vouches for a model's weights
 *          uploads/sha256-<hex>   whole files that a client is to make a model of
 *          lock                   held while manifests or blobs change
 * ```
 */
import { dirname, join } from "node:path";
import {
  attempt,
  cleanTemps,
  commitTemp,
  type CopyOptions,
  createTemp,
  hashStream,
  listFolder,
  readSmall,
  type TempFile,
  withLock,
  writeWhole,
} from "./files.ts";
import { ModelFolder } from "./folder.ts";
import { openRegularFile } from "./gguf.ts";
import {
  corrupt,
  describeBytes,
  type Descriptor,
  type Manifest,
  MANIFEST_BYTES,
  parseManifest,
  partsOf,
  serializeManifest,
} from "./manifest.ts";
import type { ModelName } from "../api/model_name.ts";
import { digestHex } from "./names.ts";
import type { ModelPolicy } from "./policy.ts";
import { MAX_BUNDLE_BYTES } from "./signing.ts";
import { cleanPartials } from "./partial.ts";
import { cleanUploads } from "./uploads.ts";

export class OwnFolder extends ModelFolder {
  readonly #temp: string;

  readonly #policy: ModelPolicy | undefined;

  constructor(dir: string, policy?: ModelPolicy) {
    super(dir, "own");
    this.#temp = join(dir, "tmp");
    this.#policy = policy;
  }

  /** Where the signature of a model's weights lies. @param digest Of the weights. */
  signatureFile(digest: string): string {
    return join(this.dir, "signatures", `sha256-${digestHex(digest)}.json`);
  }

  /** The signature of these weights, if there is one. */
  async signature(digest: string): Promise<Uint8Array | undefined> {
    return await readSmall(this.signatureFile(digest), MAX_BUNDLE_BYTES);
  }

  /** Keeps the signature of a model's weights, over an older one; the lock is held. */
  writeSignature(digest: string, bundle: Uint8Array): Promise<void> {
    return writeWhole(this.#temp, this.signatureFile(digest), bundle);
  }

  /** A new temp file; disposing it removes it unless it was committed. */
  temp(): Promise<TempFile> {
    return createTemp(this.#temp);
  }

  /** Where files that are fetched in several goes wait; see partial.ts. */
  get partials(): string {
    return join(this.dir, "partial");
  }

  /** Blobs that came over the API and belong to no model yet. */
  get uploads(): string {
    return join(this.dir, "uploads");
  }

  /** Removes what killed writers left, and what was begun long ago and never went on. */
  async clean(): Promise<void> {
    await cleanTemps(this.#temp);
    await cleanPartials(this.partials);
    await cleanUploads(this.uploads);
  }

  /** Runs `body` while no other process changes the folder. */
  change<T>(body: () => Promise<T>): Promise<T> {
    return withLock(join(this.dir, "lock"), body);
  }

  /** Gives a finished temp file its place as a blob; the lock is held. */
  commit(temp: TempFile, digest: string): Promise<void> {
    return commitTemp(temp, this.blobFile(digest));
  }

  /** Writes a small blob; the lock is held. */
  writeBlob(digest: string, bytes: Uint8Array): Promise<void> {
    return writeWhole(this.#temp, this.blobFile(digest), bytes);
  }

  /** Writes a manifest, over that of the same name if there is one; the lock is held. */
  async writeManifest(name: ModelName, manifest: Manifest): Promise<void> {
    await this.writeManifestBytes(name, serializeManifest(manifest));
  }

  /** As {@link writeManifest}, but byte for byte as it came, so that its digest stays. */
  async writeManifestBytes(name: ModelName, bytes: Uint8Array): Promise<void> {
    // The one way by which a model gets a name here.
    await this.#policy?.check({
      name: name.canonical,
      manifest: parseManifest(bytes),
      manifestDigest: digestHex(describeBytes("", bytes).digest),
    }, (digest) => this.signature(digest));
    const existing = await this.find(name);
    await writeWhole(this.#temp, existing?.path ?? this.manifestFile(name), bytes);
  }

  /** Removes a manifest and the folders that become empty; the lock is held. */
  async removeManifest(path: string): Promise<void> {
    await attempt(path, () => Deno.remove(path));
    const top = join(this.dir, "manifests");
    for (let at = dirname(path); at.startsWith(top) && at !== top; at = dirname(at)) {
      if ((await listFolder(at)).length > 0) return;
      await attempt(at, () => Deno.remove(at));
    }
  }

  /**
   * Removes the blobs that no manifest names; the lock is held. If a manifest cannot be read, what it needs is unknown
   * and nothing is removed.
   */
  async sweep(): Promise<number> {
    const needed = new Set<string>();
    for (const { path } of await this.manifests()) {
      try {
        const bytes = await readSmall(path, MANIFEST_BYTES);
        if (!bytes) return 0;
        for (const part of partsOf(parseManifest(bytes))) needed.add(digestHex(part.digest));
      } catch {
        return 0;
      }
    }
    let freedBytes = 0;
    const folder = join(this.dir, "blobs");
    for (const entry of await listFolder(folder)) {
      const hex = /^sha256-([0-9a-f]{64})$/.exec(entry.name)?.[1];
      if (hex === undefined || needed.has(hex) || !entry.isFile) continue;
      const path = join(folder, entry.name);
      await attempt(path, async () => {
        freedBytes += (await Deno.lstat(path)).size;
        await Deno.remove(path);
      });
    }
    return freedBytes;
  }

  /**
   * A copy of another folder's blob, still under a temporary name.
   * @throws {SecLlamaError} `model-corrupt` if the content is not what its digest says.
   */
  async copyBlob(from: ModelFolder, part: Descriptor, options: CopyOptions): Promise<TempFile> {
    using source = await openRegularFile(await from.blobPath(part));
    const temp = await this.temp();
    try {
      const { hex } = await attempt(this.dir, () => hashStream(source, temp.file, options));
      if (`sha256:${hex}` !== part.digest) {
        throw corrupt(`the file for ${part.digest} has other content`);
      }
      return temp;
    } catch (error) {
      temp[Symbol.dispose]();
      throw error;
    }
  }
}
