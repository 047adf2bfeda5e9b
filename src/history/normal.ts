/** Texts as they are searched. */
import { folded } from "../api/folding.ts";
import type { Head } from "./entries.ts";

/** A text as it is searched: in one case and one form of Unicode, white space and control characters joined to one space. */
export function normalised(text: string): string {
  return spaced(folded(text));
}

function spaced(text: string): string {
  return text.replace(/[\s\p{Cc}]+/gu, " ").trim();
}

/** As a text was searched that an earlier version of this program wrote: "Straße" had no other spelling. */
function earlier(text: string): string {
  return spaced(text.normalize("NFKC").toLowerCase());
}

/** A word of a search: as it is in titles and texts, and as it may be in texts of an earlier version too. */
type Word = readonly [now: string, ...earlier: string[]];

/** The words of a search, each once. */
export function wordsOf(query: string): Word[] {
  const words = new Map<string, Word>();
  for (const given of spaced(query).split(" ")) {
    const parts = (text: string) => text.split(" ").filter((part) => part !== "");
    const [now, before] = [parts(normalised(given)), parts(earlier(given))];
    for (const [i, word] of now.entries()) {
      const other = now.length === before.length ? before[i]! : word;
      if (!words.has(word)) words.set(word, other === word ? [word] : [word, other]);
    }
  }
  return [...words.values()];
}

/** Titles as they are searched, as long as their heads are kept. */
const titles = new WeakMap<Head, string>();

/** A conversation's title so. */
export function normalisedTitle(head: Head): string {
  let title = titles.get(head);
  if (title === undefined) titles.set(head, title = normalised(head.title));
  return title;
}
