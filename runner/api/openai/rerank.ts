/**
 * POST /v1/rerank: documents in the order in which they answer a query. The request and the answer are Jina's (`documents`,
 * which Cohere and vLLM share) or those of Hugging Face's TEI (`texts`), as llama-server tells them apart.
 */
import type { Handler } from "../app.ts";
import type { Fields } from "../fields.ts";

const MAX_DOCUMENTS = 2048;
const INT32_MAX = 2 ** 31 - 1;

export const openaiRerank: Handler = async (service, body, call) => {
  const model = service.checkModel(body.string("model"));
  const query = body.requiredString("query").toWellFormed();
  const isTei = !body.has("documents") && body.has("texts");
  const documents = documentsOf(body, isTei ? "texts" : "documents");
  const count = body.integer("top_n", { min: 1, max: INT32_MAX }) ?? documents.length;
  const wantsText = body.boolean(isTei ? "return_text" : "return_documents") ?? false;
  const { scores, promptTokens } = await service.rank({ model, query, documents }, call);
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, count);
  if (isTei) {
    return await service.json(
      order.map((index) => ({
        index,
        score: scores[index],
        ...(wantsText ? { text: documents[index] } : {}),
      })),
      call,
    );
  }
  return await service.json({
    model,
    object: "list",
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
    results: order.map((index) => ({
      index,
      relevance_score: scores[index],
      ...(wantsText ? { document: { text: documents[index] } } : {}),
    })),
  }, call);
};

function documentsOf(body: Fields, name: string): string[] {
  const given = body.array(name, MAX_DOCUMENTS);
  if (given === undefined) throw body.missing(name);
  if (given.length === 0) throw body.fail(name, "must not be empty", "empty-array");
  return given.map((one, index) => {
    const text = typeof one === "string" ? one : Object(one).text;
    if (typeof text === "string") return text.toWellFormed();
    throw body.fail(`${name}[${index}]`, "must be a text, or an object with one", "type");
  });
}
