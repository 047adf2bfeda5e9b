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

/** How many choices are answered of how many that are made: `n` and `best_of`, of each prompt. */
interface ChoiceCount {
  readonly n: number;
  readonly made: number;
}

/**
 * `n`, and `best_of`.
 * @throws {SecLlamaError} `bad-request`: `best_of` under `n`, or above it in a stream, which cannot take back what it sent.
 */
export function choiceCount(body: Fields, stream: boolean): ChoiceCount {
  const n = body.integer("n", { min: 1, max: MAX_CHOICES }) ?? 1;
  const made = body.integer("best_of", { min: 1, max: MAX_CHOICES }) ?? n;
  if (made < n) throw body.fail("best_of", "must be at least n");
  if (stream && made > n) throw body.fail("best_of", "must be n in a stream", "unsupported");
  return { n, made };
}

/** Each request as often as it is made, with seeds of their own if the request names one. */
export function repeat(
  body: Fields,
  requests: readonly InferenceRequest[],
  { n, made }: ChoiceCount,
) {
  if (requests.length * made > MAX_CHOICES) {
    throw body.fail("prompt", `and n must ask for at most ${MAX_CHOICES} choices`);
  }
  return requests.flatMap((request) =>
    Array.from({ length: made }, (_, index): InferenceRequest => {
      const { options } = request;
      const { seed } = options.sampling;
      return {
        ...request,
        // The best are known by them.
        ...(made > n && request.logprobs === undefined ? { logprobs: 0 } : {}),
        ...(seed === undefined || index === 0 ? {} : {
          options: { ...options, sampling: { ...options.sampling, seed: seed + index } },
        }),
      };
    })
  );
}

/** Of each `made` replies the `n` whose tokens were the most probable on average, best first, as OpenAI has it. */
export function best(
  replies: readonly CollectedReply[],
  n: number,
  made: number,
): CollectedReply[] {
  if (made === n) return [...replies];
  const mean = ({ logprobs }: CollectedReply) =>
    logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / Math.max(logprobs.length, 1);
  return Array.from({ length: replies.length / made }, (_, prompt) => {
    const group = replies.slice(prompt * made, (prompt + 1) * made);
    return group.toSorted((a, b) => mean(b) - mean(a)).slice(0, n);
  }).flat();
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
      promptNs: sum.promptNs + one.promptNs,
      evalNs: sum.evalNs + one.evalNs,
      promptTokens: sum.promptTokens + (newPrompt ? one.promptTokens : 0),
      cachedTokens: sum.cachedTokens + (newPrompt ? one.cachedTokens : 0),
      evalTokens: sum.evalTokens + one.evalTokens,
      thinkingTokens: sum.thinkingTokens + one.thinkingTokens,
    };
  }, first!);
}
