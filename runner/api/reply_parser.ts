/** What the engine's text means: thought, text or tool call. */
import { readerFor } from "../../src/replies/formats.ts";
import type { ReplyReader, Said } from "../../src/replies/reader.ts";
import type { ThoughtTags } from "../../src/replies/thought.ts";
import type { Engine } from "../engine/types.ts";
import type { InferenceRequest, NamedToolCall, Think } from "./request.ts";

export interface Parsed {
  readonly text: string;
  readonly thinking: string;
  readonly toolCalls: readonly NamedToolCall[];
}

export class ReplyParser {
  /** The tags a thought is between, if one is to be expected. */
  readonly tags: ThoughtTags | undefined;
  /** The prompt ends inside a thought. */
  readonly opensThought: boolean = false;
  /** Absent: a raw reply, which is text whatever it holds. */
  readonly #reader: ReplyReader | undefined;
  /** Some models think whatever they are told; whoever asked for no thought is not shown it. */
  readonly #hidden: boolean = false;
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
    if (prompt.kind === "raw" || prompt.kind === "insert") return;
    const tools = prompt.kind === "chat" ? prompt.tools : [];
    this.#oneCall = prompt.kind === "chat" && (prompt.oneCall ?? false);
    const thought = o.think !== undefined;
    const { reader, markers, tags, opensThought } = readerFor({ ...o, thought, tools });
    this.#reader = reader;
    this.opensThought = opensThought;
    if (o.think !== false || opensThought) this.tags = tags;
    this.#hidden = o.think === false;
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
    if (this.#reader === undefined) return { text, thinking: "", toolCalls: [] };
    const said = this.#reader.push(text);
    if (!this.#reader.inText) this.#thinkingTokens++;
    return this.#parsed(said);
  }

  /** What was held back. @param cut The reply ended for want of room: a call that was begun stays one. */
  end(cut: boolean): Parsed {
    return this.#parsed(this.#reader?.end(cut) ?? { text: "", thinking: "", calls: [] });
  }

  #parsed({ text, thinking, calls }: Said): Parsed {
    const room = this.#oneCall ? Math.max(1 - this.#calls, 0) : Infinity;
    const taken = calls.slice(0, room);
    this.#calls += taken.length;
    const toolCalls = taken.map((call) => ({ ...call, id: newId("call_") }));
    return { thinking: this.#hidden ? "" : thinking, text, toolCalls };
  }
}

/** `prefix` and 24 random hexadecimal digits. */
export function newId(prefix: string): string {
  return prefix + crypto.getRandomValues(new Uint8Array(12)).toHex();
}
