/**
 * Pictures for an engine of somebody else's. It takes them beside a prompt that is text, and reads control tokens in all of that
 * text: so it is given a text only if it will find the same control tokens in it as the own code put there, and no others.
 */
import { SecLlamaError } from "../../../src/errors.ts";
import type { MediaKind } from "../types.ts";
import { checkData, checkKind, checkMedia } from "../vision/check_media.ts";
import { forDecoder } from "../vision/for_decoder.ts";
import { Picture } from "../vision/picture.ts";
import type { Vocabulary } from "../vocabulary.ts";
import type { PromptText, Senses } from "./dialect.ts";

/** A reader of prompts: what of a vocabulary is needed here. */
type Reader = Pick<
  Vocabulary,
  "addBos" | "bos" | "has" | "piece" | "textOf" | "structural" | "tokenize"
>;

/** Pictures of requests that are under way. */
export class ForeignPictures {
  readonly #files = new Map<number, Uint8Array>();
  #nextId = -2;

  /** @param senses What the engine's projector is for. */
  constructor(readonly senses: Senses) {}

  /**
   * Takes a picture. It counts as one token: only the engine knows how many it takes.
   * @throws {SecLlamaError} `bad-request`, as the own engine refuses it.
   */
  async take(bytes: Uint8Array<ArrayBuffer>, kind: MediaKind): Promise<Picture> {
    checkKind(kind, this.senses);
    checkMedia(bytes, kind);
    await checkData(bytes);
    const id = this.#nextId--;
    // Its decoder is the own engine's, and would show what lay in its memory as well.
    this.#files.set(id, forDecoder(bytes, kind));
    return new Picture({
      tokens: Int32Array.of(id),
      chunks: [{ id, pointer: null, cells: 1, positions: 1 }],
      free: () => this.#files.delete(id),
    });
  }

  /**
   * A prompt as the engine takes it; without pictures as it is.
   * @throws {SecLlamaError} `bad-request`: the engine would read other control tokens in its text.
   */
  place(prompt: Int32Array, vocabulary: Reader): Int32Array | PromptText {
    const ids = prompt.filter((id) => id < 0);
    if (ids.length === 0) return prompt;
    const { marker } = this.senses;
    const texts: string[] = [];
    const begun = vocabulary.addBos && prompt[0] === vocabulary.bos ? 1 : 0;
    let from = begun;
    for (let at = begun; at <= prompt.length; at++) {
      if (at < prompt.length && prompt[at]! >= 0) continue;
      texts.push(textOf(prompt.subarray(from, at), vocabulary));
      from = at + 1;
    }
    if (vocabulary.addBos && begun === 0 || texts.some((text) => text.includes(marker))) {
      throw misread();
    }
    return {
      text: texts.join(marker),
      files: [...ids].map((id) => this.#files.get(id)!.toBase64()),
    };
  }
}

/** The text of tokens, control tokens among them. @throws {SecLlamaError} It would be read in another way. */
function textOf(tokens: Int32Array, vocabulary: Reader): string {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let text = "";
  for (const id of tokens) {
    text += vocabulary.structural.has(id)
      ? decoder.decode() + vocabulary.textOf(id)
      : decoder.decode(vocabulary.piece(id).bytes, { stream: true });
  }
  text += decoder.decode();
  const meant = tokens.filter((id) => vocabulary.structural.has(id));
  const read = vocabulary.tokenize(text, { special: true })
    .filter((id) => vocabulary.structural.has(id));
  if (meant.length !== read.length || meant.some((id, index) => read[index] !== id)) {
    throw misread();
  }
  return text;
}

function misread(): SecLlamaError {
  return new SecLlamaError(
    "bad-request",
    "a text beside a picture has in it what the model takes for a control token",
    { hint: "leave that text out, or send it without a picture" },
  );
}
