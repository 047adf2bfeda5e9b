import assert from "node:assert/strict";
import { utf8 } from "../../bytes.ts";
import { COMMON_PASSPHRASES } from "./common_passphrases.ts";
import { checkNewPassphrase } from "./new_passphrase.ts";

Deno.test("passphrase: a thousand common ones are refused in any case and between any spaces, and what is short", () => {
  assert.equal(COMMON_PASSPHRASES.size, 1_000);
  for (const word of COMMON_PASSPHRASES) {
    assert.ok(word.length >= 8 && word === word.toLowerCase(), word);
    for (
      const text of [
        word,
        word.toUpperCase(),
        ` ${word}\n`,
        word[0]!.toUpperCase() + word.slice(1),
        [...word].join(" "),
        `${word.slice(0, 2)}\u3164${word.slice(2, 5)}\u115f\u2800${word.slice(5)}\ufe0f`,
        `${word.slice(0, 3)}\u200b${word.slice(3)}\u2060`,
        `${word.slice(0, 4)}\u0301\t\u00a0${word.slice(4)}`,
      ]
    ) {
      assert.throws(() => checkNewPassphrase(utf8(text)), { code: "usage", message: /commonest/ });
    }
  }
  // The same letters in another form of Unicode.
  assert.throws(() => checkNewPassphrase(utf8("ｐａｓｓｗｏｒｄ")), /commonest|characters/);
  for (
    const text of [
      "",
      "1234567",
      "short",
      "  seven7  ",
      "seven77\u200b\u200d",
      "seven77\u034f\ufe0f",
      "\u3164".repeat(9),
      "\u2800".repeat(9),
      "äöüäöüä",
      "😀😀😀😀😀😀😀",
    ]
  ) {
    assert.throws(() => checkNewPassphrase(utf8(text)), { code: "usage", message: /at least 8/ });
  }
  // A message never repeats it.
  assert.throws(() => checkNewPassphrase(utf8("password")), (error: Error) => {
    assert.ok(!/password\b/.test(error.message));
    return true;
  });
});

Deno.test("passphrase: others pass, in whatever script, and bytes that are no text", () => {
  for (
    const text of ["correct horse", "einszweidrei4", "äöüäöüäö", "пароль-долгий", "  eight888  "]
  ) {
    checkNewPassphrase(utf8(text));
  }
  checkNewPassphrase(Uint8Array.from({ length: 32 }, (_, i) => 255 - i));
});
