/** Context shift: a reply that fills the context goes on, and the oldest tokens make room. */

import type { ContextShift } from "./types.ts";

/** Which cells go, as Ollama chooses them: half of what is not kept, behind what is kept. */
export function cellsToDrop(
  length: number,
  { keep, window }: ContextShift,
): { readonly from: number; readonly to: number } {
  const from = Math.max(0, Math.min(keep, window - 1, length - 1));
  const count = Math.max(1, Math.floor((window - from) / 2) - (window - length));
  return { from, to: Math.min(length, from + count) };
}
