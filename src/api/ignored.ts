/**
 * The header that says what of a request had no effect, where serving it is better than refusing it:
 * `Secllama-Ignored: thinking, tools.web_search`.
 */

export const IGNORED_HEADER = "secllama-ignored";

const MOST = 16;
const WORD = /^[a-z][a-z0-9_.]{0,63}$/;

/** @param words Fields of the request, each as its path without indexes. Those that are none are left out. */
export function writeIgnored(words: Iterable<string>): string {
  return [...new Set(words)].filter((word) => WORD.test(word)).slice(0, MOST).join(", ");
}

/** What the header says; none: nothing in its form, as a runner is not trusted to write it. */
export function readIgnored(headers: Headers): string[] {
  const words = (headers.get(IGNORED_HEADER) ?? "").split(", ");
  return words.length <= MOST && words.every((word) => WORD.test(word)) ? words : [];
}
