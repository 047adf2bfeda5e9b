/** Finding tool calls in a reply as it grows. */
import { firstOf } from "./first_of.ts";
import { partialSuffix } from "./partial_suffix.ts";
import { argumentsText, type CallDelta } from "./draft.ts";
import type { Calls } from "./json_calls.ts";
import { MutableSaid, type Said } from "./reader.ts";
import { type Reading, Source } from "./source.ts";
import type { Syntax } from "./syntax.ts";
import { bareCalls, SYNTAXES } from "./syntaxes.ts";
import { type Tool, Tools } from "./tools.ts";

const OPENINGS: readonly string[] = SYNTAXES.map(({ open }) => open);

/** Openings that may be control tokens, and closings: an engine leaves their text out of the reply. */
export const CALL_MARKERS: readonly string[] = [
  ...OPENINGS,
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

/** What models write behind a call once too often. */
const CLOSINGS: readonly string[] = [
  "</tool_call>",
  "</tool_calls>",
  "</TOOLCALL>",
  "</toolcall>",
  "[/TOOL_CALLS]",
  "</function>",
  "</function_calls>",
  "<|/tool_call|>",
  "<tool_call|>",
  "<|tool_response>",
  "<end_function_call>",
  "<start_function_response>",
  "<|python_end|>",
  "<|tool_call_end|>",
  "<|tool_calls_section_end|>",
  "<｜tool▁call▁end｜>",
  "<｜tool▁calls▁end｜>",
  "<|tools_suffix|>",
  "<|action_end|>",
  "<|END_ACTION|>",
  "</minimax:tool_call>",
  "</seed:tool_call>",
  "</｜DSML｜function_calls>",
];

/** White space, what separates calls, and a bracket or a closing too many. */
const BETWEEN_CALLS = new RegExp(
  `^(?:[\\s;,}\\]]+|${CLOSINGS.map((one) => RegExp.escape(one)).join("|")})+`,
);

/** Units that may be read for nothing, whatever the reply's length. */
const MAX_WASTED = 64 * 1024;

/** Fed with text, gives back what is certain to be text, and calls once they are complete. */
export class CallParser {
  readonly #tools: Tools;
  /** `start`: nothing but white space was said, or a call has just ended: what follows may be a call without a tag. */
  #state: "start" | "text" | "attempt" = "start";
  #held = "";
  /** At the start, white space in front of what is held: looked at once, however long it gets. */
  #space = "";
  /** Some text has been given back. */
  #said = false;
  #called = false;
  /** Whole calls so far. */
  #count = 0;
  /** Of the attempt's drafts, those that are whole. */
  #shown = 0;
  /** Units of the reply, and those that were read for nothing. */
  #total = 0;
  #wasted = 0;
  /** The reply was cut within a call: what is left of it is no text. */
  #broken = false;
  #attempt: { source: Source; reading: Reading<Calls>; syntax: Syntax | undefined } | undefined;

  constructor(tools: Iterable<Tool>) {
    this.#tools = new Tools(tools);
  }

  push(piece: string): Said {
    this.#total += piece.length;
    if (this.#attempt === undefined) this.#held += piece;
    else this.#attempt.source.push(piece);
    return this.#run(false);
  }

  /** What is still held when the reply ends. `cut`: for want of room; a call that was begun stays one. */
  end(cut: boolean): Said {
    this.#broken = cut && this.#attempt?.syntax !== undefined;
    this.#attempt?.source.end(cut);
    const said = this.#run(true, cut);
    if (!(cut && this.#mayOpen())) said.say(this.#take(this.#space + this.#held));
    this.#held = "";
    this.#space = "";
    return said;
  }

  #run(ended: boolean, cut = false): MutableSaid {
    const said = new MutableSaid();
    for (let more = true; more;) {
      if (this.#state === "attempt") {
        const { done, value } = this.#attempt!.reading.next();
        for (const delta of this.#grown()) said.delta(delta);
        if (done) this.#finish(value, said);
        else more = false;
      } else if (this.#state === "start") more = this.#atStart(ended, cut);
      else {
        const step = this.#inText(ended, cut);
        said.say(step.text);
        more = step.attempt;
      }
    }
    return said;
  }

  /** Whether what is held, where a reply was cut, is the beginning of a call's tag and no text. */
  #mayOpen(): boolean {
    const begun = this.#held.trim();
    return SYNTAXES.some(({ open }) => {
      if (!open.startsWith(begun)) return false;
      if (this.#called && !this.#said) return true;
      // What may be a word, or a sign of a text's, is text.
      return /^[<[]/.test(begun) &&
        (this.#said ? 2 * begun.length >= open.length : begun.length > 1);
    });
  }

  /** What is new of the attempt's drafts. */
  *#grown(): Generator<CallDelta> {
    const { drafts } = this.#attempt!.source;
    for (; this.#shown < drafts.length; this.#shown++) {
      const draft = drafts[this.#shown]!;
      const json = draft.take();
      const place = { index: this.#count, name: draft.name, json };
      if (!draft.whole) {
        if (json !== "") yield place;
        return;
      }
      this.#count++;
      yield { ...place, call: draft.call() };
    }
  }

  /** Whether the state changed: to an attempt, or to text. */
  #atStart(ended: boolean, cut: boolean): boolean {
    const behind = this.#held.trimStart();
    this.#space += this.#held.slice(0, this.#held.length - behind.length);
    this.#held = behind;
    const trimmed = this.#called ? behind.replace(BETWEEN_CALLS, "") : behind;
    if (trimmed === "") {
      if (behind !== "") this.#held = this.#space = "";
      return false;
    }
    const begins = (text: string) => text.length > trimmed.length && text.startsWith(trimmed);
    if ((!ended || cut) && SYNTAXES.some(({ open }) => begins(open))) return false;
    if (this.#called && CLOSINGS.some(begins)) {
      // The reply may end within such a tag; a sign alone is text.
      if (ended && trimmed.length > 1) this.#held = this.#space = "";
      if (!ended || trimmed.length > 1) return false;
    }
    const tagged = SYNTAXES.some(({ open }) => trimmed.startsWith(open));
    // White space in front of a call that begins the reply, or between two, is no text.
    const before = tagged || this.#called ? "" : this.#space;
    this.#space = "";
    this.#held = trimmed;
    if (!tagged && !this.#gaveUp && (trimmed[0] === "{" || trimmed[0] === "[")) {
      this.#begin(undefined, trimmed, ended, cut);
      this.#before = before;
      return true;
    }
    this.#held = before + trimmed;
    this.#state = "text";
    return true;
  }

  /** White space in front of a call without a tag: text after all if it is none. */
  #before = "";

  /** Openings that lead to nothing must not cost more than their number. */
  get #gaveUp(): boolean {
    return this.#wasted > MAX_WASTED + 8 * this.#total;
  }

  #inText(ended: boolean, cut: boolean): { text: string; attempt: boolean } {
    if (this.#gaveUp) {
      const text = this.#held;
      this.#held = "";
      return { text, attempt: false };
    }
    const opening = firstOf(OPENINGS, this.#held);
    if (opening === undefined) {
      let keep = 0;
      if (!ended || cut) {
        for (const open of OPENINGS) keep = Math.max(keep, partialSuffix(this.#held, open));
      }
      const end = this.#held.length - keep;
      const text = this.#held.slice(0, end);
      this.#held = this.#held.slice(end);
      return { text: this.#take(text), attempt: false };
    }
    const { at, found } = opening;
    const first = SYNTAXES.find(({ open }) => open === found)!;
    const text = this.#held.slice(0, at);
    this.#begin(first, this.#held.slice(at + first.open.length), ended, cut);
    return { text: this.#take(text), attempt: true };
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

  /** Takes what an attempt turned out to be: calls, or text. */
  #finish(found: Calls, said: MutableSaid): void {
    const { source, syntax } = this.#attempt!;
    const before = this.#before;
    this.#attempt = undefined;
    this.#before = "";
    const [draft] = source.drafts.slice(this.#shown);
    if (found === undefined && source.drafts.length === 0) {
      if (this.#broken) return void (this.#state = "start");
      this.#wasted += source.position;
      // The opening is text; what follows may still open something else.
      this.#held = source.all;
      this.#state = "text";
      if (syntax !== undefined) return said.say(this.#take(syntax.open));
      const opening = this.#held.slice(0, 1);
      this.#held = this.#held.slice(1);
      return said.say(this.#take(before + opening));
    }
    const calls = found ?? [];
    // A call that was begun stays one; it is text from where it is none.
    if (found === undefined) source.rewind(source.mark);
    if (draft !== undefined) calls.unshift(draft.call());
    calls.forEach((call, at) => {
      const json = draft !== undefined && at === 0 ? "" : argumentsText(call);
      said.delta({ index: this.#count++, name: call.name, json, call });
    });
    this.#called = true;
    this.#shown = 0;
    this.#held = this.#broken ? "" : source.rest;
    this.#state = "start";
  }
}
