/** Finding tool calls in a reply as it grows. */
import { partialSuffix } from "./partial_suffix.ts";
import type { Calls } from "./json_calls.ts";
import { type Reading, Source } from "./source.ts";
import { bareCalls, type Syntax, SYNTAXES } from "./syntaxes.ts";
import { type ParsedCall, type Tool, Tools } from "./tools.ts";

export interface Found {
  readonly text: string;
  readonly calls: readonly ParsedCall[];
}

/** Openings that may be control tokens, and closings: an engine leaves their text out of the reply. */
export const CALL_MARKERS: readonly string[] = [
  ...SYNTAXES.map(({ open }) => open),
  "</tool_call>",
  "<|/tool_call|>",
  "<tool_call|>",
  '<|"|>',
  "<escape>",
  "<end_function_call>",
  "<|python_end|>",
  "<|tool_call_end|>",
  "<|tool_calls_section_end|>",
  "<|tool_call_begin|>",
  "<|tool_call_argument_begin|>",
  "<｜tool▁call▁begin｜>",
  "<｜tool▁sep｜>",
  "<｜tool▁call▁end｜>",
  "<｜tool▁calls▁end｜>",
  "<|tools_suffix|>",
  "<|plugin|>",
  "<|action_end|>",
  "<|END_ACTION|>",
  "[ARGS]",
  "[CALL_ID]",
  "</minimax:tool_call>",
  "</seed:tool_call>",
  "<arg_key>",
  "</arg_key>",
  "<arg_value>",
  "</arg_value>",
];

/** Only what can be text in front of it: white space, and what separates calls. */
const BETWEEN_CALLS = /^[\s;,]+/;

/** Fed with text, gives back what is certain to be text, and calls once they are complete. */
export class CallParser {
  readonly #tools: Tools;
  /** `start`: nothing but white space was said, or a call has just ended: what follows may be a call without a tag. */
  #state: "start" | "text" | "attempt" = "start";
  #held = "";
  /** Some text has been given back. */
  #said = false;
  #called = false;
  #attempt: { source: Source; reading: Reading<Calls>; syntax: Syntax | undefined } | undefined;

  constructor(tools: Iterable<Tool>) {
    this.#tools = new Tools(tools);
  }

  push(piece: string): Found {
    if (this.#attempt === undefined) this.#held += piece;
    else this.#attempt.source.push(piece);
    return this.#run(false);
  }

  /** What is still held when the reply ends. `cut`: for want of room; a call that was begun stays one. */
  end(cut: boolean): Found {
    this.#attempt?.source.end(cut);
    const found = this.#run(true, cut);
    const text = found.text + this.#take(this.#held);
    this.#held = "";
    return { text, calls: found.calls };
  }

  #run(ended: boolean, cut = false): Found {
    let text = "";
    const calls: ParsedCall[] = [];
    for (;;) {
      if (this.#state === "attempt") {
        const outcome = this.#attempt!.reading.next();
        if (!outcome.done) return { text, calls };
        text += this.#finish(outcome.value, calls);
      } else if (this.#state === "start") {
        if (!this.#atStart(ended, cut)) return { text, calls };
      } else {
        const step = this.#inText(ended, cut);
        text += step.text;
        if (!step.attempt) return { text, calls };
      }
    }
  }

  /** Whether the state changed: to an attempt, or to text. */
  #atStart(ended: boolean, cut: boolean): boolean {
    const trimmed = this.#held.replace(this.#called ? BETWEEN_CALLS : /^\s+/, "");
    if (trimmed === "") return false;
    const partly = !ended &&
      SYNTAXES.some(({ open }) => open.length > trimmed.length && open.startsWith(trimmed));
    if (partly) return false;
    const tagged = SYNTAXES.some(({ open }) => trimmed.startsWith(open));
    if (this.#called && !tagged) this.#held = trimmed;
    if (!tagged && (trimmed[0] === "{" || trimmed[0] === "[")) {
      const before = this.#held.slice(0, this.#held.length - trimmed.length);
      this.#begin(undefined, trimmed, ended, cut);
      this.#before = before;
      return true;
    }
    this.#state = "text";
    return true;
  }

  /** White space in front of a call without a tag: text after all if it is none. */
  #before = "";

  #inText(ended: boolean, cut: boolean): { text: string; attempt: boolean } {
    let first: Syntax | undefined;
    let at = Infinity;
    let keep = 0;
    for (const syntax of SYNTAXES) {
      const index = this.#held.indexOf(syntax.open);
      if (index >= 0 && index < at) {
        first = syntax;
        at = index;
      }
      if (!ended) keep = Math.max(keep, partialSuffix(this.#held, syntax.open));
    }
    if (first === undefined) {
      const end = this.#held.length - keep;
      const text = this.#held.slice(0, end);
      this.#held = this.#held.slice(end);
      return { text: this.#take(text), attempt: false };
    }
    const text = this.#held.slice(0, at);
    this.#begin(first, this.#held.slice(at + first.open.length), ended, cut);
    // White space in front of a call that begins the reply, or between two, is no text.
    const isBlank = text.trim() === "" && (!this.#said || this.#called);
    return { text: isBlank ? "" : this.#take(text), attempt: true };
  }

  #take(text: string): string {
    if (text.trim() === "" && this.#called && !this.#said) return "";
    this.#said ||= text.trim() !== "";
    return text;
  }

  #begin(syntax: Syntax | undefined, rest: string, ended: boolean, cut: boolean): void {
    const source = new Source();
    source.push(rest);
    if (ended) source.end(cut);
    const reading = syntax === undefined
      ? bareCalls(source, this.#tools)
      : syntax.read(source, this.#tools);
    this.#attempt = { source, reading, syntax };
    this.#held = "";
    this.#before = "";
    this.#state = "attempt";
  }

  /** The text that an attempt turned out to be, if it was no call. */
  #finish(found: Calls, calls: ParsedCall[]): string {
    const { source, syntax } = this.#attempt!;
    const before = this.#before;
    this.#attempt = undefined;
    this.#before = "";
    if (found === undefined) {
      // The opening is text; what follows may still open something else.
      this.#held = source.all;
      this.#state = "text";
      if (syntax !== undefined) return this.#take(syntax.open);
      const opening = this.#held.slice(0, 1);
      this.#held = this.#held.slice(1);
      return this.#take(before + opening);
    }
    calls.push(...found);
    this.#called = true;
    this.#held = source.rest;
    this.#state = "start";
    return "";
  }
}
