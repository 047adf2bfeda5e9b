/** Files that a newer version of this program wrote: said so, before anything else of them is judged, and left as they are. */
import { SecLlamaError } from "./errors.ts";
import { HINTS } from "./hints.ts";

/**
 * Whether a newer secllama wrote it, in words; undefined: it did not. Of files whose first form names no version, that is 1.
 * @param path What the file is called. @param value What its JSON holds. @param own The newest version that this program reads.
 */
export function newerFile(path: string, value: unknown, own: number): string | undefined {
  const { v } = Object(value) as { v?: unknown };
  return typeof v === "number" && v > own
    ? `${path} is version ${v}, this secllama reads ${own}`
    : undefined;
}

/**
 * @param path What the file is called.
 * @param value What its JSON holds.
 * @param own The newest version that this program reads.
 * @throws {SecLlamaError} `key-corrupt` if a newer secllama wrote it.
 */
export function refuseNewer(path: string, value: unknown, own: number): void {
  const said = newerFile(path, value, own);
  if (said === undefined) return;
  throw new SecLlamaError("key-corrupt", said, {
    hint: HINTS.newerWroteIt,
  });
}
