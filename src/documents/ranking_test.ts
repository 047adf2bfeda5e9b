/** The index of words and the vectors against their definitions, over texts and vectors made by chance. */
import assert from "node:assert/strict";
import { bestOf, scoresByWords, SEGMENT, Segment, segmentOf, wordsOf } from "./bm25.ts";
import { fused } from "./fusion.ts";
import { nearest } from "./nearest.ts";
import { packVectors, questionOf, VectorPack } from "./vectors.ts";

/** Numbers from 0 to 1, the same each time. */
function chance(seed: number): () => number {
  return () => {
    seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + 0x6d2b79f5 | 0;
    return ((seed ^ seed >>> 14) >>> 0) / 2 ** 32;
  };
}

/** BM25 as its formula stands, from the texts each time. */
function expected(texts: readonly string[], question: string): number[] {
  const all = texts.map(wordsOf);
  const average = all.reduce((sum, words) => sum + words.length, 0) / all.length;
  const asked = [...new Set(wordsOf(question))];
  return all.map((words) =>
    asked.reduce((sum, word) => {
      const having = all.filter((others) => others.includes(word)).length;
      const idf = Math.log(1 + (all.length - having + 0.5) / (having + 0.5));
      const times = words.filter((one) => one === word).length;
      return sum + idf * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * words.length / average));
    }, 0)
  );
}

Deno.test("bm25: segments, as bytes at any place, score as the formula does", () => {
  const random = chance(1);
  const word = () => `wort${Math.floor(40 * random() ** 3)}`;
  const text = () => Array.from({ length: 1 + Math.floor(30 * random()) }, word).join(" ");
  const texts = Array.from({ length: 150 }, text);
  // In segments of any size, an empty text and an empty segment among them.
  texts[7] = "";
  const parts = [texts.slice(0, 70), [], texts.slice(70, 71), texts.slice(71)];
  const segments = parts.map((part) => {
    const bytes = segmentOf(part);
    const moved = new Uint8Array(bytes.length + 3);
    moved.set(bytes, 3);
    return new Segment(moved.subarray(3));
  });
  for (let i = 0; i < 20; i++) {
    const question = `${word()} ${word()} ${word()} nowhere`;
    const scores = scoresByWords(segments, question);
    for (const [at, score] of expected(texts, question).entries()) {
      assert.ok(Math.abs(scores[at]! - score) < 1e-9, `${question}: text ${at}`);
    }
  }
  assert.deepEqual([...scoresByWords([], "wort1")], []);
  // The last text of a full segment, and more of a word than are told apart.
  const full = Array.from({ length: SEGMENT }, () => "x");
  full[SEGMENT - 1] = "heron ".repeat(500);
  const [best] = bestOf(scoresByWords([new Segment(segmentOf(full))], "heron"), 1);
  assert.equal(best!.id, SEGMENT - 1);
});

Deno.test("vectors: eight bits are as good as a cosine, to a hundredth; other models and lengths are not compared", () => {
  const random = chance(2);
  const model = new Uint8Array(8).fill(7);
  for (const dimensions of [1, 2, 3, 64, 385]) {
    const vector = () =>
      Float32Array.from({ length: dimensions }, () => random() + random() + random() - 1.5);
    const all = Array.from({ length: 50 }, vector);
    const bytes = packVectors(model, all);
    const moved = new Uint8Array(bytes.length + 1);
    moved.set(bytes, 1);
    const pack = new VectorPack(moved.subarray(1));
    const asked = vector();
    const question = questionOf(asked);
    const dot = (a: Float32Array, b: Float32Array) =>
      a.reduce((sum, one, i) => sum + one * b[i]!, 0);
    for (const [i, one] of all.entries()) {
      const cosine = dot(one, asked) / Math.sqrt(dot(one, one) * dot(asked, asked));
      assert.ok(Math.abs(pack.cosine(question, i) - cosine) < 0.01, `${dimensions}: ${cosine}`);
    }
    const distances = new Uint16Array(60);
    pack.signDistances(question, distances, 5);
    for (const [i, one] of all.entries()) {
      // A number near zero may have become zero, which has no sign.
      const certain = one.map((value, k) =>
        Math.abs(value) > 0.02 && Math.abs(asked[k]!) > 0.02 ? 1 : 0
      );
      const differ = one.reduce(
        (sum, value, k) => sum + (certain[k]! && value * asked[k]! < 0 ? 1 : 0),
        0,
      );
      const unsure = certain.filter((sure) => !sure).length;
      assert.ok(distances[5 + i]! >= differ && distances[5 + i]! <= differ + unsure);
    }
    assert.ok(pack.isOf(model) && !pack.isOf(new Uint8Array(8)));
    const longer = questionOf(new Float32Array(dimensions + 1).fill(1));
    assert.deepEqual(nearest([{ pack, first: 0 }], longer, 3, 50), []);
    pack.wipe();
    assert.ok(moved.subarray(1).every((byte) => byte === 0) || !pack.isOf(model));
  }
  const zero = new VectorPack(packVectors(model, [new Float32Array(3)]));
  assert.equal(zero.cosine(questionOf(Float32Array.of(1, 2, 3)), 0), 0);
  for (
    const bad of [[], [new Float32Array(0)], [new Float32Array(2), new Float32Array(3)], [
      Float32Array.of(NaN),
    ], [Float32Array.of(Infinity, 1)]]
  ) assert.throws(() => packVectors(model, bad), RangeError);
});

Deno.test("nearest: of many vectors, those that are near are found among all others; of few, exactly those", () => {
  const random = chance(3);
  const dimensions = 96;
  const vector = () => Float32Array.from({ length: dimensions }, () => random() + random() - 1);
  const near = (one: Float32Array) => one.map((value) => value + 0.5 * (random() + random() - 1));
  const model = new Uint8Array(8);
  const many = Array.from({ length: 45_000 }, vector);
  const packs = Array.from({ length: 450 }, (_, i) => ({
    pack: new VectorPack(packVectors(model, many.slice(100 * i, 100 * i + 100))),
    first: 100 * i + 7,
  }));
  for (let i = 0; i < 20; i++) {
    const at = Math.floor(many.length * random());
    const found = nearest(packs, questionOf(near(many[at]!)), 50, many.length + 7);
    assert.equal(found[0], at + 7);
    assert.equal(new Set(found).size, 50);
  }
  const question = questionOf(vector());
  const exact = packs.slice(0, 5).flatMap(({ pack, first }) =>
    Array.from({ length: 100 }, (_, i) => ({ id: first + i, cosine: pack.cosine(question, i) }))
  ).sort((a, b) => b.cosine - a.cosine).slice(0, 20);
  assert.deepEqual(nearest(packs.slice(0, 5), question, 20, 507), exact.map(({ id }) => id));
  assert.deepEqual(nearest([], question, 20, 0), []);
});

Deno.test("fusion: what both rankings have comes before what one has first", () => {
  assert.deepEqual(fused([[1, 2, 3], [4, 2, 5]]).map(({ id }) => id), [2, 1, 4, 3, 5]);
  assert.deepEqual(fused([[9], []]).map(({ id }) => id), [9]);
  const [first] = fused([[1, 2], [3, 2]]);
  assert.ok(Math.abs(first!.score - 2 / 62) < 1e-12);
});
