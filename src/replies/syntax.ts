/** A way of writing calls. */
import type { Calls } from "./json_calls.ts";
import type { Reading, Source } from "./source.ts";
import type { ParsedCall, Tools } from "./tools.ts";

export interface Syntax {
  readonly open: string;
  /** Reads on behind `open`, closing tags included. */
  read(source: Source, tools: Tools): Reading<Calls>;
}

/** A body that is read by `one`, again and again, up to a closing tag, which may be missing at the end of the reply. */
export function* repeated(
  source: Source,
  close: readonly string[],
  one: () => Reading<Calls>,
): Reading<Calls> {
  const calls: ParsedCall[] = [];
  const found = () => calls.length + source.drafts.length > 0;
  for (;;) {
    yield* source.takeWhile((char) => /[\s,;]/.test(char));
    if ((yield* source.skipOne(close)) !== undefined) return found() ? calls : undefined;
    if ((yield* source.peek()) === undefined) return found() || source.cut ? calls : undefined;
    const [start, drafts] = [source.position, source.drafts.length];
    const more = yield* one();
    if (more === undefined) {
      if (!found()) return undefined;
      // What is none is text; of what was begun, what is behind it.
      source.rewind(source.drafts.length > drafts ? source.mark : start);
      return calls;
    }
    if (more.length > 0) source.settle();
    for (const call of more) calls.push(call);
  }
}
