import assert from "node:assert/strict";
import { StopMatcher, Utf8Joiner } from "./text_stream.ts";
import type { Piece } from "./vocabulary.ts";

function piece(...bytes: number[]): Piece {
  const array = Uint8Array.from(bytes);
  try {
    return {
      bytes: array,
      text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(array),
    };
  } catch {
    return { bytes: array, text: undefined };
  }
}

Deno.test("utf-8: a character in four tokens comes out whole", () => {
  const joiner = new Utf8Joiner();
  const out = [0xf0, 0x9f, 0xa6, 0x99].map((byte) => joiner.push(piece(byte)));
  assert.deepEqual(out, ["", "", "", "🦙"]);
  assert.equal(joiner.push(piece(0x61)), "a");
});

Deno.test("utf-8: a broken character becomes U+FFFD and spoils nothing behind it", () => {
  const joiner = new Utf8Joiner();
  assert.equal(joiner.push(piece(0xe2, 0x82)), "");
  assert.equal(joiner.push(piece()), "");
  assert.equal(joiner.push(piece(0x61)), "\ufffda");
  assert.equal(joiner.push(piece(0xc3, 0xa9)), "é");
  assert.equal(joiner.push(piece(0xff)), "\ufffd");
});

Deno.test("utf-8: any split of any text joins to the text", () => {
  // Each byte more is twice as many.
  const text = Deno.env.get("SECLLAMA_FULL") === "1" ? "aé€🦙\ufeffz" : "aé🦙\ufeff";
  const bytes = new TextEncoder().encode(text);
  for (let mask = 0; mask < 2 ** (bytes.length - 1); mask++) {
    const joiner = new Utf8Joiner();
    let out = "";
    let from = 0;
    for (let at = 1; at <= bytes.length; at++) {
      if (at < bytes.length && (mask >> (at - 1) & 1) === 0) continue;
      out += joiner.push(piece(...bytes.subarray(from, at)));
      from = at;
    }
    assert.equal(out, text);
  }
});

/** All the text a matcher gives for pieces, and the stop string. */
function run(stops: string[], pieces: string[]): { text: string; stop: string | undefined } {
  const matcher = new StopMatcher(stops);
  let text = "";
  for (const piece of pieces) {
    const result = matcher.push(piece);
    text += result.text;
    if (result.stop !== undefined) return { text, stop: result.stop };
  }
  return { text: text + matcher.flush(), stop: undefined };
}

Deno.test("stop: found across every split, and never given out", () => {
  const text = "abcSTOPdef";
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      const pieces = [text.slice(0, first), text.slice(first, second), text.slice(second)];
      assert.deepEqual(run(["STOP"], pieces), { text: "abc", stop: "STOP" });
    }
  }
});

Deno.test("stop: what looked like a beginning is given out when it was none", () => {
  assert.deepEqual(run(["STOP"], ["aST", "Op", "ST"]), { text: "aSTOpST", stop: undefined });
  assert.deepEqual(run(["aab"], ["a", "a", "a", "b"]), { text: "a", stop: "aab" });
});

Deno.test("stop: nothing is held back that begins no stop string", () => {
  const matcher = new StopMatcher(["\n\nUser:"]);
  assert.deepEqual(matcher.push("hello"), { text: "hello" });
  assert.deepEqual(matcher.push(" world\n"), { text: " world" });
  assert.deepEqual(matcher.push("x"), { text: "\nx" });
});

Deno.test("stop: the earliest of several ends it, of two at one place the longer", () => {
  assert.deepEqual(run(["z", "b", "bc"], ["abcz"]), { text: "a", stop: "bc" });
  assert.deepEqual(run(["", "c"], ["ab", "c"]), { text: "ab", stop: "c" });
});

Deno.test("stop: as a search from the start would find it, for texts of few letters in any pieces", () => {
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  const word = (most: number) =>
    Array.from({ length: 1 + random(most) }, () => "ab"[random(2)]).join("");
  for (let round = 0; round < 2_000; round++) {
    const stops = Array.from({ length: 1 + random(4) }, () => word(6));
    const text = word(30);
    const pieces: string[] = [];
    for (let at = 0; at < text.length;) {
      const length = random(5);
      pieces.push(text.slice(at, at + length));
      at += length;
    }
    // The first to be complete at any piece's end is the one; among those the earliest, then the longest.
    let wanted: { text: string; stop: string | undefined } = { text, stop: undefined };
    for (let end = 0, count = 0; count < pieces.length && wanted.stop === undefined; count++) {
      end += pieces[count]!.length;
      const seen = text.slice(0, end);
      const found = stops.filter((stop) =>
        seen.includes(stop)
      ).toSorted((a, b) => seen.indexOf(a) - seen.indexOf(b) || b.length - a.length)[0];
      if (found !== undefined) {
        wanted = { text: seen.slice(0, seen.indexOf(found)), stop: found };
      }
    }
    assert.deepEqual(run(stops, pieces), wanted, JSON.stringify({ stops, pieces }));
  }
});
