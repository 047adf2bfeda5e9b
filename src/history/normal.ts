/** Texts as they are searched. */
import type { Head } from "./entries.ts";

/** A text as it is searched: in one case and one form of Unicode, white space and control characters joined to one space. */
export function normalised(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/[\s\p{Cc}]+/gu, " ").trim();
}

/** Titles as they are searched, as long as their heads are kept. */
const titles = new WeakMap<Head, string>();

/** A conversation's title so. */
export function normalisedTitle(head: Head): string {
  let title = titles.get(head);
  if (title === undefined) titles.set(head, title = normalised(head.title));
  return title;
}
