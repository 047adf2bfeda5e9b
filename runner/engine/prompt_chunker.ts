/**
 * How many prompt tokens a step may take, from how long steps took. Limits are powers of two, so that the same machine and
 * model split a prompt the same way each time.
 */

/**
 * Tunables, in milliseconds. What waits meanwhile: a token of those that generate, or a request's first look at its slot. Who
 * leaves breaks the step off.
 */
const STEP_GOAL_MS = 2000;
const STEP_GOAL_WHILE_DECODING_MS = 250;
/**
 * llama.cpp's flash attention on processors works in tiles of 64 tokens of a sequence; fewer go one by one, and were seen to
 * take up to twenty times as long each.
 */
export const SHORT_PROMPT_TOKENS = 64;
/** Batches smaller than this say little about the speed of prompts. */
const MEASURABLE_TOKENS = 16;
const SMOOTHING = 0.3;

export class PromptChunker {
  readonly #batchSize: number;
  #promptTokenMs = 0;

  constructor(batchSize: number) {
    this.#batchSize = batchSize;
  }

  /** Notes how long a step took. */
  record(step: { promptTokens: number; decodeTokens: number; ms: number }): void {
    if (step.promptTokens >= MEASURABLE_TOKENS) {
      const ms = step.ms / (step.promptTokens + step.decodeTokens);
      this.#promptTokenMs = smooth(this.#promptTokenMs, ms);
    }
  }

  /** Prompt tokens that the next step may take. */
  promptLimit(whileDecoding: boolean): number {
    if (this.#promptTokenMs === 0) return Math.min(this.#batchSize, 128);
    const goal = whileDecoding ? STEP_GOAL_WHILE_DECODING_MS : STEP_GOAL_MS;
    const fitting = Math.max(SHORT_PROMPT_TOKENS, goal / this.#promptTokenMs);
    return Math.min(this.#batchSize, 2 ** Math.floor(Math.log2(fitting)));
  }
}

/** Tokens of a prompt to take at once: never so that a short rest is left, if the rest fits as well. */
export function promptChunk(left: number, limit: number, capacity: number): number {
  const all = left < limit + SHORT_PROMPT_TOKENS ? left : limit;
  return Math.min(all, capacity);
}

function smooth(before: number, now: number): number {
  return before === 0 ? now : before + SMOOTHING * (now - before);
}
