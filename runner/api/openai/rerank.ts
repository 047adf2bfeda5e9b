/** POST /v1/rerank, as Jina, Cohere and llama-server have it: documents in the order in which they answer a query. */
import { SecLlamaError } from "../../../src/errors.ts";
import type { Handler } from "../app.ts";
import type { Fields } from "../fields.ts";

const MAX_DOCUMENTS = 2048;
const INT32_MAX = 2 ** 31 - 1;

/**
 * The request is judged as one that is served, so that what is wrong with it is said; then the answer is that no model here
 * can: a reranker's last layer is none that the engine reads.
 */
export const openaiRerank: Handler = (service, body) => {
  const model = service.checkModel(body.string("model"));
  body.requiredString("query");
  const documents = body.array("documents", MAX_DOCUMENTS) ?? body.array("texts", MAX_DOCUMENTS);
  if (documents === undefined) throw body.missing("documents");
  if (documents.length === 0) throw body.fail("documents", "must not be empty", "empty-array");
  documents.forEach((document, index) => checkDocument(body, document, index));
  body.integer("top_n", { min: 1, max: INT32_MAX });
  body.boolean("return_documents");
  throw new SecLlamaError("not-supported", `"${model}" does not support reranking`, {
    hint: "rank by the embeddings of /v1/embeddings: the dot product of query and document",
  });
};

function checkDocument(body: Fields, document: unknown, index: number): void {
  if (typeof document === "string") return;
  if (typeof Object(document).text === "string") return;
  throw body.fail(`documents[${index}]`, "must be a text, or an object with one", "type");
}
