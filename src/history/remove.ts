/** What can be done with a history that nothing opens: count it, and take it away. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isAwayFromItsLog } from "../database_files.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import { refuseWriter } from "./database.ts";

/**
 * How many conversations there are, and the bytes of the file; asks for no key. Undefined: there is no history, or none that can
 * be counted.
 */
export function countHistory(
  dataDir: string,
): { readonly conversations: number; readonly bytes: number } | undefined {
  const path = join(historyFolder(dataDir), DATABASE_NAME);
  try {
    // SQLite would remove the log of one that was emptied.
    if (isAwayFromItsLog(path)) return undefined;
    const bytes = Deno.statSync(path).size;
    using db = new DatabaseSync(path, { readOnly: true, timeout: 2_000 });
    const { n } = db.prepare("SELECT COUNT(*) AS n FROM conversations").get() as { n: number };
    return { conversations: n, bytes };
  } catch {
    return undefined;
  }
}

/**
 * Removes the history's files.
 * @throws {SecLlamaError} `history-busy` if a process writes them.
 */
export async function removeHistory(dataDir: string): Promise<void> {
  const folder = historyFolder(dataDir);
  refuseWriter(folder);
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
