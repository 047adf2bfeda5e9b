/** Fetches what a partial blob misses: several ranges at a time, each taken up again where it broke off. */
import { setTimeout as delay } from "node:timers/promises";
import { SecLlamaError } from "../errors.ts";
import { attempt, writeAll } from "../models/files.ts";
import type { Chunk, PartialBlob } from "../models/partial.ts";
import type { Registry } from "./registry.ts";

const PARALLEL = 4;
const ATTEMPTS = 5;
const PROGRESS_BYTES = 64 * 1024;

interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Wait before the second attempt, doubled each time. */
  readonly backoffMs: number;
  /** Bytes of the blob that are here now; may fall when a chunk is fetched again. */
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Fetches every missing chunk. What was fetched stays if it fails.
 * @throws {SecLlamaError} `pull-failed` after several attempts, `pull-refused`, `cancelled`.
 */
export async function download(
  registry: Registry,
  blob: PartialBlob,
  options: DownloadOptions,
): Promise<void> {
  await new Download(registry, blob, options).run();
}

class Download {
  readonly #registry: Registry;
  readonly #blob: PartialBlob;
  readonly #options: DownloadOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  /** Bytes of chunks that are under way, by chunk. */
  readonly #underWay = new Map<number, number>();
  /** The registry knows no ranges: one stream from the start brings everything. */
  #wholeOnly = false;

  constructor(registry: Registry, blob: PartialBlob, options: DownloadOptions) {
    this.#registry = registry;
    this.#blob = blob;
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  async run(): Promise<void> {
    const queue = this.#blob.missing();
    this.#report();
    const worker = async () => {
      try {
        for (let chunk; !this.#wholeOnly && (chunk = queue.shift());) await this.#chunk(chunk);
      } catch (error) {
        this.#stop.abort();
        throw error;
      }
    };
    const results = await Promise.allSettled(Array.from({ length: PARALLEL }, worker));
    const failed = results.filter((result) => result.status === "rejected");
    // The others end because of the first: its reason is the one to tell.
    const reasons = failed.map(({ reason }) => reason as unknown);
    const first = reasons.find((r) => !(r instanceof SecLlamaError && r.code === "cancelled"));
    if (failed.length > 0) throw first ?? reasons[0];
    if (this.#wholeOnly && this.#blob.missing().length > 0) await this.#whole();
  }

  async #chunk(chunk: Chunk): Promise<void> {
    let at = chunk.start;
    for (let attempts = 1;; attempts++) {
      const before = at;
      try {
        this.#check();
        const { answer, whole } = await this.#range(at, chunk.end);
        using _answer = answer;
        if (whole && (at !== 0 || chunk.end !== this.#blob.part.size)) {
          this.#wholeOnly = true;
          return;
        }
        using writer = await this.#blob.writerAt(at);
        for await (const piece of answer.body()) {
          this.#check();
          const fits = piece.subarray(0, chunk.end - at);
          await attempt(this.#blob.path, () => writeAll(writer, fits));
          at += fits.length;
          this.#underWay.set(chunk.index, at - chunk.start);
          this.#report();
          if (at === chunk.end) break;
        }
        if (at < chunk.end) throw new SecLlamaError("pull-failed", "the registry broke off");
        this.#underWay.delete(chunk.index);
        await this.#blob.complete(chunk);
        return;
      } catch (error) {
        // It goes on, if with breaks; one that gives a few bytes each time does not.
        if (at - before >= PROGRESS_BYTES) attempts = 0;
        await this.#retry(error, attempts);
      }
    }
  }

  /** One stream from the start, over whatever is there. */
  async #whole(): Promise<void> {
    const { size } = this.#blob.part;
    for (let attempts = 1;; attempts++) {
      try {
        const { answer, whole } = await this.#range(0, size);
        using _answer = answer;
        if (!whole) throw new SecLlamaError("pull-failed", "the registry changes its mind");
        using writer = await this.#blob.writerAt(0);
        const missing = this.#blob.missing();
        let at = 0;
        for await (const piece of answer.body()) {
          this.#check();
          const fits = piece.subarray(0, size - at);
          await attempt(this.#blob.path, () => writeAll(writer, fits));
          at += fits.length;
          while (missing[0] && missing[0].end <= at) await this.#blob.complete(missing.shift()!);
          this.#report();
        }
        if (this.#blob.missing().length === 0) return;
        throw new SecLlamaError("pull-failed", "the registry broke off");
      } catch (error) {
        await this.#retry(error, attempts);
      }
    }
  }

  #range(start: number, end: number) {
    return this.#registry.range(this.#blob.part, { start, end, signal: this.#signal });
  }

  #check(): void {
    if (this.#signal.aborted) {
      throw new SecLlamaError("cancelled", "the pull was cancelled");
    }
  }

  /** Waits before the next attempt, or gives up. */
  async #retry(error: unknown, attempts: number): Promise<void> {
    const passing = error instanceof SecLlamaError && error.code === "pull-failed";
    if (!passing || attempts >= ATTEMPTS) throw error;
    this.#check();
    const ms = this.#options.backoffMs * 2 ** attempts;
    await delay(ms, undefined, { signal: this.#signal }).catch(() => this.#check());
  }

  #report(): void {
    let done = this.#blob.doneBytes;
    for (const bytes of this.#underWay.values()) done += bytes;
    this.#options.onProgress(done);
  }
}
