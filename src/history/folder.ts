/** Where the history lies: a folder of its own in the data folder. */
import { join } from "node:path";

export const DATABASE_NAME = "history.db";

/** The folder of the history in a data folder. */
export function historyFolder(dataDir: string): string {
  return join(dataDir, "history");
}
