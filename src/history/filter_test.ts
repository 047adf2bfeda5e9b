import assert from "node:assert/strict";
import { bestOf } from "../documents/bm25.ts";
import { filterOf, marksOf, mayHold } from "./filter.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A repeatable source of numbers below 1. */
function source(seed: number): () => number {
  return () => (seed = Math.imul(seed, 48271) >>> 0 & 0x7fffffff) / 0x7fffffff;
}

Deno.test("filter: what a text has is never missed, and what it has not is seldom taken for there", () => {
  const random = source(3);
  const letters = "abcdefghijklmnopqrstuvwxyzäß é日本語";
  const make = (length: number) =>
    Array.from({ length }, () => [...letters][Math.floor(random() * 34)]).join("");
  let [wrong, absent] = [0, 0];
  for (let round = 0; round < 60; round++) {
    const text = bytes(make(Math.floor(random() * 3000)));
    const filter = filterOf(text);
    assert.ok(filter.length <= 16 || filter.length < 3 * text.length);
    for (let i = 0; i < 50; i++) {
      const start = Math.floor(random() * text.length);
      assert.ok(mayHold(filter, marksOf(text.subarray(start, start + Math.floor(random() * 12)))));
      const word = bytes(make(7));
      if (Buffer.from(text).includes(Buffer.from(word))) continue;
      absent++;
      if (mayHold(filter, marksOf(word))) wrong++;
    }
  }
  assert.ok(wrong < absent / 20, `${wrong} of ${absent}`);
});

Deno.test("the best few of many scores are those that sorting gives", () => {
  const random = source(5);
  for (let round = 0; round < 50; round++) {
    const scores = Float64Array.from({ length: 200 }, () => Math.floor(random() * 40));
    const limit = 1 + Math.floor(random() * 60);
    const sorted = [...scores].map((score, id) => ({ id, score })).filter(({ score }) => score > 0)
      .sort((a, b) => b.score - a.score || a.id - b.id).slice(0, limit);
    assert.deepEqual(bestOf(scores, limit), sorted);
  }
});
