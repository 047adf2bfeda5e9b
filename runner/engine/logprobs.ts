/** Log probabilities of a whole vocabulary, from its logits. */

export interface RankedToken {
  readonly id: number;
  readonly logprob: number;
}

/**
 * Natural logarithms of the softmax: that of `token`, and the `count` greatest, best first.
 * Takes one pass and a logarithm; nothing of the vocabulary's size is allocated.
 */
export function rankLogprobs(
  logits: Float32Array,
  token: number,
  count: number,
): { logprob: number; top: RankedToken[] } {
  let max = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number;
    if (logit > max) max = logit;
  }
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp((logits[id] as number) - max);
  const norm = max + Math.log(sum);
  const best: { id: number; logit: number }[] = [];
  for (let id = 0; id < logits.length && count > 0; id++) {
    const logit = logits[id] as number;
    if (best.length === count && logit <= (best.at(-1)?.logit ?? -Infinity)) continue;
    let at = best.length;
    while (at > 0 && (best[at - 1]?.logit ?? 0) < logit) at--;
    best.splice(at, 0, { id, logit });
    if (best.length > count) best.pop();
  }
  return {
    logprob: (logits[token] ?? -Infinity) - norm,
    top: best.map(({ id, logit }) => ({ id, logprob: logit - norm })),
  };
}
