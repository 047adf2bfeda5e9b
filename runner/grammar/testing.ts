/** What the tests of this folder share. */
import { runAtOnce } from "../../src/budget.ts";
import { ReplyGrammar } from "./schema_grammar.ts";

/**
 * The grammar of JSON that fits a schema, made at once.
 * @throws {SecLlamaError} `bad-request` naming the keyword, its place and the reason.
 */
export function schemaGrammar(schema: unknown): string {
  const grammar = new ReplyGrammar();
  return runAtOnce(grammar.text(runAtOnce(grammar.schema(schema))));
}
