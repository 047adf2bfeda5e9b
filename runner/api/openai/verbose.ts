/** `__verbose`, as llama-server answers it to `verbose: true`: what the model was given, for whoever looks for a template's fault. */
import type { Call, ReplyEvent, Service } from "../request.ts";
import type { LongWork } from "../../turns.ts";

/** Tokens between two places to yield. */
const STEP = 512;

/** The prompt as text, control tokens among it, and both counts of tokens. */
export async function wireVerbose(
  service: Service,
  { context, contextPrompt, usage }: Extract<ReplyEvent, { type: "done" }>,
  call: Call,
): Promise<Record<string, unknown>> {
  const tokens = context.slice(0, contextPrompt);
  return {
    prompt: await service.inTurns(textOf(service, tokens), call),
    tokens_evaluated: usage.promptTokens,
    tokens_predicted: usage.evalTokens,
  };
}

function* textOf(service: Service, tokens: readonly number[]): LongWork<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (const [at, token] of tokens.entries()) {
    text += decoder.decode(service.bytesOf(token), { stream: true });
    if (at % STEP === STEP - 1) yield;
  }
  return text + decoder.decode();
}
