/** Ranks: how well each of some documents answers a query. */
import { SecLlamaError } from "../../src/errors.ts";
import type { Engine } from "../engine/types.ts";
import type { Turns } from "../turns.ts";
import { tooLong } from "./cut_prompt.ts";
import type { Call, RankReply, RankRequest } from "./request.ts";

/**
 * One score for each document, in their order. They are judged one after another, so that no more than one pair's tokens are
 * held.
 *
 * @throws {SecLlamaError} `bad-request`: the model does not rank; `context-too-long`: a document and the query have more tokens
 * than the context. Nothing is cut.
 */
export async function rank(
  { engine, turns }: { readonly engine: Engine; readonly turns: Turns },
  { model, query, documents }: RankRequest,
  call: Call,
): Promise<RankReply> {
  if (!engine.info.capabilities.includes("rerank")) {
    throw new SecLlamaError("bad-request", `"${model}" does not support reranking`, {
      hint: "rank by the embeddings of /v1/embeddings: the dot product of query and document",
    });
  }
  const most = engine.info.embedLength;
  const scores: number[] = [];
  let promptTokens = 0;
  try {
    for (const document of documents) {
      const tokens = await turns.run(pair(engine, { query, document, most }), call);
      promptTokens += tokens.length;
      scores.push(await engine.rank(tokens, { client: call.client, signal: call.signal }));
    }
  } finally {
    // Whoever leaves before the end has used them as well.
    if (promptTokens > 0) call.used?.({ prompt: promptTokens, reply: 0 });
  }
  return { scores, promptTokens };
}

function* pair(
  engine: Engine,
  { query, document, most }: { query: string; document: string; most: number },
) {
  const tokens = yield* engine.pairInTurns(query, document, { most });
  if (tokens !== undefined) return tokens;
  const parts = [query, document].map((text) => ({ text, special: false }));
  throw tooLong(yield* engine.countAbout(parts), most);
}
