/**
 * Replies in OpenAI's harmony format (gpt-oss): messages with a header that names the channel and, for a call, the tool.
 *
 *     <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>commentary to=functions.NAME<|message|>{…}<|call|>
 *     <|channel|>final<|message|>…
 */
import { BodyCall } from "./body_call.ts";
import { CallParser } from "./call_parser.ts";
import { partialSuffix } from "./partial_suffix.ts";
import { MutableSaid, type ReplyReader, type Said } from "./reader.ts";
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
/** What a message ends with. */
const ENDS = ["<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>"];
const MESSAGE = "<|message|>";
const HEADER_STARTS = ["<|start|>", "<|channel|>"];
/** Behind a prompt that ends with the header's role, the recipient may come first. */
const FIRST_STARTS = [...HEADER_STARTS, "to=functions."];
const RECIPIENT = /\bto=(?:functions\.)?([^\s<]+)/;

type Body = { readonly kind: "text" | "thought" | "none" } | {
  readonly kind: "call";
  readonly call: BodyCall;
};

export class HarmonyReader implements ReplyReader {
  readonly #tools: ReadonlySet<string>;
  /** For a reply without headers, as a grammar makes it. */
  readonly #bare: CallParser;
  #state: "start" | "header" | "body" | "bare" = "start";
  #held = "";
  #body: Body = { kind: "text" };
  #calls = 0;
  /** Where the header's end is looked for next. */
  #from = 0;

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
        if (trimmed === "" && !ended) return false;
        if (FIRST_STARTS.some((mark) => trimmed.startsWith(mark))) {
          this.#held = trimmed;
          this.#state = "header";
          return true;
        }
        if (!ended && FIRST_STARTS.some((mark) => mark.startsWith(trimmed))) return false;
        this.#state = "bare";
        said.add(this.#bare.push(this.#held));
        this.#held = "";
        return false;
      }
      case "header": {
        const end = this.#held.indexOf(MESSAGE, this.#from);
        this.#from = end < 0 ? Math.max(0, this.#held.length - MESSAGE.length) : 0;
        if (end < 0) return false;
        this.#body = this.#bodyOf(this.#held.slice(0, end));
        this.#held = this.#held.slice(end + MESSAGE.length);
        this.#state = "body";
        return true;
      }
      case "body": {
        let at = -1, mark = "";
        for (const one of ENDS) {
          const index = this.#held.indexOf(one);
          if (index >= 0 && (at < 0 || index < at)) [at, mark] = [index, one];
        }
        if (at < 0) {
          const keep = ended ? 0 : Math.max(...ENDS.map((one) => partialSuffix(this.#held, one)));
          this.#say(said, this.#held.slice(0, this.#held.length - keep));
          this.#held = this.#held.slice(this.#held.length - keep);
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
    const name = RECIPIENT.exec(header)?.[1];
    if (name !== undefined) {
      if (!this.#tools.has(name)) return { kind: "none" };
      return { kind: "call", call: new BodyCall(this.#calls, name) };
    }
    return { kind: /<\|channel\|>\s*analysis/.test(header) ? "thought" : "text" };
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
