/** Prompts with pictures: text is tokenized up to each picture and from there on, as llama.cpp's own tools do. */
import type { Work } from "../../../src/budget.ts";
import type { LongWork } from "../../turns.ts";
import type { PromptPart } from "../types.ts";
import type { Vocabulary } from "../vocabulary.ts";
import type { PictureChunk } from "./picture.ts";

/** Parts between two pictures, and the picture's tokens behind them. */
interface Run {
  readonly parts: readonly PromptPart[];
  readonly picture: Int32Array;
}

const NONE = new Int32Array();

/** As {@link Vocabulary.tokenizeInTurns}, for parts that may be pictures: `picture.tokens` stand for one. */
export function* tokenizePictures(
  vocabulary: Vocabulary,
  parts: readonly PromptPart[],
  options: { bos?: boolean; most?: number } = {},
): LongWork<Int32Array | undefined> {
  if (!parts.some(({ picture }) => picture)) {
    return yield* vocabulary.tokenizeInTurns(parts, options);
  }
  const { most = Infinity } = options;
  const all: Int32Array[] = [];
  let count = 0;
  for (const [index, { parts: text, picture }] of runs(parts).entries()) {
    const tokens = index > 0 && text.length === 0 ? NONE : yield* vocabulary.tokenizeInTurns(text, {
      ...options,
      ...(index > 0 && { bos: false }),
      most: most - count,
    });
    if (tokens === undefined) return undefined;
    all.push(tokens, picture);
    count += tokens.length + picture.length;
    if (count > most) return undefined;
  }
  return joined(all, count);
}

/** As {@link Vocabulary.countAbout}, with the tokens of pictures. */
export function* countPictures(
  vocabulary: Vocabulary,
  parts: readonly PromptPart[],
): Work<number> {
  const pictures = parts.reduce((sum, { picture }) => sum + (picture?.tokens.length ?? 0), 0);
  return pictures + (yield* vocabulary.countAbout(parts));
}

function runs(parts: readonly PromptPart[]): Run[] {
  const out: Run[] = [];
  let before: PromptPart[] = [];
  for (const part of parts) {
    if (part.picture === undefined) {
      before.push(part);
      continue;
    }
    out.push({ parts: before, picture: part.picture.tokens });
    before = [];
  }
  out.push({ parts: before, picture: NONE });
  return out;
}

function joined(pieces: readonly Int32Array[], count: number): Int32Array {
  const tokens = new Int32Array(count);
  let at = 0;
  for (const piece of pieces) {
    tokens.set(piece, at);
    at += piece.length;
  }
  return tokens;
}

/** The first id that is no token, and of no piece of a picture that is there as a whole. */
export function strangerIn(
  tokens: Int32Array,
  vocabulary: Pick<Vocabulary, "has">,
  pieces: readonly PictureChunk[],
): number | undefined {
  for (let at = 0; at < tokens.length;) {
    const id = tokens[at]!;
    const piece = id < 0 ? pieces.find((one) => one.id === id) : undefined;
    if (piece === undefined && !vocabulary.has(id)) return id;
    const end = at + (piece?.cells ?? 1);
    if (end > tokens.length) return id;
    for (; at < end; at++) if (tokens[at] !== id) return id;
  }
  return undefined;
}
