/** Large JSON in pieces, against `JSON.stringify`, which does it in one. */
import assert from "node:assert/strict";
import { runAtOnce, type Work } from "../src/budget.ts";
import { seeded } from "../tests/support/seeds.ts";
import { jsonPieces, jsonSize, nextPiece, SmallItems, writeJson } from "./json_work.ts";

/** A value of any kind, with the texts and numbers that are written in some odd way. */
function valueOf(random: () => number, depth: number): unknown {
  const pick = <T>(...of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const count = () => Math.floor(random() * 6);
  const kind = pick("text", "number", "other", "list", "numbers", "object");
  const text = () =>
    Array.from({ length: count() }, () => pick("a", '"', "\\", "\n", "\u0001", "😀", "\ud800", "ä"))
      .join("");
  if (kind === "text") return text();
  if (kind === "number") return pick(0, -0, 1.5, -1e300, 1e-7, NaN, Infinity, 2 ** 53);
  if (kind === "other" || depth === 0) return pick(true, false, null);
  if (kind === "numbers") return Array.from({ length: pick(0, 3, 511, 512, 513, 1100) }, random);
  if (kind === "list") {
    return Array.from({ length: count() }, () => pick(valueOf(random, depth - 1), 7));
  }
  return Object.fromEntries(
    Array.from({ length: count() }, () => [
      pick("__proto__", text(), "x", "y"),
      pick(undefined, valueOf(random, depth - 1)),
    ]),
  );
}

Deno.test("json: what is written in pieces is what JSON.stringify writes", () => {
  for (let seed = 0; seed < 400; seed++) {
    const value = valueOf(seeded(seed), 5);
    assert.equal(runAtOnce(writeJson(value)).join(""), JSON.stringify(value), `seed ${seed}`);
  }
  for (const length of [65_535, 65_536, 65_537, 131_073]) {
    const text = "x".repeat(length) + "😀".repeat(70_000) + "\udc00\ud800";
    assert.equal(runAtOnce(writeJson([text])).join(""), JSON.stringify([text]));
  }
  const vector = Float32Array.of(0.1, -2, NaN, 3e-9);
  assert.equal(runAtOnce(writeJson({ vector })).join(""), JSON.stringify({ vector: [...vector] }));
  const ids = Int32Array.from({ length: 1100 }, (_, id) => id - 9);
  assert.equal(runAtOnce(writeJson({ ids })).join(""), JSON.stringify({ ids: [...ids] }));
  for (const count of [0, 1, 3, 9000]) {
    const list = Array.from({ length: count }, (_, at) => ({ at, text: "ä".repeat(at % 9) }));
    const written = runAtOnce(writeJson({ a: new SmallItems(list), b: 1 })).join("");
    assert.equal(written, JSON.stringify({ a: list, b: 1 }));
  }
});

Deno.test("json: a size is about that of the text, and no more is looked at than was asked for", () => {
  for (let seed = 0; seed < 400; seed++) {
    const text = JSON.stringify(valueOf(seeded(seed), 5));
    const plain = text.replaceAll(/\\u.{4}|\\./g, "x");
    const empty = plain.split(/\[\]|\{\}/).length - 1;
    const size = runAtOnce(jsonSize(JSON.parse(text)));
    assert.ok(plain.length - empty <= size && size <= plain.length, `seed ${seed}: ${size}`);
  }
  let asked = 0;
  const list = Array.from({ length: 1000 }, () => "x".repeat(100));
  const watched = [new Proxy(list, { get: (of, key) => (asked++, Reflect.get(of, key)) })];
  assert.ok(runAtOnce(jsonSize(["y".repeat(1000), watched], 100)) > 100);
  const all = asked;
  runAtOnce(jsonSize([watched, "y".repeat(1000)], 100));
  assert.equal(asked, all, "the text at the end was looked at first, and was enough");
});

/** The most units between two places to yield, and how many there are. */
function pieces<T>(work: Work<T>): number {
  for (let count = 1;; count++) if (work.next().done) return count;
}

Deno.test("json: what is large is done in many pieces, each a small part", () => {
  const numbers = Array.from({ length: 200 }, () => new Float32Array(4096).fill(0.123));
  const written = runAtOnce(writeJson(numbers));
  const longest = Math.max(...written.map((text) => text.length));
  assert.ok(longest < 128 * 1024, `${longest} units at a time`);
  assert.ok(pieces(writeJson(numbers)) >= 30);
  assert.ok(pieces(writeJson("x".repeat(10_000_000))) >= 100);
  assert.ok(pieces(jsonSize(Array.from({ length: 400_000 }, () => 1))) >= 90);
  assert.ok(pieces(jsonSize({ a: Array.from({ length: 400_000 }, () => []) })) >= 90);
});

Deno.test("json: items that are made when they are written are not made before somebody takes them", () => {
  let made = 0;
  function* items() {
    for (; made < 1_000_000; made++) yield { made };
  }
  const pieces = jsonPieces({ items: new SmallItems(items()) });
  for (let taken = 1; taken <= 3; taken++) {
    assert.ok(runAtOnce(nextPiece(pieces))!.length < 512 * 1024);
    assert.ok(made < taken * 40_000, `${made} made for ${taken} pieces`);
  }
});
