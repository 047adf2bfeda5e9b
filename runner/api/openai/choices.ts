/**
 * Several replies to one request (`n`, or several prompts): made one after the other, so that they take the one slot that a
 * request takes. The prompt is evaluated once, since a slot keeps it.
 */
import type { Fields } from "../fields.ts";
import { collect } from "../inference.ts";
import type {
  Call,
  CollectedReply,
  InferenceRequest,
  ReplyEvent,
  Service,
  Usage,
} from "../request.ts";

/** OpenAI's own limit. */
const MAX_CHOICES = 128;

/** `n`, and `best_of`, which must not ask for replies that nobody sees. */
export function choiceCount(body: Fields): number {
  const n = body.integer("n", { min: 1, max: MAX_CHOICES }) ?? 1;
  const bestOf = body.raw("best_of");
  if (bestOf !== undefined && bestOf !== n) throw body.fail("best_of", "must be the same as n");
  return n;
}

/** Each request `n` times, with seeds of their own if the request names one. */
export function repeat(body: Fields, requests: readonly InferenceRequest[], n: number) {
  if (requests.length * n > MAX_CHOICES) {
    throw body.fail("prompt", `and n must ask for at most ${MAX_CHOICES} choices`);
  }
  return requests.flatMap((request) =>
    Array.from({ length: n }, (_, index): InferenceRequest => {
      const { options } = request;
      const { seed } = options.sampling;
      if (seed === undefined || index === 0) return request;
      return {
        ...request,
        options: { ...options, sampling: { ...options.sampling, seed: seed + index } },
      };
    })
  );
}

export interface ChoiceEvent {
  /** Of the choice. */
  readonly index: number;
  readonly event: ReplyEvent;
}

export async function* streamChoices(
  service: Service,
  requests: readonly InferenceRequest[],
  call: Call,
): AsyncGenerator<ChoiceEvent, void, void> {
  for (const [index, request] of requests.entries()) {
    for await (const event of service.infer(request, call)) yield { index, event };
  }
}

export async function collectChoices(
  service: Service,
  requests: readonly InferenceRequest[],
  call: Call,
): Promise<CollectedReply[]> {
  const replies: CollectedReply[] = [];
  for (const request of requests) replies.push(await collect(service.infer(request, call)));
  return replies;
}

/** The usage of all choices; a prompt that `n` choices share counts once. */
export function sumUsage(usages: readonly Usage[], n: number): Usage {
  const [first, ...rest] = usages;
  return rest.reduce((sum, one, index) => {
    const newPrompt = (index + 1) % n === 0;
    return {
      ...sum,
      promptTokens: sum.promptTokens + (newPrompt ? one.promptTokens : 0),
      cachedTokens: sum.cachedTokens + (newPrompt ? one.cachedTokens : 0),
      evalTokens: sum.evalTokens + one.evalTokens,
      thinkingTokens: sum.thinkingTokens + one.thinkingTokens,
    };
  }, first!);
}
