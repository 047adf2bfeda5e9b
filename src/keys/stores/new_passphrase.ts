/** What a passphrase that is chosen now must be. One that opens what there is already is never looked at like this. */
import { utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { COMMON_PASSPHRASES } from "./common_passphrases.ts";
import { plural } from "../../plural.ts";

const PASSPHRASE_MIN_CHARACTERS = 8;

/** What does not show: formats, such as a zero-width space, fillers, an empty cell of Braille, and controls that are no white space. */
const UNSEEN = /\p{Cf}|\p{Default_Ignorable_Code_Point}|\u2800|(?!\s)\p{Cc}/gu;
/** What stands between letters, or on one. */
const APART = /[\p{White_Space}\p{M}]/gu;

const HINT = "take several words that do not belong together: an attacker tries thousands a minute";

/**
 * @param passphrase UTF-8; other bytes count one by one.
 * @throws {SecLlamaError} `usage` if it has fewer than 8 characters that show, or is among the thousand commonest: in whatever
 * case, with whatever accents, and whatever spaces or characters that do not show are around it or in it.
 */
export function checkNewPassphrase(passphrase: Uint8Array): void {
  const text = textOf(passphrase).normalize("NFKC").replace(UNSEEN, "").trim();
  const length = [...text].length;
  if (length < PASSPHRASE_MIN_CHARACTERS) {
    throw new SecLlamaError(
      "usage",
      `the passphrase has ${
        plural(length, "character")
      }, want at least ${PASSPHRASE_MIN_CHARACTERS}`,
      { hint: HINT },
    );
  }
  const letters = text.normalize("NFKD").replace(APART, "").toLowerCase();
  if (COMMON_PASSPHRASES.has(letters)) {
    throw new SecLlamaError("usage", "the passphrase is one of the thousand commonest", {
      hint: HINT,
    });
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return utf8Decode(bytes);
  } catch {
    return String.fromCharCode(...bytes);
  }
}
