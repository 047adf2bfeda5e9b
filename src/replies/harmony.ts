/**
 * Replies in OpenAI's harmony format (gpt-oss): messages with a header that names the channel and, for a call, the tool.
 *
 *     <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>commentary to=functions.NAME<|message|>{…}<|call|>
 *     <|channel|>final<|message|>…
 */
import { BodyCall } from "./body_call.ts";
import { CallParser } from "./call_parser.ts";
import { firstOf } from "./first_of.ts";
import { partialSuffix } from "./partial_suffix.ts";
import { MutableSaid, type ReplyReader, type Said } from "./reader.ts";
import type { ThoughtTags } from "./thought.ts";
import type { Tool } from "./tools.ts";

export const HARMONY_MARKERS: readonly string[] = [
  "<|start|>",
  "<|channel|>",
  "<|constrain|>",
  "<|message|>",
  "<|end|>",
  "<|call|>",
  "<|return|>",
];
/** A thought is a message of its own: another must come behind it. */
export const HARMONY_THOUGHT: ThoughtTags = {
  open: "<|channel|>analysis<|message|>",
  close: "<|end|>",
  next: "<|start|>assistant",
};
/** What a message ends with. */
const ENDS = ["<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>"];
const LONGEST_END = Math.max(...ENDS.map((one) => one.length));
const MESSAGE = "<|message|>";
const HEADER_STARTS = ["<|start|>", "<|channel|>"];
/** Behind a prompt that ends with the header's role, the recipient may come first. */
const FIRST_STARTS = [...HEADER_STARTS, "to=functions."];
const RECIPIENT = /\bto=(?:functions\.)?[^\s<]+/;
/** In front of a tool's name. */
const TO = /\bto=(?:functions\.)?/;

type Body = { readonly kind: "text" | "thought" | "none" } | {
  readonly kind: "call";
  readonly call: BodyCall;
};

/** Where a message ends, and with what; without a mark, as far as that is certain not to begin one. */
interface End {
  readonly at: number;
  readonly mark?: string;
}

function firstEnd(text: string, ended: boolean): End {
  const first = firstOf(ENDS, text);
  if (first !== undefined) return { at: first.at, mark: first.found };
  const keep = ended ? 0 : Math.max(...ENDS.map((one) => partialSuffix(text, one)));
  return { at: text.length - keep };
}

/** A call's arguments, in whose strings marks are text. What begins as no object has no strings. */
class Strings {
  #begun = false;
  #inside = false;
  #escaped = false;
  #isJson = false;

  /** @param text What comes behind the texts before, up to where they were said to reach. */
  firstOutside(text: string, ended: boolean): End {
    for (let at = 0; at < text.length; at++) {
      const char = text[at]!;
      if (!this.#inside && char === "<") {
        const mark = ENDS.find((one) => text.startsWith(one, at));
        if (mark !== undefined) return { at, mark };
        const rest = text.slice(at, at + LONGEST_END);
        if (!ended && ENDS.some((one) => one.startsWith(rest))) return { at };
      }
      this.#see(char);
    }
    return { at: text.length };
  }

