/**
 * Files that a client sends before it makes a model of them (`POST /api/blobs/:digest`). They are no blobs of the store
 * yet: nothing lists them, and what is not used within a day goes.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { attempt, commitTemp, listFolder, writeAll } from "./files.ts";
import { digestHex } from "./names.ts";
import type { OwnFolder } from "./own_folder.ts";

const UNUSED_MS = 24 * 3_600_000;

export class Uploads {
  readonly #own: OwnFolder;
  readonly #locate: (hex: string) => Promise<string | undefined>;
  /** Bytes of those that are under way. */
  #coming = 0;
  /** The last one that was kept, or is being. */
  #committing: Promise<unknown> = Promise.resolve();

  constructor(own: OwnFolder, locate: (hex: string) => Promise<string | undefined>) {
    this.#own = own;
    this.#locate = locate;
  }

  /** Whether the file of a digest is here, as a blob or an upload. */
  async has(digest: string): Promise<boolean> {
    return await this.#locate(digestHex(digest)) !== undefined;
  }

  /**
   * Takes a file in.
   * @param maxBytes Of this file and all other unused ones together.
   * @throws {SecLlamaError} `bad-request` if its content is not what the digest says, `too-large`.
   */
  async add(digest: string, body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<void> {
    const hex = digestHex(digest);
    await this.#own.clean();
    const tooLarge = () =>
      new SecLlamaError("too-large", `the uploads are over ${maxBytes} bytes`, {
        hint: "make models of those that are here, or raise SECLLAMA_MAX_MODEL_SIZE",
      });
    const there = await sizeOf(this.#own.uploads);
    const hash = createHash("sha256");
    let own = 0;
    using temp = await this.#own.temp();
    try {
      for await (const piece of body) {
        own += piece.length;
        this.#coming += piece.length;
        if (there + this.#coming > maxBytes) throw tooLarge();
        hash.update(piece);
        await attempt(temp.path, () => writeAll(temp.file, piece));
      }
      if (hash.digest("hex") !== hex) {
        throw new SecLlamaError("bad-request", "the file is not what its digest says", {
          field: "digest",
        });
      }
      // Others may have come to their end meanwhile; of those that end at once each is looked at after the one before it is there.
      const commit = this.#committing.then(async () => {
        if (await sizeOf(this.#own.uploads) + own > maxBytes) throw tooLarge();
        await commitTemp(temp, join(this.#own.uploads, `sha256-${hex}`));
      });
      this.#committing = commit.catch(() => {});
      await commit;
    } finally {
      this.#coming -= own;
    }
  }
}

async function sizeOf(folder: string): Promise<number> {
  let total = 0;
  for (const entry of await listFolder(folder)) {
    total += await Deno.stat(join(folder, entry.name)).then(({ size }) => size, () => 0);
  }
  return total;
}

/** Removes an upload that became a blob, if it was one. */
export async function forgetUpload(folder: string, digest: string): Promise<void> {
  await Deno.remove(join(folder, `sha256-${digestHex(digest)}`)).catch(() => {});
}

/** Removes what was uploaded a day ago and not used. */
export async function cleanUploads(folder: string, now = Date.now()): Promise<void> {
  for (const entry of await listFolder(folder)) {
    if (!entry.isFile || !/^sha256-[0-9a-f]{64}$/.test(entry.name)) continue;
    const path = join(folder, entry.name);
    const { mtime } = await Deno.stat(path).catch(() => ({ mtime: null }));
    if (mtime && now - mtime.getTime() > UNUSED_MS) await Deno.remove(path).catch(() => {});
  }
}
