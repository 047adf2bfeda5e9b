/** Asks before what cannot be taken back. */
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import type { CommandContext } from "./command.ts";

interface Confirmation {
  /** What is to be typed; anything else is a no. */
  readonly word: string;
  /** What the word is, in the question. */
  readonly called?: string;
  /** What is said after a no: "nothing was erased". */
  readonly kept: string;
  /** The command line that asks nothing. */
  readonly unasked: string;
  /** Where nobody is there to be asked; `key-refused` if not given. */
  readonly nobody?: ErrorCode;
  /** After a no; `key-cancelled` if not given. */
  readonly cancelled?: ErrorCode;
}

/** Returns once the word was typed. @throws {SecLlamaError} The codes of `o`. */
export async function confirm({ tui }: CommandContext, o: Confirmation): Promise<void> {
  if (!tui.canAsk) {
    throw new SecLlamaError(o.nobody ?? "key-refused", "nobody was there to confirm it", {
      hint: `to do it without being asked, run: ${o.unasked}`,
    });
  }
  const typed = await tui.ask(`To go on, type ${o.called ?? o.word}:`);
  if (typed?.trim() === o.word) return;
  const why = typed === undefined
    ? "it was cancelled"
    : `what was typed is not ${o.called ?? o.word}`;
  throw new SecLlamaError(o.cancelled ?? "key-cancelled", `${why}: ${o.kept}`, {
    hint: "to be asked again, run the command again",
  });
}
