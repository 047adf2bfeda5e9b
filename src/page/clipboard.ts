/// <reference lib="dom" />
import { withoutHidden } from "./visible.ts";

/** Puts on the clipboard what of a text is seen: it may go to a terminal from there. Returns whether the browser let it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(withoutHidden(text));
    return true;
  } catch {
    return false;
  }
}
