/**
 * A blob that is being fetched in chunks, possibly by several processes' lives: what arrived stays on disk when the
 * process is killed, and the next one goes on from there. It becomes a blob only when its digest is right.
 *
 * ```
 * <folder>/partial/sha256-<hex>        the bytes, with holes; locked while a process works on it
 *                  sha256-<hex>.done   "<size> <chunk size>\n", then "<chunk>\n" for each chunk that is whole
 * ```
 * The digest is computed as the chunks come, over what is whole from the start on. After a crash of the machine the list
 * may claim what the disk lost: the digest then differs, and everything is fetched again.
 */
import { createHash, type Hash } from "node:crypto";
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { attempt, listFolder, makeFolder, type TempFile } from "./files.ts";
import type { Descriptor } from "./manifest.ts";
import { digestHex } from "./names.ts";

export const CHUNK_BYTES = 16 * 1024 * 1024;
/** Left alone this long, a partial file is taken for abandoned. */
const ABANDONED_MS = 7 * 24 * 3_600_000;
const READ_BYTES = 1024 * 1024;

/** One chunk: its number and the bytes from `start` up to, not including, `end`. */
export interface Chunk {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

export class PartialBlob implements Disposable {
  readonly part: Descriptor;
  readonly path: string;
  readonly #file: Deno.FsFile;
  readonly #chunkBytes: number;
  readonly #done = new Set<number>();
  #hash: Hash = createHash("sha256");
  /** Chunks that the hash has taken in. */
  #hashed = 0;
  #hashing: Promise<void> = Promise.resolve();

  private constructor(part: Descriptor, path: string, file: Deno.FsFile, chunkBytes: number) {
    this.part = part;
    this.path = path;
    this.#file = file;
    this.#chunkBytes = chunkBytes;
  }

