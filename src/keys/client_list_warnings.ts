/** What the user should know about the list of clients when a key source is opened. */
import { SecLlamaError } from "../errors.ts";
import type { ClientRegistry } from "./clients/registry.ts";
import type { HighWaterMark } from "./high_water.ts";

/** One line each: of the list, which lets nobody in if it is damaged, and of the mark. */
export async function clientListWarnings(
  registry: ClientRegistry,
  mark: HighWaterMark | undefined,
): Promise<string[]> {
  const warnings: string[] = [];
  try {
    // Where there never was one, no store is asked for it.
    if (registry.fingerprint() !== "" || (mark?.height.rev ?? 0) > 0) await registry.read();
  } catch (error) {
    if (!(error instanceof SecLlamaError) || error.code !== "key-corrupt") throw error;
    warnings.push(`no paired client is let in: ${error.message}; ${error.hint ?? ""}`);
  }
  if (mark?.failure !== undefined) warnings.push(mark.failure);
  return warnings;
}
