/** Consistency proofs against what RFC 9162 says of them, and against Certificate Transparency's published ones. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type Bytes, fromHex, toHex } from "../bytes.ts";
import { type Consistency, consistencyProofBy, isConsistent } from "./consistency.ts";
import { Frontier, leafHash, rootOf } from "./tree.ts";

Deno.test("consistency: the published proofs of Certificate Transparency's test data", () => {
  const leaves = [
    ...["", "00", "10", "2021", "3031", "40414243", "5051525354555657"],
    "606162636465666768696a6b6c6d6e6f",
  ].map((entry) => leafHash(fromHex(entry)));
  const root = (start: number, end: number) => rootOf((i) => leaves[i]!, start, end);
  const published = [
    [1, 1, []],
    [1, 8, [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]],
    [6, 8, [
      "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]],
    [2, 5, [
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]],
  ] as const;
  for (const [first, second, path] of published) {
    assert.deepEqual(consistencyProofBy(root, first, second).map(toHex), path);
  }
});

Deno.test("consistency: each two trees of one log, and no two of different ones, up to 24 leaves", () => {
  const leaves = Array.from({ length: 24 }, (_, i) => leafHash(new Uint8Array(randomBytes(i))));
  const other = leaves.map((leaf, i) => i === 11 ? leafHash(Uint8Array.of(1)) : leaf);
  const rootBy = (of: readonly Bytes[]) => (start: number, end: number) =>
    rootOf((i) => of[i]!, start, end);
  const [root, otherRoot] = [rootBy(leaves), rootBy(other)];
  for (let second = 1; second <= leaves.length; second++) {
    for (let first = 1; first <= second; first++) {
      // What whoever makes it has of the first tree: its right edge, and the leaves behind it.
      const edge = new Frontier();
      for (let i = 0; i < first; i++) edge.append(leaves[i]!);
      const whole = edge.subtrees();
      const known = (start: number, end: number) =>
        start >= first
          ? root(start, end)
          : whole.find((one) => one.start === start && one.end === end)!.root;
      const path = consistencyProofBy(known, first, second);
      assert.deepEqual(path, consistencyProofBy(root, first, second));
      const good: Consistency = {
        ...{ first, second, path },
        ...{ firstRoot: root(0, first), secondRoot: root(0, second) },
      };
      assert.equal(isConsistent(good), true, `${first} of ${second}`);
      const wrong: Partial<Consistency>[] = [
        { secondRoot: otherRoot(0, second), path: consistencyProofBy(otherRoot, first, second) },
        { firstRoot: leaves[0] === undefined ? edge.root() : leafHash(Uint8Array.of(9)) },
        { path: [...path, leaves[0]!] },
        { path: [leaves[0]!.slice(1), ...path.slice(1)] },
        { first: first + 1 },
        { first: first - 1 },
        { second: second * 2 },
        { first: 0 },
        { first: Number.NaN },
        ...path.map((_, i) => ({ path: path.toSpliced(i, 1) })),
        ...path.map((_, i) => ({ path: path.with(i, leafHash(Uint8Array.of(i))) })),
      ];
      for (const [i, change] of wrong.entries()) {
        // Where the leaf that differs is in neither tree, or first in the second one, the other log goes on from the first tree, too.
        if (i === 0 && !(first > 11)) continue;
        if (JSON.stringify({ ...good, ...change }) === JSON.stringify(good)) continue;
        assert.equal(isConsistent({ ...good, ...change }), false, `${first} of ${second}: ${i}`);
      }
    }
  }
});
