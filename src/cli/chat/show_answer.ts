/** Shows an answer on the terminal as it comes: thoughts dimmed, words wrapped. */
import type { Tui } from "../tui.ts";
import type { Piece, Totals } from "./ask.ts";
import { WordWrap } from "./word_wrap.ts";
import { plural } from "../../plural.ts";

interface ShowOptions {
  /** Called once the first piece is there, or none will come. */
  readonly stopSign: () => void;
  readonly wordWrap: boolean;
  readonly verbose: boolean;
}

/** Writes the pieces and returns what was said, without the thoughts. Keeps what was shown when the stream throws: `onText`. */
export async function showAnswer(
  tui: Tui,
  pieces: AsyncIterable<Piece>,
  options: ShowOptions,
  onText: (text: string) => void,
): Promise<void> {
  const wrap = options.wordWrap && tui.isTerminal ? new WordWrap(columns) : undefined;
  const write = (text: string) => tui.write(wrap ? wrap.push(text) : text);
  let thinking = false;
  let wrote = false;
  try {
    for await (const piece of pieces) {
      options.stopSign();
      if (piece.kind === "done") {
        endThought();
        tui.write((wrap?.end() ?? "") + "\n");
        wrote = false;
        if (options.verbose) { for (const line of describeTotals(piece.totals)) tui.note(line); }
        continue;
      }
      if (piece.kind === "ignored") {
        tui.note(`This model does without: ${piece.fields.join(", ")}`);
        continue;
      }
      wrote = true;
      if (piece.kind === "thinking") {
        // For a script the thoughts are no part of the answer.
        if (!tui.isTerminal) continue;
        if (!thinking) write(tui.dim("Thinking…\n"));
        thinking = true;
        write(piece.text);
      } else {
        endThought();
        onText(piece.text);
        write(piece.text);
      }
    }
  } finally {
    options.stopSign();
    if (wrote) tui.write((wrap?.end() ?? "") + "\n");
  }

  function endThought() {
    if (!thinking) return;
    thinking = false;
    write(tui.dim("\n…done thinking.\n\n"));
  }
}

/** Columns of the terminal now; 0 if that is not known. */
function columns(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    return 0;
  }
}

/** Counts and times of an answer, one line each, in Ollama's words. */
export function describeTotals(totals: Totals): string[] {
  const lines: [string, string][] = [];
  const time = (name: string, ns: number | undefined) => {
    if (ns !== undefined) lines.push([name, `${(ns / 1e9).toFixed(3)} s`]);
  };
  const count = (name: string, tokens: number | undefined, ns: number | undefined) => {
    if (tokens === undefined) return;
    lines.push([`${name} count`, plural(tokens, "token")]);
    time(`${name} duration`, ns);
    if (ns) lines.push([`${name} rate`, `${(tokens / (ns / 1e9)).toFixed(2)} tokens/s`]);
  };
  time("total duration", totals.total_duration);
  time("load duration", totals.load_duration);
  count("prompt eval", totals.prompt_eval_count, totals.prompt_eval_duration);
  count("eval", totals.eval_count, totals.eval_duration);
  if (totals.done_reason === "length") lines.push(["ended", "at the longest that was asked for"]);
  return lines.map(([name, value]) => `${`${name}:`.padEnd(24)}${value}`);
}
