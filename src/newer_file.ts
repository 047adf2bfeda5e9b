/** Files that a newer version of this program wrote: said so, before anything else of them is judged, and left as they are. */
import { SecLlamaError } from "./errors.ts";
import { HINTS } from "./hints.ts";

/**
 * @param path What the file is called.
 * @param value What its JSON holds.
 * @param own The newest version that this program reads.
 * @throws {SecLlamaError} `key-corrupt` if a newer secllama wrote it.
 */
export function refuseNewer(path: string, value: unknown, own: number): void {
  const { v } = Object(value) as { v?: unknown };
  if (typeof v !== "number" || !(v > own)) return;
  throw new SecLlamaError("key-corrupt", `${path} is version ${v}, this secllama reads ${own}`, {
    hint: `${HINTS.newerWrote}; nothing was changed`,
  });
}
