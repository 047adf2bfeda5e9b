/** Strings in JSON's text, found by their signs: a regular expression's own stack has an end, and one without an end is looked at again. */

/** Index just past the string whose quote is at `start`; `undefined` if the text ends before. */
export function endOfString(text: string, start: number): number | undefined {
  for (let at = start + 1;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return undefined;
    let before = quote;
    while (before > start + 1 && text[before - 1] === "\\") before--;
    at = quote + 1;
    if ((quote - before) % 2 === 0) return at;
  }
}

const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Line breaks and tabs that stand as such in strings, as JSON writes them. What has no end stays as it is. */
export function escapeControls(text: string): string {
  const out: string[] = [];
  for (let at = 0;;) {
    const quote = text.indexOf('"', at);
    const end = quote < 0 ? undefined : endOfString(text, quote);
    if (end === undefined) return out.join("") + text.slice(at);
    out.push(text.slice(at, quote));
    out.push(text.slice(quote, end).replace(/[\n\r\t]/g, (char) => ESCAPES[char]!));
    at = end;
  }
}
