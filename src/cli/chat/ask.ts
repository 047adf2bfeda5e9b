/** One question to `/api/chat`, and its answer as it comes. */
import { readError } from "../../api/errors.ts";
import { readIgnored } from "../../api/ignored.ts";
import { ROUTES } from "../../api/routes.ts";
import { askLocalProxy, type LocalProxy } from "../../app/local_proxy.ts";
import { SecLlamaError } from "../../errors.ts";
import type { ChatBody } from "./session.ts";

/**
 * Posts JSON to the API of the proxy, or to a gateway, sealed; without a body, gets what a path of metadata has. Throws if nothing
 * that is ours answers.
 */
export type Post = (
  path: string,
  body: string | undefined,
  signal: AbortSignal,
) => Promise<Response>;

/** To the proxy of this machine. */
export function postToProxy(proxy: LocalProxy): Post {
  return (path, body, signal) =>
    askLocalProxy(proxy, {
      method: body === undefined ? "GET" : "POST",
      path,
      ...(body === undefined ? {} : { body }),
      signal,
    });
}

/** The last line of an answer: counts, and times in nanoseconds, as Ollama's API has them. */
export interface Totals {
  readonly total_duration?: number;
  readonly load_duration?: number;
  readonly prompt_eval_count?: number;
  readonly prompt_eval_duration?: number;
  readonly eval_count?: number;
  readonly eval_duration?: number;
  readonly done_reason?: string;
}

export type Piece =
  /** Fields of the request that had no effect. */
  | { readonly kind: "ignored"; readonly fields: readonly string[] }
  | { readonly kind: "thinking" | "content"; readonly text: string }
  | { readonly kind: "done"; readonly totals: Totals };

/**
 * Asks and yields the answer piece by piece.
 * @throws {SecLlamaError} What `post` throws; the API's refusal with its text; `truncated` for an answer without an end.
 */
export async function* ask(post: Post, body: ChatBody, signal: AbortSignal): AsyncGenerator<Piece> {
  const response = await post(ROUTES.chat.path, JSON.stringify({ ...body, stream: true }), signal);
  if (!response.ok) throw await readError(response);
  const fields = readIgnored(response.headers);
  if (fields.length > 0) yield { kind: "ignored", fields };
  let ended = false;
  for await (const line of lines(response.body!)) {
    const event = JSON.parse(line);
    if (typeof event.error === "string") {
      // As of an answer that is none: the code, the text and the hint, bounded.
      throw await readError(Response.json(event, { status: 502 }));
    }
    const { thinking, content } = event.message ?? {};
    if (typeof thinking === "string" && thinking !== "") yield { kind: "thinking", text: thinking };
    if (typeof content === "string" && content !== "") yield { kind: "content", text: content };
    if (event.done === true) {
      ended = true;
      yield { kind: "done", totals: event };
    }
  }
  if (!ended) throw new SecLlamaError("truncated", "the answer ended before its end");
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (
    const part of body.pipeThrough(
      new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>,
    )
  ) {
    const pieces = (rest + part).split("\n");
    rest = pieces.pop()!;
    for (const piece of pieces) if (piece !== "") yield piece;
  }
  if (rest !== "") yield rest;
}
