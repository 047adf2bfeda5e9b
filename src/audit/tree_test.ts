/** The Merkle tree against the definition of RFC 9162 itself, and against Certificate Transparency's published roots. */
import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { type Bytes, concat, fromHex, toHex } from "../bytes.ts";
import { HmacSha256, sha256 } from "./sha256.ts";
import { Frontier, inclusionProof, leafHash, nodeHash, rootFromInclusion, rootOf } from "./tree.ts";

Deno.test("sha256 and HMAC: as the runtime's, for every length up to three blocks", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = new Uint8Array(randomBytes(length));
    assert.equal(toHex(sha256(bytes)), createHash("sha256").update(bytes).digest("hex"));
    const key = new Uint8Array(randomBytes(length % 65));
    using hmac = new HmacSha256(key);
    assert.equal(toHex(hmac.of(bytes)), createHmac("sha256", key).update(bytes).digest("hex"));
    assert.equal(toHex(hmac.of(bytes)), toHex(hmac.of(bytes)), "it keeps nothing of a message");
  }
  assert.throws(() => new HmacSha256(new Uint8Array(65)), RangeError);
});

/** MTH of section 2.1.1, word for word. */
function mth(entries: readonly Bytes[]): string {
  const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  if (entries.length === 0) return hash(new Uint8Array(0));
  if (entries.length === 1) return hash(concat(Uint8Array.of(0), entries[0]!));
  let k = 1;
  while (k * 2 < entries.length) k *= 2;
  const halves = [mth(entries.slice(0, k)), mth(entries.slice(k))].map(fromHex);
  return hash(concat(Uint8Array.of(1), ...halves));
}

Deno.test("tree: the published roots of Certificate Transparency's test data", () => {
  const entries = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
  ].map(fromHex);
  const roots = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ];
  const frontier = new Frontier();
  roots.forEach((root, size) => {
    assert.equal(toHex(frontier.root()), root, `${size} leaves`);
    if (size < entries.length) frontier.append(leafHash(entries[size]!));
  });
});

Deno.test("tree: root, frontier and every inclusion proof, up to 70 leaves", () => {
  const entries = Array.from({ length: 70 }, (_, i) => new Uint8Array(randomBytes(i % 40)));
  const leaves = entries.map(leafHash);
  const at = (i: number) => leaves[i]!;
  let frontier = new Frontier();
  for (let size = 1; size <= entries.length; size++) {
    frontier.append(leaves[size - 1]!);
    const root = mth(entries.slice(0, size));
    assert.equal(toHex(frontier.root()), root);
    assert.equal(toHex(rootOf(at, 0, size)), root);
    // It goes on from what was stored.
    frontier = Frontier.decode(size, frontier.encode());
    for (let index = 0; index < size; index++) {
      const path = inclusionProof(at, index, size);
      assert.equal(toHex(rootFromInclusion(at(index), { index, size, path })!), root);
      const wrong = [
        rootFromInclusion(at(index), { index: (index + 1) % size, size, path }),
        rootFromInclusion(leafHash(Uint8Array.of(1, 2)), { index, size, path }),
        rootFromInclusion(at(index), { index, size, path: [...path, at(0)] }),
        rootFromInclusion(at(index), { index, size, path: path.slice(1) }),
        rootFromInclusion(at(index), { index: size, size, path }),
      ];
      // With a single leaf the next index is the same one, and there is no path to shorten.
      const bad = size === 1 ? wrong.filter((_, i) => i !== 0 && i !== 3) : wrong;
      for (const other of bad) assert.notEqual(other && toHex(other), root);
    }
  }
  assert.throws(() => Frontier.decode(3, new Uint8Array(32)), RangeError);
  assert.throws(() => inclusionProof(at, 5, 5), RangeError);
  assert.notDeepEqual(nodeHash(at(0), at(1)), nodeHash(at(1), at(0)));
});
