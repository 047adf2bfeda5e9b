/**
 * Vectors of documents: the model that the user named makes them, by the sealed path that every prompt takes, one pack of passages
 * after the other and beside all else. What is done is kept, so that whatever ends this goes on where it was.
 */
import type { EmbeddingReport, PassageList } from "../api/documents.ts";
import { readError } from "../api/errors.ts";
import { JSON_TYPE } from "../api/media_types.ts";
import { isSameModel, parseModelName } from "../api/model_name.ts";
import { ROUTES } from "../api/routes.ts";
import { utf8 } from "../bytes.ts";
import type { SealedFetch } from "../client/mod.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import type { HistoryCalls } from "../history/calls.ts";
import type { EmbeddingModel } from "../history/embedding.ts";
import { plural } from "../plural.ts";

interface EmbeddingsOptions {
  /** Address of the gateway. */
  readonly gateway: string;
  /** Seals: `sealedFetch` of src/client. */
  readonly fetch: (input: string, init: RequestInit) => Promise<Response>;
  readonly metadata: SealedFetch["metadata"];
  readonly history: HistoryCalls;
  /** Aborted: the proxy ends. */
  readonly signal: AbortSignal;
}

/** That it is this text, and not the model or the way to it. */
const REFUSED: ReadonlySet<string> = new Set(["bad-request", "context-too-long"]);

/** A text that a model can refuse only if it makes no embeddings at all. */
const HARMLESS = "a";

/** Finds passages, and has vectors made of them. */
export class Embeddings {
  readonly #options: EmbeddingsOptions;
  #running: Promise<void> | undefined;
  #again = false;
  #error: string | undefined;

  constructor(options: EmbeddingsOptions) {
    this.#options = options;
  }

