/** Splitting a thinking model's reply into what it thought and what it says, token by token. */
import { partialSuffix } from "./partial_suffix.ts";

export interface ThoughtTags {
  readonly open: string;
  readonly close: string;
  /** What must come behind it, where that is not for the model to choose. */
  readonly next?: string;
  /** Opens a thought as well; and such a one may follow on another. */
  readonly bare?: string;
}

export const KNOWN_TAGS: readonly ThoughtTags[] = [
  { open: "<think>", close: "</think>" },
  { open: "[THINK]", close: "[/THINK]" },
  { open: "<seed:think>", close: "</seed:think>" },
  { open: "<thinking>", close: "</thinking>" },
  { open: "<thought>", close: "</thought>" },
  { open: "<|START_THINKING|>", close: "<|END_THINKING|>" },
  { open: "<|inner_prefix|>", close: "<|inner_suffix|>" },
  { open: "<|channel>thought\n", close: "<channel|>", bare: "<|channel>" },
  { open: "◁think▷", close: "◁/think▷" },
  { open: "Here is my thought process:", close: "Here is my response:" },
  { open: "Here are my reasoning steps:", close: "[BEGIN FINAL RESPONSE]" },
];

/** The tags a template writes, or tells the model to write; `undefined` if it names none. */
export function thoughtTagsOf(template: string | undefined): ThoughtTags | undefined {
  return KNOWN_TAGS.find((tags) => template?.includes(tags.close)) ??
    // A template that opens a thought leaves its end to the model.
    KNOWN_TAGS.find((tags) => template?.includes(tags.open)) ??
    writtenTags(template ?? "");
}

const GO_THOUGHT = /\}\}([^{}]*)\{\{-?\s*(?:\$\w*)?\.Thinking\s*-?\}\}([^{}]*)\{\{/;

/** The tags of nobody else's that a template in Ollama's language writes around a message's thought. */
function writtenTags(template: string): ThoughtTags | undefined {
  const [, before = "", behind = ""] = GO_THOUGHT.exec(template) ?? [];
  const open = before.trim().split("\n").at(-1)!.trim();
  const close = behind.trim().split("\n", 1)[0]!.trim();
  return open === "" || close === "" ? undefined : { open, close };
}

/** The same, `<think>` if it names none. */
export function thoughtTags(template: string | undefined): ThoughtTags {
  return thoughtTagsOf(template) ?? KNOWN_TAGS[0]!;
}

interface Split {
  readonly thinking: string;
  readonly text: string;
}

/**
 * Fed with text, gives back what is certain to be thought or text. Tags count only at the start of the reply: later
 * ones are text. White space around the tags is dropped.
 */
export class ThoughtSplitter {
  readonly #tags: ThoughtTags;
  #state: "start" | "thinking" | "after" | "text";
  #held = "";
  /** White space in front of what is held: looked at once, however long it gets. */
  #space = "";

  /** `open`: the prompt already ends with the opening tag. */
  constructor(tags: ThoughtTags, open: boolean) {
    this.#tags = tags;
    this.#state = open ? "thinking" : "start";
    this.#trimStart = open;
    this.#wasOpen = open;
  }

  /** Whether text (not thought) has begun. */
  get inText(): boolean {
    return this.#state === "text";
  }

  #trimStart: boolean;
  /** The prompt opened it, and the model has said nothing. */
  #wasOpen: boolean;

  push(piece: string): Split {
    this.#held += piece;
    let thinking = "";
    if (this.#state === "start") {
      const trimmed = this.#held.trimStart();
      this.#space += this.#held.slice(0, this.#held.length - trimmed.length);
      this.#held = trimmed;
      const opens = this.#opens(trimmed);
      if (opens === undefined) return { thinking: "", text: "" };
      if (!opens) {
        this.#held = this.#space + trimmed;
        this.#state = "text";
      }
      this.#space = "";
    }
    for (;;) {
      if (this.#state === "thinking") thinking += this.#takeThinking();
      if (this.#state !== "after") break;
      this.#held = this.#held.trimStart();
      if (this.#held === "") break;
      const opens = this.#tags.bare !== undefined && this.#opens(this.#held);
      if (opens === undefined) break;
      if (!opens) this.#state = "text";
    }
    if (this.#state !== "text") return { thinking, text: "" };
    const text = this.#held;
    this.#held = "";
    return { thinking, text };
  }

  /** What is still held when the reply ends. */
  end(): Split {
    const held = this.#space + this.#held;
    this.#held = this.#space = "";
    if (this.#state === "thinking") return { thinking: held.trimEnd(), text: "" };
    return { thinking: "", text: this.#state === "after" ? "" : held };
  }

  /** Whether a thought opens here; `undefined`: that cannot be told yet. */
  #opens(text: string): boolean | undefined {
    const { open, bare } = this.#tags;
    const tag = [open, bare].find((one) => one !== undefined && text.startsWith(one));
    if (text !== open && open.startsWith(text)) return undefined;
    if (tag === undefined) return false;
    this.#held = text.slice(tag.length);
    this.#state = "thinking";
    this.#trimStart = true;
    return true;
  }

  #takeThinking(): string {
    if (this.#trimStart) {
      this.#held = this.#held.trimStart();
      // The model repeats what the prompt ended with.
      if (this.#wasOpen && this.#held.startsWith(this.#tags.open)) {
        this.#held = this.#held.slice(this.#tags.open.length).trimStart();
        this.#wasOpen = false;
      }
      if (this.#held === "" || this.#wasOpen && this.#tags.open.startsWith(this.#held)) return "";
      this.#trimStart = false;
    }
    const close = this.#tags.close;
    const at = this.#held.indexOf(close);
    if (at >= 0) {
      const thinking = this.#behindSpace(this.#held.slice(0, at).trimEnd());
      this.#space = "";
      this.#held = this.#held.slice(at + close.length);
      this.#state = "after";
      return thinking;
    }
    // White space before the closing tag is held back with it.
    const kept = this.#held.length - partialSuffix(this.#held, close);
    const end = this.#held.slice(0, kept).trimEnd().length;
    const thinking = this.#behindSpace(this.#held.slice(0, end));
    this.#space += this.#held.slice(end, kept);
    this.#held = this.#held.slice(kept);
    return thinking;
  }

  /** What was thought, with the space in front of it that was held back. */
  #behindSpace(thinking: string): string {
    if (thinking === "") return "";
    const all = this.#space + thinking;
    this.#space = "";
    return all;
  }
}
