/**
 * JSON schema to a GBNF grammar, so that a reply is JSON of the wanted shape. Every keyword of JSON Schema is kept, or the schema
 * is refused by that keyword and its place: docs/api.md has the table. What a grammar permits is never more than the
 * schema does, and sometimes less: properties come in the schema's order, and unless the schema speaks of others, only those that it names.
 *
 * Schemas come from strangers: everything that could make a grammar large or slow is counted.
 */
import { Algebra } from "./algebra.ts";
import { Budget } from "./automaton.ts";
import { Grammar, type Rule } from "./gbnf.ts";
import { naming, refuse } from "./refusal.ts";
import { SchemaDocument } from "./schema_document.ts";
import { SchemaRules } from "./schema_rules.ts";
import { formula } from "./terms.ts";

export { jsonGrammar } from "./json_rules.ts";

/** Steps of making automata, for one grammar. */
const MAX_STEPS = 1_500_000;

/** A grammar that schemas are parts of. */
export class ReplyGrammar extends Grammar {
  readonly #budget = new Budget(MAX_STEPS);

  /**
   * A rule for the JSON values that fit a schema.
   * @throws {SecLlamaError} `bad-request` naming the keyword, its place and the reason.
   */
  schema(schema: unknown): Rule {
    return naming("schema", "#", () => {
      const algebra = new Algebra(new SchemaDocument(schema), this.#budget);
      const make = (options: { guessTypes: boolean }) => {
        const rules = new SchemaRules(this, algebra, options);
        const root = this.of(rules.value(formula([algebra.literal(algebra.document.root)])));
        rules.finish();
        return root;
      };
      const root = make({ guessTypes: true });
      return this.permitsSomething(root) ? root : make({ guessTypes: false });
    });
  }

  /** @throws {SecLlamaError} `bad-request`: nothing fits, or it is too large. */
  text(root: Rule): string {
    return naming("schema", "#", () => this.write(root)) ??
      refuse("schema", "#", "it permits nothing, or nothing that comes to an end");
  }
}

/**
 * The grammar of JSON that fits a schema.
 * @throws {SecLlamaError} `bad-request` naming the keyword, its place and the reason.
 */
export function schemaGrammar(schema: unknown): string {
  const grammar = new ReplyGrammar();
  return grammar.text(grammar.schema(schema));
}
