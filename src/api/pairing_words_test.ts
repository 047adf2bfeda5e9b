/** Ten words: every one that is mistyped is noticed, by generation; and what people do to words on their way. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { SecLlamaError } from "../errors.ts";
import {
  encodeWords,
  looksLikeWords,
  pairingFingerprint,
  type PairingWords,
  parseWords,
} from "./pairing_words.ts";
import { WORDS } from "./wordlist.ts";

/** Of the list, those that the message itself has. */
const OUR_OWN = "word is none of a pairing's nothing was sent compare it with what the host shows"
  .split(/\W+/);

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const made = (): PairingWords => ({ fingerprint: random(10), secret: random(3) });

function refused(text: string): SecLlamaError {
  try {
    parseWords(text);
  } catch (error) {
    assert.ok(error instanceof SecLlamaError && error.code === "bad-pairing");
    return error;
  }
  return assert.fail(`taken: ${text}`);
}

Deno.test("words: the list is BIP 39's, 2048 words, no two alike in four letters", () => {
  assert.equal(new Set(WORDS.map((word) => word.slice(0, 4))).size, 2048);
  assert.ok(WORDS.every((word) => /^[a-z]{3,8}$/.test(word)));
  assert.deepEqual([...WORDS].sort(), WORDS);
  // The digest of english.txt as it is published.
  assert.equal(
    createHash("sha256").update(WORDS.join("\n") + "\n").digest("hex"),
    "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda",
  );
});

Deno.test("words: what is shown is read, however it was typed", () => {
  for (let i = 0; i < 200; i++) {
    const words = made();
    const list = encodeWords(words).split(" ");
    assert.equal(list.length, 10);
    for (
      const typed of [
        list.join(" "),
        list.join("-").toUpperCase(),
        `${list.slice(0, 5).join(", ")},\r\n  ${list.slice(5).join(", ")}.`,
        list.map((word, n) => `${n + 1}. ${word}`).join("\n"),
        list.map((word) => word.slice(0, 4)).join(" "),
        `"${list.map((word) => word[0]!.toUpperCase() + word.slice(1)).join("\u00a0")}"`,
        `> ${list.slice(0, 4).join(" ")}\n> ${list.slice(4).join(" ")}`,
        list.join(" / "),
        `\u201c${list.join("\u202f")}\u201d`,
        list.map((word) => [...word].join("\u200b")).join(" \u2060"),
        list.map((word) => `\u00ad${word.slice(0, 2)}\u00ad${word.slice(2)}\ufeff`).join("\r\n"),
        list.join("\u200b"),
      ]
    ) {
      assert.ok(looksLikeWords(typed), typed);
      assert.deepEqual(parseWords(typed), words, typed);
    }
  }
});

Deno.test("words: the layout is fingerprint, secret, check, first bit first", () => {
  const zero = encodeWords({ fingerprint: new Uint8Array(10), secret: new Uint8Array(3) });
  assert.match(zero, /^(abandon ){9}\w+$/);
  const first = encodeWords({
    fingerprint: Uint8Array.of(0xff, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0),
    secret: new Uint8Array(3),
  });
  assert.match(first, /^zoo (abandon ){8}\w+$/);
});

Deno.test("words: a mistyped word is told with what was meant, and the rest of them is not repeated", () => {
  let told = 0, asked = 0;
  for (let i = 0; i < 100; i++) {
    const list = encodeWords(made()).split(" ");
    const at = i % 10;
    const word = list[at]!;
    const k = 1 + i % (word.length - 1);
    for (
      const typo of [
        word.slice(0, k) + "q" + word.slice(k),
        word.slice(0, k) + word.slice(k + 1) + "x",
        word.slice(0, k - 1) + word[k] + word[k - 1] + word.slice(k + 1),
      ]
    ) {
      const typed = list.toSpliced(at, 1, typo).join(" ");
      // A typo may be another word of the list, or a beginning of one; then the check has to find it.
      if (WORDS.some((w) => w === typo || typo.length > 3 && w.startsWith(typo))) continue;
      const error = refused(typed);
      assert.match(error.message, new RegExp(`^word ${at + 1}\\b`));
      asked++;
      if (error.hint!.includes(`did you mean ${word}?`)) told++;
      // Nothing of what was typed, but the one word that was meant.
      const said = `${error.message} ${error.hint}`.replace(/did you mean \w+\?/, "").split(/\W+/);
      const copied = list.filter((other) => other !== word && said.includes(other));
      assert.deepEqual(copied.filter((other) => !OUR_OWN.includes(other)), []);
    }
  }
  assert.ok(told > asked * 0.7, `${told} of ${asked} were guessed`);
});

Deno.test("words: another word of the list, or two that changed places, is found 63 times of 64", () => {
  let passed = 0, tried = 0;
  for (let i = 0; i < 2000; i++) {
    const words = made();
    const list = encodeWords(words).split(" ");
    const at = i % 9;
    const wrong = i % 2 === 0
      ? list.toSpliced(at, 1, WORDS[random(2).reduce((sum, b) => sum << 8 | b, 0) % 2048]!)
      : list.toSpliced(at, 2, list[at + 1]!, list[at]!);
    if (wrong.join() === list.join()) continue;
    tried++;
    try {
      assert.notDeepEqual(parseWords(wrong.join(" ")), words);
      passed++;
    } catch (error) {
      assert.ok(error instanceof SecLlamaError, String(error));
      assert.match(error.message, /do not belong together/);
    }
  }
  assert.ok(passed < tried / 32, `${passed} of ${tried} were taken`);
});

Deno.test("words: too few, too many, and what is none", () => {
  const list = encodeWords(made()).split(" ");
  assert.match(refused(list.slice(1).join(" ")).message, /ten words, and here are 9/);
  assert.match(refused([...list, "zoo"].join(" ")).message, /here are 11/);
  assert.match(refused("").message, /here are 0/);
  assert.match(refused("zoo ".repeat(5000)).message, /far more/);
  for (const none of ["hello", "secllama-pair-1.abc def ghi.00", "  secllama pair a b c", ""]) {
    assert.equal(looksLikeWords(none), false, none);
  }
});

Deno.test("words: the fingerprint is the start of SHA-256", async () => {
  const der = random(300);
  const hash = createHash("sha256").update(der).digest();
  assert.deepEqual(await pairingFingerprint(der), new Uint8Array(hash.subarray(0, 10)));
});
