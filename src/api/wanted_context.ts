/**
 * How much context a request needs, as far as its sender can tell. The gateway decides on memory and cannot read a sealed
 * request: the client tells it with its key request, in powers of two, which is no more than the request's size shows.
 */
import { ROUTES } from "./routes.ts";

/** No model has more. */
const MAX_TOKENS = 2 ** 24;
/** Less is there in any case, where the model has it. */
const UNASKED_TOKENS = 4096;
/** Text has some four characters a token; code and JSON fewer. */
const UNITS_PER_TOKEN = 3;
/** Tokens left for a reply. */
const REPLY_TOKENS = 2048;
/** A longer text without a space is a picture or a file, not words. */
const WORD_UNITS = 4096;

/** What a conversation is made of; the fields of all dialects. */
const PROMPT_FIELDS = ["messages", "prompt", "system", "input", "instructions", "tools"];

const CONVERSATIONS: ReadonlySet<string> = new Set(
  [
    ROUTES.chat,
    ROUTES.generate,
    ROUTES.openaiChat,
    ROUTES.openaiCompletions,
    ROUTES.openaiResponses,
    ROUTES.anthropicMessages,
  ].map(({ path }) => path),
);

/**
 * Tokens of context that a request asks for, rounded up to a power of two: its `num_ctx`, else what a long conversation takes
 * by its length. undefined: the usual is enough.
 */
export function wantedContext(
  path: string,
  body: Readonly<Record<string, unknown>>,
): number | undefined {
  const { options } = body;
  const asked = typeof options === "object" && options !== null
    ? (options as Record<string, unknown>)["num_ctx"]
    : undefined;
  if (typeof asked === "number" && Number.isInteger(asked) && asked > 0) return step(asked);
  if (!CONVERSATIONS.has(path)) return undefined;
  let units = 0;
  for (const field of PROMPT_FIELDS) units += textUnits(body[field]);
  const tokens = Math.ceil(units / UNITS_PER_TOKEN) + REPLY_TOKENS;
  return tokens > UNASKED_TOKENS ? step(tokens) : undefined;
}

/** Whether it is what {@link wantedContext} may say, in decimal. */
export function parseWantedContext(text: string): number | undefined {
  if (!/^\d{1,8}$/.test(text)) return undefined;
  const tokens = Number(text);
  return tokens > 0 && tokens <= MAX_TOKENS && step(tokens) === tokens ? tokens : undefined;
}

function step(tokens: number): number {
  return Math.min(MAX_TOKENS, 2 ** Math.ceil(Math.log2(tokens)));
}

/** UTF-16 units of all texts in a value, without those that are no words. As deep as it goes, without recursion. */
function textUnits(value: unknown): number {
  let units = 0;
  const left = [value];
  while (left.length > 0) {
    const next = left.pop();
    if (typeof next === "string") {
      if (next.length <= WORD_UNITS || /\s/.test(next.slice(0, WORD_UNITS))) units += next.length;
    } else if (Array.isArray(next)) {
      for (const one of next) left.push(one);
    } else if (typeof next === "object" && next !== null) {
      for (const [key, one] of Object.entries(next)) {
        units += key.length;
        left.push(one);
      }
    }
  }
  return units;
}
