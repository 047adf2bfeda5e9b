/**
 * How many tokens of context a model is loaded with. The operator's `--context-length` is the limit and the default at once.
 * Without it: the Modelfile's `num_ctx`, else what agents need where the model and the memory allow it, and more where the
 * memory is large. A client may ask for more with its key request, in powers of two, and gets what there is beside the models
 * that others use.
 */
import { estimateMemory, type MemoryShape } from "./memory.ts";

/** What a coding agent's first request takes, with room for a conversation. */
const USUAL_TOKENS = 32_768;
/** Less than this is given only where it was asked for, or the model has no more. */
const LEAST_TOKENS = 4096;
/** Of the memory there is, what a model may take whose context grows unasked. */
const UNASKED_SHARE = 0.25;
/** The slots' own contexts are joined into one pool beyond this. */
const POOL_TOKENS = 32_768;

/** What the choice depends on. */
export interface ContextWish {
  /** Tokens the model was trained with. */
  readonly trained: number;
  /** `--context-length`; 0: none. */
  readonly configured: number;
  /** `num_ctx` of the model's Modelfile, whatever it is. */
  readonly modelfile: unknown;
  /** What the client asked for; absent: nothing. */
  readonly asked?: number | undefined;
  /** The model only makes embeddings: its texts are short, and its context is worked on whole. */
  readonly embeds: boolean;
  readonly slots: number;
  readonly shape: Omit<MemoryShape, "cacheCells">;
  /** Bytes that the model may take. */
  readonly budgetBytes: number;
  /** Bytes that it may take for what was asked for: others' models are not to go for a wish. Default: `budgetBytes`. */
  readonly wishBytes?: number;
}

interface ContextSize {
  /** Tokens of one sequence. */
  readonly contextLength: number;
  /** Tokens that the cache holds, of all slots together. */
  readonly cacheCells: number;
}

/**
 * Tokens of one sequence's context, and of all slots' together: each its own while they are small and the memory is there, but
 * one whole context at least. What is asked for beyond the memory is halved until it fits; what the operator or the Modelfile
 * set is not made less: whoever set it is told that there is no room.
 */
export function chooseContext(wish: ContextWish): ContextSize {
  const { trained, configured, modelfile, slots } = wish;
  const limit = configured > 0 ? Math.min(trained, configured) : trained;
  const set = configured > 0
    ? limit
    : typeof modelfile === "number" && modelfile >= 1
    ? Math.min(limit, Math.floor(modelfile))
    : undefined;
  const needs = (cacheCells: number) => estimateMemory({ ...wish.shape, cacheCells });
  // What only embeds works on its whole context at once: memory that the estimate has for one batch only.
  const asked = wish.embeds ? 0 : Math.min(limit, wish.asked ?? 0);
  const own = set ?? (wish.embeds ? Math.min(limit, LEAST_TOKENS) : unasked(limit, wish, needs));
  const least = set ?? Math.min(limit, LEAST_TOKENS);
  let tokens = Math.max(own, asked);
  const wishBytes = Math.min(wish.wishBytes ?? Infinity, wish.budgetBytes);
  while (tokens > own && needs(tokens) > wishBytes) {
    tokens = Math.max(own, powerOfTwoBelow(tokens));
  }
  const budgetBytes = tokens > own ? wishBytes : wish.budgetBytes;
  while (tokens > least && needs(tokens) > budgetBytes) {
    tokens = Math.max(least, powerOfTwoBelow(tokens));
  }
  let cells = Math.max(tokens, Math.min(slots * tokens, POOL_TOKENS));
  while (cells > tokens && needs(cells) > budgetBytes) {
    cells = Math.max(tokens, powerOfTwoBelow(cells));
  }
  return { contextLength: tokens, cacheCells: cells };
}

function unasked(
  limit: number,
  { budgetBytes, shape }: ContextWish,
  needs: (tokens: number) => number,
): number {
  let tokens = Math.min(limit, USUAL_TOKENS);
  // Where neither the memory nor what a token takes is known, nothing says that more would fit.
  if (!Number.isFinite(budgetBytes) || shape.kvBytesPerToken === 0) return tokens;
  while (tokens < limit) {
    const more = Math.min(limit, 2 * tokens);
    if (needs(more) > budgetBytes * UNASKED_SHARE) break;
    tokens = more;
  }
  return tokens;
}

/** The largest power of two that is less. */
function powerOfTwoBelow(tokens: number): number {
  return 2 ** (Math.ceil(Math.log2(tokens)) - 1);
}
