/**
 * Characters that would make a text look other than it is, made visible: control characters, ANSI escapes, and the bidi
 * overrides of "Trojan Source" (CVE-2021-42574; Unicode UAX #9, section 2); letters that are blank, and tags and selectors that carry
 * data unseen (Unicode's plane 14). Marks that only join letters, as Arabic and emoji need them, stay, and so does what chooses a form
 * of the Han character before it.
 */
const HIDDEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff0-\\ufffb]" +
    "|[\\u115f\\u1160\\u180e\\u3164\\uffa0]|[\\u{e0000}-\\u{e00ff}\\u{e01f0}-\\u{e0fff}]" +
    "|(?<!\\p{Script=Han})[\\u{e0100}-\\u{e01ef}]",
  "gu",
);

/** A text, or one character of it that is not shown as itself. */
type Piece = string | { readonly code: string };

/**
 * Cuts a text into what may be shown and what is named instead.
 * @example `piecesOf("a\u202eb")` is `["a", { code: "U+202E" }, "b"]`.
 */
export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match[0] === "\r" && text[match.index + 1] === "\n") {
      if (match.index > from) pieces.push(text.slice(from, match.index));
    } else {
      if (match.index > from) pieces.push(text.slice(from, match.index));
      const code = match[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
      pieces.push({ code: `U+${code}` });
    }
    from = match.index + match[0].length;
  }
  if (from < text.length) pieces.push(text.slice(from));
  return pieces;
}

/** The text with those characters named, where no element can be. */
export function visibleOf(text: string): string {
  return piecesOf(text).map((piece) => typeof piece === "string" ? piece : piece.code).join("");
}

/** The text without those characters. */
export function withoutHidden(text: string): string {
  return text.replace(HIDDEN, "");
}