  /**
   * Opens or begins the partial file of a blob in `folder`.
   * @throws {SecLlamaError} `busy` if another process is fetching the same blob.
   */
  static async open(
    folder: string,
    part: Descriptor,
    chunkBytes: number,
  ): Promise<PartialBlob> {
    await makeFolder(folder);
    const path = join(folder, `sha256-${digestHex(part.digest)}`);
    const file = await attempt(
      path,
      () => Deno.open(path, { read: true, write: true, create: true, mode: 0o600 }),
    );
    const blob = new PartialBlob(part, path, file, chunkBytes);
    try {
      if (!(await attempt(path, () => file.tryLock(true)))) {
        throw new SecLlamaError("busy", "another pull is fetching the same file", {
          hint: "wait for it, or end it",
        });
      }
      await blob.#readDone();
      return blob;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Bytes of the chunks that are whole. */
  get doneBytes(): number {
    let sum = 0;
    for (const index of this.#done) sum += this.chunk(index).end - this.chunk(index).start;
    return sum;
  }

  /** The chunks that are not whole, in order. */
  missing(): Chunk[] {
    const count = Math.ceil(this.part.size / this.#chunkBytes);
    const chunks: Chunk[] = [];
    for (let i = 0; i < count; i++) if (!this.#done.has(i)) chunks.push(this.chunk(i));
    return chunks;
  }

  chunk(index: number): Chunk {
    const start = index * this.#chunkBytes;
    return { index, start, end: Math.min(start + this.#chunkBytes, this.part.size) };
  }

  /** A writer of its own at an offset, so that chunks can be written side by side. The caller closes it. */
  async writerAt(offset: number): Promise<Deno.FsFile> {
    return await attempt(this.path, async () => {
      const file = await Deno.open(this.path, { write: true });
      await file.seek(offset, Deno.SeekMode.Start);
      return file;
    });
  }

  /** Notes that a chunk is whole, and takes it into the digest as soon as all before it are. */
  async complete(chunk: Chunk): Promise<void> {
    await attempt(
      this.path,
      () => Deno.writeTextFile(this.#list, `${chunk.index}\n`, { append: true, mode: 0o600 }),
    );
    this.#done.add(chunk.index);
    await this.#advance();
  }

  /**
   * Compares the digest, when no chunk is missing. If it is another, all of the file is thrown away.
   * @throws {SecLlamaError} `model-corrupt`.
   */
  async verify(): Promise<void> {
    await this.#advance();
    const whole = this.missing().length === 0 && this.#hashed === this.#done.size;
    if (whole && `sha256:${this.#hash.copy().digest("hex")}` === this.part.digest) return;
    await this.discard();
    throw new SecLlamaError("model-corrupt", `what came is not ${this.part.digest}`, {
      hint: "pull again; if that does not help, the registry serves another file",
    });
  }

  /**
   * The finished file, to be given its place.
   * @throws {SecLlamaError} as {@link verify}.
   */
  async finish(): Promise<TempFile> {
    await this.verify();
    await attempt(this.path, () => this.#file.truncate(this.part.size));
    return { path: this.path, file: this.#file, [Symbol.dispose]: () => {} };
  }

  /** Forgets everything that was fetched. */
  async discard(): Promise<void> {
    await attempt(this.path, async () => {
      await Deno.remove(this.#list).catch(() => {});
      await this.#file.truncate(0);
    });
    this.#restart();
  }

  /** After the file has become a blob. */
  async forgetList(): Promise<void> {
    await Deno.remove(this.#list).catch(() => {});
  }

  /** Lets go of it; what was fetched stays. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  get #list(): string {
    return `${this.path}.done`;
  }

  #restart(): void {
    this.#done.clear();
    this.#hash = createHash("sha256");
    this.#hashed = 0;
    this.#hashing = Promise.resolve();
  }

  async #readDone(): Promise<void> {
    const head = `${this.part.size} ${this.#chunkBytes}`;
    const text = await Deno.readTextFile(this.#list).catch(() => "");
    const [first, ...lines] = text.split("\n");
    const { size } = await attempt(this.path, () => this.#file.stat());
    if (first === head && text.includes("\n")) {
      lines.pop(); // what follows the last line's end is not a whole line
      const count = Math.ceil(this.part.size / this.#chunkBytes);
      for (const line of lines) {
        const index = /^\d{1,9}$/.test(line) ? Number(line) : NaN;
        if (index < count && this.chunk(index).end <= size) this.#done.add(index);
      }
    } else {
      await attempt(this.path, () => this.#file.truncate(0));
      await attempt(
        this.path,
        () => Deno.writeTextFile(this.#list, `${head}\n`, { mode: 0o600 }),
      );
    }
    await this.#advance();
  }

  /** Hashes the chunks that follow those hashed, one caller after the other. */
  #advance(): Promise<void> {
    return this.#hashing = this.#hashing.then(async () => {
      const buffer = new Uint8Array(READ_BYTES);
      while (this.#done.has(this.#hashed)) {
        const { start, end } = this.chunk(this.#hashed);
        await attempt(this.path, () => this.#file.seek(start, Deno.SeekMode.Start));
        for (let at = start; at < end;) {
          const wanted = buffer.subarray(0, Math.min(READ_BYTES, end - at));
          const n = await attempt(this.path, () => this.#file.read(wanted));
          if (n === null) return; // shorter than the list says: the digest will not match
          this.#hash.update(buffer.subarray(0, n));
          at += n;
        }
        this.#hashed++;
      }
    });
  }
}

/** Removes partial files that nobody has touched for a week and nobody works on. */
export async function cleanPartials(folder: string, now = Date.now()): Promise<void> {
  for (const entry of await listFolder(folder)) {
    if (!entry.isFile || !/^sha256-[0-9a-f]{64}(\.done)?$/.test(entry.name)) continue;
    const path = join(folder, entry.name);
    try {
      const { mtime } = await Deno.stat(path);
      if (now - (mtime?.getTime() ?? now) < ABANDONED_MS) continue;
      using file = await Deno.open(path, { read: true, write: true });
      if (await file.tryLock(true)) await Deno.remove(path);
    } catch { /* another process was faster */ }
  }
}