  #see(char: string): void {
    if (!this.#begun) {
      if (/\s/.test(char)) return;
      this.#begun = true;
      this.#isJson = char === "{";
    }
    if (!this.#isJson) return;
    if (!this.#inside) this.#inside = char === '"';
    else if (this.#escaped) this.#escaped = false;
    else if (char === "\\") this.#escaped = true;
    else if (char === '"') this.#inside = false;
  }
}

export class HarmonyReader implements ReplyReader {
  readonly #tools: ReadonlySet<string>;
  /** For a reply without headers, as a grammar makes it. */
  readonly #bare: CallParser;
  #state: "start" | "header" | "body" | "bare" = "start";
  #held = "";
  /** In front of all that was held. */
  readonly #space: string[] = [];
  #body: Body = { kind: "text" };
  #strings = new Strings();
  #calls = 0;
  /** Of a header whose end has not come, all but what is held. */
  readonly #header: string[] = [];

  constructor(tools: readonly Tool[]) {
    this.#tools = new Set(tools.map((tool) => tool.name));
    this.#bare = new CallParser(tools);
  }

  get inText(): boolean {
    return this.#state === "bare" || (this.#state === "body" && this.#body.kind === "text");
  }

  push(piece: string): Said {
    const said = new MutableSaid();
    if (this.#state === "bare") said.add(this.#bare.push(piece));
    else {
      this.#held += piece;
      while (this.#step(said, false));
    }
    return said;
  }

  end(cut: boolean): Said {
    const said = new MutableSaid();
    while (this.#state !== "bare" && this.#step(said, true));
    if (this.#state === "bare") said.add(this.#bare.end(cut));
    else if (this.#state === "body") this.#finish(said, cut);
    return said;
  }

  /** One transition; false when more is needed. */
  #step(said: MutableSaid, ended: boolean): boolean {
    switch (this.#state) {
      case "start": {
        const trimmed = this.#held.trimStart();
        this.#space.push(this.#held.slice(0, this.#held.length - trimmed.length));
        this.#held = trimmed;
        if (trimmed === "" && !ended) return false;
        if (FIRST_STARTS.some((mark) => trimmed.startsWith(mark))) {
          this.#state = "header";
          return true;
        }
        if (!ended && FIRST_STARTS.some((mark) => mark.startsWith(trimmed))) return false;
        this.#state = "bare";
        said.add(this.#bare.push(this.#space.join("") + this.#held));
        this.#held = "";
        return false;
      }
      case "header": {
        const end = this.#held.indexOf(MESSAGE);
        if (end < 0) {
          // Looking into it makes one text of it: what can hold no beginning of the mark is put away, or each piece would copy all.
          const keep = Math.max(0, this.#held.length - MESSAGE.length + 1);
          this.#header.push(this.#held.slice(0, keep));
          this.#held = this.#held.slice(keep);
          return false;
        }
        this.#body = this.#bodyOf(this.#header.join("") + this.#held.slice(0, end));
        this.#header.length = 0;
        this.#strings = new Strings();
        this.#held = this.#held.slice(end + MESSAGE.length);
        this.#state = "body";
        return true;
      }
      case "body": {
        const { at, mark } = this.#body.kind === "call"
          ? this.#strings.firstOutside(this.#held, ended)
          : firstEnd(this.#held, ended);
        if (mark === undefined) {
          this.#say(said, this.#held.slice(0, at));
          this.#held = this.#held.slice(at);
          return false;
        }
        this.#say(said, this.#held.slice(0, at));
        this.#finish(said, false);
        const opens = HEADER_STARTS.includes(mark);
        this.#held = this.#held.slice(opens ? at : at + mark.length);
        this.#state = "header";
        return true;
      }
      case "bare":
        return false;
    }
  }

  #bodyOf(header: string): Body {
    const name = this.#toolOf(header);
    if (name !== undefined) return { kind: "call", call: new BodyCall(this.#calls, name) };
    if (RECIPIENT.test(header)) return { kind: "none" };
    return { kind: /<\|channel\|>\s*analysis/.test(header) ? "thought" : "text" };
  }

  /** Whose name stands behind `to=`: of two that begin alike, the longer. */
  #toolOf(header: string): string | undefined {
    const to = TO.exec(header);
    if (to === null) return undefined;
    const rest = header.slice(to.index + to[0].length);
    return [...this.#tools].filter((name) => /^(\s|<|$)/.test(rest.slice(name.length)))
      .filter((name) => rest.startsWith(name)).sort((a, b) => b.length - a.length)[0];
  }

  #say(said: MutableSaid, text: string): void {
    if (this.#body.kind === "text") said.say(text);
    else if (this.#body.kind === "thought") said.thinking += text;
    else if (this.#body.kind === "call") {
      for (const delta of this.#body.call.push(text)) said.delta(delta);
    }
  }

  /** A call's arguments are complete, or as complete as they will be. */
  #finish(said: MutableSaid, cut: boolean): void {
    if (this.#body.kind !== "call") return;
    said.delta(this.#body.call.end(cut));
    this.#calls++;
    this.#body = { kind: "text" };
  }
}
