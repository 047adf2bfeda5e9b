/** What was read of a file is taken up: each conversation once. */
import { createHash } from "node:crypto";
import type { ImportReport } from "../../api/history.ts";
import { breath } from "../breath.ts";
import { titleFor } from "../summaries.ts";
import type { readImport } from "./formats.ts";
import type { Imported } from "./tree.ts";

/**
 * Takes conversations up, each whole or not at all. Those that are known by title and time are left out, and those that were taken up
 * as they are in the file, whatever they are called by now.
 * @param add Adds one, with its {@link originOf}.
 */
export async function takeUp(
  { format, conversations }: ReturnType<typeof readImport>,
  known: readonly { readonly created: number; readonly title: string; readonly origin?: string }[],
  add: (one: Imported, origin: string) => void,
): Promise<ImportReport> {
  const names = new Set(known.map(({ created, title }) => `${created} ${title}`));
  const origins = new Set(known.map(({ origin }) => origin));
  const report = { format, imported: 0, messages: 0, skipped: 0 };
  let last = Date.now();
  for (const one of conversations) {
    // A file may be of a hundred megabytes, and this thread has others to serve.
    if (Date.now() - last > BREATH_MS) {
      await breath();
      last = Date.now();
    }
    const title = titleFor(one.title, one.messages.map(({ message }) => message));
    const origin = originOf(one);
    if (one.messages.length === 0 || origins.has(origin) || names.has(`${one.created} ${title}`)) {
      report.skipped++;
      continue;
    }
    add(one, origin);
    report.imported++;
    report.messages += one.messages.length;
  }
  return report;
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
