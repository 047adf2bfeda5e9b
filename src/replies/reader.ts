/** What a reply means, as it grows: thought, text, tool calls. Each family's way of writing has a reader. */
import type { CallDelta } from "./draft.ts";
import type { ParsedCall } from "./tools.ts";

/** Text, or what came of a call. */
export type Part = { readonly text: string } | { readonly delta: CallDelta };

export interface Said {
  readonly text: string;
  readonly thinking: string;
  /** Those that are whole by now. */
  readonly calls: readonly ParsedCall[];
  /** Text and calls in their order. */
  readonly parts: readonly Part[];
}

/** A {@link Said} that is put together. */
export class MutableSaid implements Said {
  text = "";
  thinking = "";
  readonly calls: ParsedCall[] = [];
  readonly parts: Part[] = [];

  say(text: string): void {
    if (text === "") return;
    this.text += text;
    this.parts.push({ text });
  }

  delta(delta: CallDelta): void {
    this.parts.push({ delta });
    if (delta.call !== undefined) this.calls.push(delta.call);
  }

  /** What came after. */
  add(said: Said): void {
    this.text += said.text;
    this.thinking += said.thinking;
    // One by one: as arguments, a hundred thousand would be more than a stack holds.
    for (const call of said.calls) this.calls.push(call);
    for (const part of said.parts) this.parts.push(part);
  }
}

export interface ReplyReader {
  /** What is certain by now. */
  push(piece: string): Said;
  /** What was held back. `cut`: the reply ended for want of room. */
  end(cut: boolean): Said;
  /** Whether text (not thought) has begun. */
  readonly inText: boolean;
}
