/** How often a passage that answers a question is among the first five, by words, by vectors, and by both. */
import { bestOf, scoresByWords, SEGMENT, Segment, segmentOf } from "../../src/documents/bm25.ts";
import { fused } from "../../src/documents/fusion.ts";
import { nearest } from "../../src/documents/nearest.ts";
import { packVectors, questionOf, VectorPack } from "../../src/documents/vectors.ts";
import type { Labelled, Question } from "./labelled.ts";

const FIRST = 5;
/** As in src/history/passage_index.ts. */
const CANDIDATES = 50;
const MODEL = new Uint8Array(8);

export type Ranking = "words" | "vectors" | "hybrid";
export type Recall = Readonly<Record<Ranking, number>>;

/** @param embed One vector for each text. */
export async function recallOf(
  { passages, questions }: Labelled,
  embed: (texts: readonly string[]) => Promise<Float32Array[]> | Float32Array[],
): Promise<(kind?: Question["kind"]) => Recall> {
  const segments: Segment[] = [];
  for (let at = 0; at < passages.length; at += SEGMENT) {
    segments.push(new Segment(segmentOf(passages.slice(at, at + SEGMENT))));
  }
  const pack = new VectorPack(packVectors(MODEL, await embed(passages)));
  const asked = await embed(questions.map(({ text }) => text));
  const ids = (scores: Float64Array) => bestOf(scores, CANDIDATES).map(({ id }) => id);
  const hits = questions.map(({ text, answers }, i): Record<Ranking, boolean> => {
    const words = ids(scoresByWords(segments, text));
    const question = questionOf(asked[i]!);
    const vectors = nearest([{ pack, first: 0 }], question, CANDIDATES, passages.length);
    const hit = (ranking: readonly number[]) =>
      ranking.slice(0, FIRST).some((id) => answers.includes(id));
    const hybrid = hit(fused([words, vectors]).map(({ id }) => id));
    return { words: hit(words), vectors: hit(vectors), hybrid };
  });
  return (kind) => {
    const counted = hits.filter((_, i) => kind === undefined || questions[i]!.kind === kind);
    const share = (ranking: Ranking) =>
      counted.filter((one) => one[ranking]).length / counted.length;
    return { words: share("words"), vectors: share("vectors"), hybrid: share("hybrid") };
  };
}