  /** The model, and how far it is. */
  async report(): Promise<EmbeddingReport> {
    const { chosen, passages, embedded } = await this.#options.history.embedding();
    return {
      model: chosen?.name ?? null,
      passages,
      embedded,
      running: this.#running !== undefined,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  /**
   * Names another model; null: none.
   * @throws {SecLlamaError} `bad-request` for one that makes no embeddings, `model-not-found`, `history-busy`.
   */
  async choose(name: string | null): Promise<EmbeddingReport> {
    const { history } = this.#options;
    if (name === null) await history.setEmbedding(null);
    else {
      await this.#refuseUnfit(name);
      const { shown } = parseModelName(name);
      await history.setEmbedding({ name: shown, digest: await this.#digestOf(shown) });
    }
    this.#error = undefined;
    this.goOn();
    return await this.report();
  }

  /** Has vectors made of what has none, beside all else. */
  goOn(): void {
    this.#again = true;
    this.#running ??= this.#run().finally(() => this.#running = undefined);
  }

  /** The passages that fit a question, and how they were ranked. */
  async search(text: string, limit: number, of?: readonly string[]): Promise<PassageList> {
    const { history } = this.#options;
    const byWords = async (note: string): Promise<PassageList> => ({
      passages: await history.searchDocuments(text, limit, of),
      ranking: "bm25",
      note,
    });
    let state: Awaited<ReturnType<typeof history.embedding>>;
    try {
      state = await history.embedding();
    } catch (error) {
      // Which model it was cannot be read any more: the words can.
      if (!(error instanceof SecLlamaError) || error.code !== "decrypt-failed") throw error;
      return await byWords(`no embeddings: ${error.message}`);
    }
    const { chosen, passages, embedded } = state;
    if (chosen === null || passages === 0) {
      return { passages: await history.searchDocuments(text, limit, of), ranking: "bm25" };
    }
    if (embedded < passages) this.goOn();
    if (embedded === 0) return await byWords("no passage has embeddings yet");
    let vector: Float32Array;
    try {
      const [made] = await this.#embed(chosen, [text]);
      if (made === undefined) throw new SecLlamaError("model-failed", "it made none");
      vector = made;
    } catch (error) {
      return await byWords(`no embeddings of the question: ${toSecLlamaError(error).message}`);
    }
    const asked = { model: chosen.digest, vector };
    return {
      passages: await history.searchDocuments(text, limit, of, asked),
      ranking: "hybrid",
      ...(embedded < passages
        ? { note: `embeddings so far: ${embedded} of ${plural(passages, "passage")}` }
        : {}),
    };
  }

  /** Settles, after the signal, when nothing is made any more. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { history, signal } = this.#options;
    while (this.#again && !signal.aborted) {
      this.#again = false;
      try {
        for (;;) {
          const { chosen } = await history.embedding();
          const next = chosen && await history.unembedded(chosen.digest);
          if (!chosen || !next || signal.aborted) break;
          const vectors = await this.#embedAll(chosen, next.texts);
          const { document, pack } = next;
          await history.addVectors({ document, pack }, chosen.digest, vectors).catch((error) => {
            // It was erased meanwhile.
            if (!(error instanceof SecLlamaError) || error.code !== "not-found") throw error;
          });
        }
        this.#error = undefined;
      } catch (error) {
        const { code, message } = toSecLlamaError(error);
        this.#error = `${message} (${code})`;
      }
    }
  }

  /** As {@link #embed}, but that a text which the model refuses keeps no other from being found: its vector is zero. */
  async #embedAll(chosen: EmbeddingModel, texts: readonly string[]): Promise<Float32Array[]> {
    const isRefused = (error: unknown) => error instanceof SecLlamaError && REFUSED.has(error.code);
    try {
      return await this.#embed(chosen, texts);
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
    const found: (Float32Array | undefined)[] = [];
    for (const text of texts) {
      try {
        found.push(...await this.#embed(chosen, [text]));
      } catch (error) {
        if (!isRefused(error)) throw error;
        found.push(undefined);
      }
    }
    // If it refuses all of these, the next may be others: only how long its vectors are has to be learnt elsewhere.
    const dimensions = (found.find((one) => one !== undefined) ??
      (await this.#embed(chosen, [HARMLESS]))[0])!.length;
    return found.map((one) => one ?? new Float32Array(dimensions));
  }

  /** @throws {SecLlamaError} What the model answers; `model-failed` for what are no vectors. */
  async #embed(
    { name, digest }: EmbeddingModel,
    input: readonly string[],
  ): Promise<Float32Array[]> {
    const { fetch, gateway, signal } = this.#options;
    if (await this.#digestOf(name) !== digest) {
      throw new SecLlamaError("model-failed", `${name} is another model than it was`, {
        hint: "name it again: secllama docs embed MODEL",
      });
    }
    const answer = await fetch(new URL(ROUTES.embed.path, gateway).href, {
      method: "POST",
      headers: { "content-type": JSON_TYPE },
      body: utf8(JSON.stringify({ model: name, input })),
      signal,
    });
    if (!answer.ok) throw await readError(answer);
    const { embeddings } = Object(await answer.json()) as { embeddings?: unknown };
    const lists: readonly unknown[] = Array.isArray(embeddings) ? embeddings : [];
    const fits = lists.length === input.length &&
      lists.every((one) => Array.isArray(one) && one.every((value) => Number.isFinite(value)));
    if (!fits) throw new SecLlamaError("model-failed", `${name} made no embeddings`);
    return lists.map((one) => Float32Array.from(one as number[]));
  }

  /** @throws {SecLlamaError} `bad-request` for a model that makes no embeddings. */
  async #refuseUnfit(model: string): Promise<void> {
    const { metadata, signal } = this.#options;
    const answer = await metadata(ROUTES.show.path.slice(1), {
      method: "POST",
      headers: { "content-type": JSON_TYPE },
      body: utf8(JSON.stringify({ model })),
      signal,
    });
    if (!answer.ok) throw await readError(answer);
    const { capabilities } = Object(await answer.json()) as { capabilities?: unknown };
    if (Array.isArray(capabilities) && capabilities.includes("embedding")) return;
    throw new SecLlamaError("bad-request", `${model} makes no embeddings`, {
      hint: "name a model that does (secllama show MODEL says so), or none: " +
        "passages are then found by their words alone",
      field: "model",
    });
  }

  /** What a model's name stands for now. @throws {SecLlamaError} `model-not-found`. */
  async #digestOf(name: string): Promise<string> {
    const { metadata, signal } = this.#options;
    const answer = await metadata(ROUTES.tags.path.slice(1), { method: "GET", signal });
    if (!answer.ok) throw await readError(answer);
    const { models } = Object(await answer.json()) as { models?: unknown };
    const found = (Array.isArray(models) ? models : []).map((one) =>
      Object(one) as Readonly<Record<string, unknown>>
    ).find((one) => isSameModel(String(one["name"]), name));
    if (typeof found?.["digest"] === "string") return found["digest"];
    throw new SecLlamaError("model-not-found", `the model ${name} is not here any more`, {
      hint: "to see those that are: secllama list",
    });
  }
}
