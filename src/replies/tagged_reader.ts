/** Replies whose thought, if any, is between tags at the beginning, and whose calls are marked in the text. */
import { CallParser } from "./call_parser.ts";
import { partialSuffix } from "./partial_suffix.ts";
import { MutableSaid, type ReplyReader, type Said } from "./reader.ts";
import { ThoughtSplitter, type ThoughtTags } from "./thought.ts";
import type { Tool } from "./tools.ts";

/** Around what is said, of models that mark that as well. */
export const RESPONSE_PAIR = ["<|START_RESPONSE|>", "<|END_RESPONSE|>"] as const;
export const RESPONSE_TAGS: readonly string[] = [...RESPONSE_PAIR, "[END FINAL RESPONSE]"];

interface TaggedReaderOptions {
  /** Absent: no thought is looked for. */
  readonly tags?: ThoughtTags;
  /** The prompt ends inside a thought. */
  readonly opensThought: boolean;
  /** None: no calls are looked for. */
  readonly tools: readonly Tool[];
  /** To be left out. */
  readonly responseTags: readonly string[];
}

export class TaggedReader implements ReplyReader {
  readonly #thought: ThoughtSplitter | undefined;
  readonly #calls: CallParser | undefined;
  readonly #clean: TagRemover;

  constructor({ tags, opensThought, tools, responseTags }: TaggedReaderOptions) {
    this.#clean = new TagRemover(responseTags);
    if (tags !== undefined) this.#thought = new ThoughtSplitter(tags, opensThought);
    if (tools.length > 0) this.#calls = new CallParser(tools);
  }

  get inText(): boolean {
    return this.#thought?.inText ?? true;
  }

  push(piece: string): Said {
    const split = this.#thought?.push(piece) ?? { thinking: "", text: piece };
    return this.#said(split.thinking, this.#clean.push(split.text));
  }

  end(cut: boolean): Said {
    const split = this.#thought?.end() ?? { thinking: "", text: "" };
    const said = this.#said(split.thinking, this.#clean.push(split.text) + this.#clean.end());
    const last = this.#calls?.end(cut);
    if (last !== undefined) said.add(last);
    return said;
  }

  #said(thinking: string, text: string): MutableSaid {
    const said = new MutableSaid();
    said.thinking = thinking;
    if (this.#calls === undefined) said.say(text);
    else said.add(this.#calls.push(text));
    return said;
  }
}

/** Leaves tags out of a text that comes in pieces. */
class TagRemover {
  readonly #tags: readonly string[];
  #held = "";

  constructor(tags: readonly string[]) {
    this.#tags = tags;
  }

  push(piece: string): string {
    let text = this.#held + piece;
    for (const tag of this.#tags) text = text.replaceAll(tag, "");
    const keep = Math.max(0, ...this.#tags.map((tag) => partialSuffix(text, tag)));
    this.#held = text.slice(text.length - keep);
    return text.slice(0, text.length - keep);
  }

  end(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }
}
