/** What the engine's text means: thought, text or tool call. */
import type { Engine } from "../engine/types.ts";
import type { InferenceRequest, NamedToolCall, Think } from "./request.ts";
import { type Split, ThinkSplitter, type ThinkTags, thinkTags } from "./think.ts";
import { CONTROL_MARKERS, type Found, ToolCallParser } from "./tool_calls.ts";

export interface Parsed {
  readonly text: string;
  readonly thinking: string;
  readonly toolCalls: readonly NamedToolCall[];
}

export class ReplyParser {
  /** The tags a thought is between, if one is to be expected. */
  readonly tags: ThinkTags | undefined;
  /** The prompt ends inside a thought. */
  readonly opensThought: boolean = false;
  readonly #think: ThinkSplitter | undefined;
  /** Some models think whatever they are told; whoever asked for no thought is not shown it. */
  readonly #hidden: boolean = false;
  readonly #tools: ToolCallParser | undefined;
  /** Control tokens that open something here: the engine gives them no text. */
  readonly #markers = new Map<number, string>();
  #calls = 0;
  readonly #oneCall: boolean = false;
  #thinkingTokens = 0;

  constructor(
    engine: Engine,
    request: InferenceRequest,
    o: { think: Think | undefined; promptTail: string; template: string | undefined },
  ) {
    const { prompt } = request;
    const markers: string[] = [];
    if (o.think !== undefined && prompt.kind !== "raw") {
      const tags = thinkTags(o.template);
      this.opensThought = o.promptTail.trimEnd().endsWith(tags.open);
      if (o.think !== false || this.opensThought) this.tags = tags;
      this.#hidden = o.think === false;
      this.#think = new ThinkSplitter(tags, this.opensThought);
      markers.push(tags.open, tags.close);
    }
    if (prompt.kind === "chat" && prompt.tools.length > 0) {
      this.#oneCall = prompt.oneCall ?? false;
      this.#tools = new ToolCallParser(prompt.tools.map((tool) => tool.name));
      markers.push(...CONTROL_MARKERS);
    }
    for (const marker of markers) {
      const tokens = engine.tokenize(marker, { special: true });
      if (tokens.length === 1) this.#markers.set(tokens[0]!, marker);
    }
  }

  /** Tokens of the thought, its tags included. */
  get thinkingTokens(): number {
    return this.#thinkingTokens;
  }

  get calledTools(): boolean {
    return this.#calls > 0;
  }

  push(token: { readonly id: number; readonly text: string }): Parsed {
    const text = token.text === "" ? this.#markers.get(token.id) ?? "" : token.text;
    const split: Split = this.#think?.push(text) ?? { thinking: "", text };
    if (this.#think !== undefined && !this.#think.inText) this.#thinkingTokens++;
    return this.#parsed(split, this.#tools?.push(split.text));
  }

  /** What was held back. @param cut The reply was not over. */
  end(cut: boolean): Parsed {
    const split: Split = this.#think?.end() ?? { thinking: "", text: "" };
    const found = this.#tools?.push(split.text);
    const last = this.#tools?.end(cut);
    return this.#parsed(
      split,
      found && last && { text: found.text + last.text, calls: [...found.calls, ...last.calls] },
    );
  }

  #parsed(split: Split, found: Found | undefined): Parsed {
    const thinking = this.#hidden ? "" : split.thinking;
    if (found === undefined) return { text: split.text, thinking, toolCalls: [] };
    const room = this.#oneCall ? Math.max(1 - this.#calls, 0) : Infinity;
    const taken = found.calls.slice(0, room);
    this.#calls += taken.length;
    const toolCalls = taken.map((call) => ({ ...call, id: newId("call_") }));
    return { thinking, text: found.text, toolCalls };
  }
}

/** `prefix` and 24 random hexadecimal digits. */
export function newId(prefix: string): string {
  return prefix + crypto.getRandomValues(new Uint8Array(12)).toHex();
}
