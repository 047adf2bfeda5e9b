/** A query and a document as one prompt, for a model that judges how well the second answers the first. */
import type { LongWork } from "../turns.ts";
import type { PromptPart } from "./types.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * The tokens of the pair: by the model's own template if it has one (`tokenizer.chat_template.rerank`), else as llama-server
 * puts two texts together. Text of control tokens in either stays text.
 * @param most Tokens that there is room for.
 * @returns undefined: there are more.
 */
export function* pairTokens(
  vocabulary: Vocabulary,
  { template, query, document, most }: {
    template: string | undefined;
    query: string;
    document: string;
    most: number;
  },
): LongWork<Int32Array | undefined> {
  const room = { bos: false, most };
  if (template !== undefined) {
    return yield* vocabulary.tokenizeInTurns(filledIn(template, { query, document }), room);
  }
  const first = yield* vocabulary.tokenizeInTurns([{ text: query, special: false }], room);
  const second = yield* vocabulary.tokenizeInTurns([{ text: document, special: false }], room);
  if (first === undefined || second === undefined) return undefined;
  const { begin, between, end } = vocabulary.pairMarks;
  const all = Int32Array.from([...begin, ...first, ...between, ...second, ...end]);
  return all.length > most ? undefined : all;
}

/** The template's text may be control tokens; what is put in may not. */
function filledIn(
  template: string,
  texts: { readonly query: string; readonly document: string },
): PromptPart[] {
  return template.split(/(\{query\}|\{document\})/).map((text) => {
    if (text === "{query}") return { text: texts.query, special: false };
    if (text === "{document}") return { text: texts.document, special: false };
    return { text, special: true };
  }).filter(({ text }) => text !== "");
}
