/** What was read of a file is taken up: each conversation once. */
import { createHash } from "node:crypto";
import type { ImportReport, NewMessage } from "../../api/history.ts";
import { breath } from "../breath.ts";
import type { Head } from "../entries.ts";
import { titleFor } from "../summaries.ts";
import type { readImport } from "./formats.ts";
import type { Imported } from "./tree.ts";

/**
 * Takes conversations up, each whole or not at all. Left out are those that were taken up as they are in the file, whatever they are
 * called by now, and those all of whose messages are in one of the same title and time.
 * @param o `messagesOf`: what is in a known one. `add`: adds one, with its {@link originOf}.
 */
export async function takeUp<K extends { readonly opened: { readonly head: Head } }>(
  { format, conversations }: ReturnType<typeof readImport>,
  known: readonly K[],
  o: {
    messagesOf(one: K): readonly Pick<NewMessage, "role" | "content" | "images">[];
    add(one: Imported, origin: string): void;
  },
): Promise<ImportReport> {
  const named = Map.groupBy(known, ({ opened: { head } }) => `${head.created} ${head.title}`);
  const origins = new Set(known.map(({ opened: { head } }) => head.origin));
  const report = { format, imported: 0, messages: 0, skipped: 0 };
  let last = performance.now();
  for (const one of conversations) {
    // A file may be of a hundred megabytes, and this thread has others to serve.
    if (performance.now() - last > BREATH_MS) {
      await breath();
      last = performance.now();
    }
    const title = titleFor(one.title, one.messages.map(({ message }) => message));
    const origin = originOf(one);
    const isKnown = () =>
      named.get(`${one.created} ${title}`)?.some((other) =>
        other.opened.head.messages >= one.messages.length && hasAll(o.messagesOf(other), one)
      );
    if (one.messages.length === 0 || origins.has(origin) || isKnown()) {
      report.skipped++;
      continue;
    }
    o.add(one, origin);
    report.imported++;
    report.messages += one.messages.length;
  }
  return report;
}

/** Whether all that is said in a file's conversation is among these messages, as often; an answer that failed says nothing. */
function hasAll(
  messages: readonly Pick<NewMessage, "role" | "content" | "images">[],
  one: Imported,
): boolean {
  const said = ({ role, content, images = [] }: typeof messages[number]) =>
    JSON.stringify([role, content, ...images]);
  const there = Map.groupBy(messages, said);
  return one.messages.every(({ message }) =>
    message.content === "" && !message.images?.length ||
    there.get(said(message))?.pop() !== undefined
  );
}

/** What tells an imported conversation from others: 96 bits of a hash of what the file has of it. */
function originOf({ title, created, messages }: Imported): string {
  const hash = createHash("sha256").update(JSON.stringify([title, created ?? null]));
  for (const message of messages) hash.update(JSON.stringify(message));
  return hash.digest("base64url").slice(0, ORIGIN_CHARACTERS);
}

const ORIGIN_CHARACTERS = 16;
/** Others wait about so long. */
const BREATH_MS = 50;
