/** Which of some texts comes first. */

const FINDERS = new Map<string, RegExp>();

/**
 * Where the first of the texts stands, and which. Of two that stand there the one that is earlier in the list. It is not looked
 * beyond that place, as for each of them on its own: where one is everywhere and another nowhere, that is the square of the length.
 * @param texts Constants of the program's: what finds them is kept.
 */
export function firstOf(
  texts: readonly string[],
  text: string,
  from = 0,
): { readonly at: number; readonly found: string } | undefined {
  const key = texts.join("\0");
  let finder = FINDERS.get(key);
  if (finder === undefined) {
    FINDERS.set(key, finder = new RegExp(texts.map((one) => RegExp.escape(one)).join("|"), "g"));
  }
  finder.lastIndex = from;
  const match = finder.exec(text);
  return match === null ? undefined : { at: match.index, found: match[0] };
}
