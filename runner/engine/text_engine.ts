/** What every engine does with text alone, by the vocabulary of the model's file: tokens, templates, prompts. */
import { SecLlamaError, type TokenCount } from "../../src/errors.ts";
import type { Budget, Work } from "../../src/budget.ts";
import type { LongWork } from "../turns.ts";
import type { Model } from "./model.ts";
import { pairTokens } from "./pair_prompt.ts";
import { ChatRenderer } from "./template.ts";
import type { ChatInput, GenerateRequest, ModelInfo, PromptPart } from "./types.ts";
import { countPictures, strangerIn, tokenizePictures } from "./vision/picture_prompt.ts";
import { plural } from "../../src/plural.ts";

/** Characters that a token may stand for; the longest known are runs of some hundred spaces. */
const MAX_TOKEN_LENGTH = 512;

/** The half of an engine that computes nothing. Its methods are those of `Engine`. */
export abstract class TextEngine {
  abstract readonly info: ModelInfo;
  readonly #model: Pick<Model, "vocabulary" | "rerankTemplate">;
  readonly #chat: ChatRenderer;

  constructor(model: Pick<Model, "vocabulary" | "rerankTemplate" | "info">) {
    this.#model = model;
    this.#chat = new ChatRenderer(model.vocabulary, model.info.chatTemplate);
  }

  /** Whether the model was unloaded. */
  protected abstract get closed(): boolean;

  tokenize(text: string, o: { special: boolean; bos?: boolean }): Int32Array {
    this.mustBeOpen();
    return this.#model.vocabulary.tokenize(text, o);
  }

  tokenizePrompt(parts: readonly PromptPart[], o: { bos?: boolean } = {}): Int32Array {
    this.mustBeOpen();
    return this.#model.vocabulary.tokenizePrompt(parts, o);
  }

  tokenizeInTurns(
    parts: readonly PromptPart[],
    o: { bos?: boolean; most?: number } = {},
  ): LongWork<Int32Array | undefined> {
    this.mustBeOpen();
    return tokenizePictures(this.#model.vocabulary, parts, o);
  }

  countAbout(parts: readonly PromptPart[]): Work<number> {
    this.mustBeOpen();
    return countPictures(this.#model.vocabulary, parts);
  }

  detokenize(tokens: Iterable<number>): string {
    this.mustBeOpen();
    return this.#model.vocabulary.detokenize(tokens);
  }

  bytesOf(token: number): Uint8Array {
    this.mustBeOpen();
    const { vocabulary } = this.#model;
    const { bytes } = vocabulary.piece(token);
    return bytes.length > 0 ? bytes : new TextEncoder().encode(vocabulary.textOf(token));
  }

  renderChat(chat: ChatInput, budget: Budget): Work<PromptPart[]> {
    return this.#chat.render(chat, budget);
  }

  infill(prefix: Int32Array, suffix: Int32Array): Int32Array {
    this.mustBeOpen();
    const { vocabulary } = this.#model;
    const { infill } = vocabulary;
    if (!infill) throw new SecLlamaError("bad-request", "the model does not support insert");
    const start = vocabulary.addBos ? [vocabulary.bos] : [];
    return Int32Array.from([
      ...start,
      infill.prefix,
      ...prefix,
      infill.suffix,
      ...suffix,
      infill.middle,
    ]);
  }

  pairInTurns(
    query: string,
    document: string,
    { most }: { most: number },
  ): LongWork<Int32Array | undefined> {
    this.mustBeOpen();
    const { vocabulary, rerankTemplate: template } = this.#model;
    return pairTokens(vocabulary, { template, query, document, most });
  }

  /** @throws {SecLlamaError} `bad-request`, `context-too-long`. */
  protected promptTokens(request: GenerateRequest): Int32Array {
    const { vocabulary } = this.#model;
    const { prompt } = request;
    const limit = this.info.slotContextLength;
    if (!(prompt instanceof Int32Array)) {
      // Not worth the seconds it takes to tokenize.
      const length = prompt.reduce((sum, { text }) => sum + text.length, 0);
      if (length > limit * MAX_TOKEN_LENGTH) throw tooLong(plural(length, "character"), limit);
    }
    const given = prompt instanceof Int32Array
      ? prompt
      : vocabulary.tokenizePrompt(prompt, request.bos === undefined ? {} : { bos: request.bos });
    if (given.length === 0) throw new SecLlamaError("bad-request", "the prompt is empty");
    if (given.length >= limit) {
      throw tooLong(plural(given.length, "token"), limit, { have: given.length, most: limit - 1 });
    }
    const pieces = request.pictures?.flatMap(({ chunks }) => chunks) ?? [];
    const stranger = strangerIn(given, vocabulary, pieces);
    if (stranger !== undefined) {
      throw new SecLlamaError("bad-request", `${stranger} is not a token of the model`);
    }
    if (given.at(-1)! < 0) {
      throw new SecLlamaError("bad-request", "a text must follow the picture");
    }
    return given;
  }

  protected mustBeTokens(tokens: Int32Array): void {
    this.mustBeOpen();
    if (tokens.length === 0) throw new SecLlamaError("bad-request", "there is no text");
    if (tokens.some((token) => !this.#model.vocabulary.has(token))) {
      throw new SecLlamaError("bad-request", "a token is not one of the model's");
    }
  }

  protected mustBeOpen(): void {
    if (this.closed) throw new SecLlamaError("cancelled", "the model was unloaded");
  }
}

function tooLong(size: string, limit: number, tokens?: TokenCount): SecLlamaError {
  return new SecLlamaError(
    "context-too-long",
    `the prompt has ${size}, must have fewer than the context's ${plural(limit, "token")}`,
    { field: "prompt", ...(tokens && { tokens }) },
  );
}
