/** Which manifest a name means now. Asked for each request: a manifest is read again only when its file is another. */
import { parseModelName } from "../api/model_name.ts";
import { stampOf } from "../file_stamp.ts";
import { readSmall } from "./files.ts";
import { DEMO_MODEL, type EmbeddedDemo, type ModelFolder } from "./folder.ts";
import { describeBytes, MANIFEST_BYTES } from "./manifest.ts";
import { digestHex } from "./names.ts";
import { NextAnswer } from "./next_answer.ts";

/** Digests of manifests by name. */
export class ManifestDigests {
  readonly #folders: readonly ModelFolder[];
  readonly #demo: EmbeddedDemo | undefined;
  /** By path, with the file that they were read from. */
  readonly #read = new Map<string, { stamp: string; digest: string }>();
  readonly #current = new NextAnswer<string | undefined>();

  /** Nothing is read yet. */
  constructor(folders: readonly ModelFolder[], demo: EmbeddedDemo | undefined) {
    this.#folders = folders;
    this.#demo = demo;
  }

  /**
   * The digest, in hexadecimal; undefined: the name means none. A crowd that asks at once asks the file system once.
   * @param name Canonical.
   */
  of(name: string): Promise<string | undefined> {
    return this.#current.ask(name, () => this.#now(name));
  }

  async #now(name: string): Promise<string | undefined> {
    for (const folder of this.#folders) {
      const path = folder.manifestFile(parseModelName(name));
      const info = await Deno.lstat(path).catch(() => undefined);
      if (!info) continue;
      const stamp = stampOf(info);
      const known = this.#read.get(path);
      if (known?.stamp === stamp) return known.digest;
      const bytes = await readSmall(path, MANIFEST_BYTES);
      const { digest } = describeBytes("", bytes ?? new Uint8Array(0));
      this.#read.set(path, { stamp, digest: digestHex(digest) });
      return digestHex(digest);
    }
    return name === DEMO_MODEL ? (await this.#demo?.resolve())?.manifestDigest : undefined;
  }
}
