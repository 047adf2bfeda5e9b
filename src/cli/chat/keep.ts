/** `secllama run --save`: what is asked and answered goes into the sealed history, each question with its answer. */
import type { CommandContext } from "../command.ts";
import { type OpenHistory, openHistory } from "../history/access.ts";
import type { Surroundings } from "./converse.ts";

/** Keeps one conversation. */
export interface Keeper extends Disposable {
  readonly keep: NonNullable<Surroundings["keep"]>;
}

/**
 * Opens the history now: whoever wants a conversation kept is told before it begins if that cannot be.
 * @throws {SecLlamaError} What the history throws.
 */
export async function openKeeper(context: CommandContext): Promise<Keeper> {
  // Ctrl-C ends an answer; what was shown of it is kept all the same.
  const open: OpenHistory = await openHistory(context, new AbortController().signal);
  const { history } = open;
  let id: string | undefined;
  let last: string | null = null;
  return {
    async keep(message, answer, { model }) {
      try {
        id ??= (await history.create({ model })).id;
        last = (await history.append(id, { ...message, parent: last })).id;
        const said = { role: "assistant", content: answer, model, parent: last } as const;
        last = (await history.append(id, said)).id;
      } catch (error) {
        context.tui.warn("this was not saved:");
        context.tui.error(error);
      }
    },
    [Symbol.dispose]: () => open[Symbol.dispose](),
  };
}
