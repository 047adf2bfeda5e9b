/** The mark of a restore that is under way: what is in the data folder then is neither the old nor the restored. */
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";

/** Its name in the data folder. */
export const RESTORING = "restoring.json";

/** @throws {SecLlamaError} `key-refused` while a restore of this data folder is not finished. */
export async function refuseHalfRestored(dataDir: string): Promise<void> {
  if (!await isHalfRestored(dataDir)) return;
  throw new SecLlamaError("key-refused", `a restore of ${dataDir} was not finished`, {
    hint: "run it again: secllama restore FILE --replace",
  });
}

/** Whether the mark is there. */
export async function isHalfRestored(dataDir: string): Promise<boolean> {
  return await Deno.lstat(join(dataDir, RESTORING)).then(() => true, () => false);
}
