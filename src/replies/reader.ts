/** What a reply means, as it grows: thought, text, tool calls. Each family's way of writing has a reader. */
import type { ParsedCall } from "./tools.ts";

export interface Said {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly ParsedCall[];
}

export interface ReplyReader {
  /** What is certain by now. */
  push(piece: string): Said;
  /** What was held back. `cut`: the reply ended for want of room. */
  end(cut: boolean): Said;
  /** Whether text (not thought) has begun. */
  readonly inText: boolean;
}
