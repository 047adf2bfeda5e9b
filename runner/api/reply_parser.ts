/** What the engine's text means: thought, text or tool call. */
import type { CallDelta } from "../../src/replies/draft.ts";
import { readerFor } from "../../src/replies/formats.ts";
import type { ReplyReader, Said } from "../../src/replies/reader.ts";
import type { ThoughtTags } from "../../src/replies/thought.ts";
import type { Engine } from "../engine/types.ts";
import type { InferenceRequest, NamedToolCall, Think, ToolCallDelta } from "./request.ts";

/** A step of the reply: thought before text, text before calls. */
interface Parsed {
  readonly text: string;
  readonly thinking: string;
  readonly toolCalls: readonly NamedToolCall[];
  readonly toolDeltas: readonly ToolCallDelta[];
}

const NOTHING: Parsed = { text: "", thinking: "", toolCalls: [], toolDeltas: [] };

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
  /** Of the call that is written now. */
  #id: string | undefined;
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

  /** What is certain by now, in order; at least one step. */
  push(token: { readonly id: number; readonly text: string }): Parsed[] {
    const text = token.text === "" ? this.#markers.get(token.id) ?? "" : token.text;
    if (this.#reader === undefined) return [{ ...NOTHING, text }];
    const said = this.#reader.push(text);
    if (!this.#reader.inText) this.#thinkingTokens++;
    return this.#parsed(said);
  }

  /** What was held back. @param cut The reply ended for want of room: a call that was begun stays one. */
  end(cut: boolean): Parsed[] {
    return this.#reader === undefined ? [] : this.#parsed(this.#reader.end(cut));
  }

  #parsed({ thinking, parts }: Said): Parsed[] {
    let step = {
      thinking: this.#hidden ? "" : thinking,
      text: "",
      toolDeltas: [] as ToolCallDelta[],
    };
    const steps = [step];
    for (const part of parts) {
      if ("text" in part) {
        if (step.toolDeltas.length > 0) {
          step = { thinking: "", text: "", toolDeltas: [] };
          steps.push(step);
        }
        step.text += part.text;
      } else if (!this.#oneCall || part.delta.index === 0) {
        step.toolDeltas.push(this.#named(part.delta));
      }
    }
    return steps.map((one) => ({
      ...one,
      toolCalls: one.toolDeltas.flatMap(({ call }) => call ?? []),
    }));
  }

  #named({ name, json, call }: CallDelta): ToolCallDelta {
    const id = this.#id ??= newId("call_");
    if (call === undefined) return { id, name, json };
    this.#id = undefined;
    this.#calls++;
    return { id, name, json, call: { ...call, id } };
  }
}

/** `prefix` and 24 random hexadecimal digits. */
export function newId(prefix: string): string {
  return prefix + crypto.getRandomValues(new Uint8Array(12)).toHex();
}
