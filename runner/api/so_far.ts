/** What a reply has cost while it is still written, for clients that want to see its speed. */
import type { PromptProgress } from "../engine/types.ts";
import type { Call, Usage } from "./request.ts";
import { elapsedNs, toNs } from "./timing.ts";

export class SoFar {
  readonly #call: Call;
  readonly #loadNs: number;
  readonly #promptTokens: number;
  readonly #begun = performance.now();
  #cached = 0;
  /** When the prompt was read, which its last step tells, or else the first token. */
  #read: number | undefined;

  constructor(o: { call: Call; loadNs: number; promptTokens: number }) {
    this.#call = o.call;
    this.#loadNs = o.loadNs;
    this.#promptTokens = o.promptTokens;
  }

  /** The prompt is read so far. @returns Milliseconds since the engine began. */
  prompt({ cached, processed, total }: PromptProgress): number {
    const now = performance.now();
    this.#cached = cached;
    if (processed >= total) this.#read ??= now;
    return now - this.#begun;
  }

  /** With so many tokens of the reply, of which some are a thought's. */
  usage(evalTokens: number, thinkingTokens: number): Usage {
    const now = performance.now();
    const read = this.#read ??= now;
    return {
      promptTokens: this.#promptTokens,
      cachedTokens: this.#cached,
      evalTokens,
      thinkingTokens,
      totalNs: elapsedNs(this.#call),
      loadNs: this.#loadNs,
      promptNs: toNs(read - this.#begun),
      evalNs: toNs(now - read),
    };
  }
}
