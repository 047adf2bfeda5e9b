/**
 * JSON schema to a GBNF grammar, so that a reply is JSON of the wanted shape. Every keyword of JSON Schema is kept, or the schema
 * is refused by that keyword and its place: docs/api.md has the table. What a grammar permits is never more than the
 * schema does, and sometimes less: properties come in the schema's order, and unless the schema speaks of others, only those that it names.
 *
 * Schemas come from strangers: everything that could make a grammar large or slow is counted.
 */
import type { Work } from "../../src/budget.ts";
import { Algebra } from "./algebra.ts";
import { Budget } from "./automaton.ts";
import { Grammar, type Rule } from "./gbnf.ts";
import { JSON_NOTATION } from "./notation.ts";
import { naming, refuse } from "./refusal.ts";
import { all, ANY_TEXT, automatonOf, codes, not, plain, sequence } from "./regular.ts";
import { ANY_CODE } from "./code_set.ts";
import { checkLength, SchemaDocument } from "./schema_document.ts";
import { SchemaRules } from "./schema_rules.ts";
import { formula } from "./terms.ts";
import { textRule } from "./text_rules.ts";

/** Steps of making automata, for one grammar: about a second. */
const MAX_STEPS = 1_500_000;

/** A grammar that schemas are parts of. */
export class ReplyGrammar extends Grammar {
  readonly #budget = new Budget(MAX_STEPS);

  /**
   * A rule for the JSON values that fit a schema.
   * @param also A second schema that they fit, without references.
   * @param notation How the values are written.
   * @throws {SecLlamaError} `bad-request` naming the keyword, its place and the reason.
   */
  *schema(schema: unknown, also: unknown = true, notation = JSON_NOTATION): Work<Rule> {
    yield* checkLength(schema);
    const algebra = naming(
      "schema",
      "#",
      () => new Algebra(new SchemaDocument(schema, this.#budget), this.#budget),
    );
    const { document } = algebra;
    const both = [document.root, document.node(also, "#", "")];
    const wanted = formula(both.map((node) => algebra.literal(node)));
    for (const guessTypes of [true, false]) {
      const rules = new SchemaRules(this, algebra, { guessTypes }, notation);
      const root = naming("schema", "#", () => this.of(rules.value(wanted)));
      yield* rules.finish();
      if (yield* this.permitsSomething(root)) return root;
    }
    return refuse("schema", "#", "it permits nothing, or nothing that comes to an end");
  }

  /** Any text, not of JSON, that `tag` does not occur in. @param tag Not empty. */
  without(tag: string): Rule {
    const has = sequence(ANY_TEXT, plain(tag), ANY_TEXT);
    return textRule(this, automatonOf(not(has), this.#budget), "plain", this.#budget);
  }

  /** Any text up to the first `tag`, and that. */
  upTo(tag: string): Rule {
    const ends = sequence(ANY_TEXT, plain(tag));
    const before = sequence(ANY_TEXT, plain(tag), codes(ANY_CODE), ANY_TEXT);
    return textRule(this, automatonOf(all(ends, not(before)), this.#budget), "plain", this.#budget);
  }

  /** @throws {SecLlamaError} `bad-request`: it is too large. */
  *text(root: Rule): Work<string> {
    let text: string | undefined;
    try {
      text = yield* this.write(root);
    } catch (error) {
      // Says where it is, in the same words.
      naming("schema", "#", () => {
        throw error;
      });
    }
    return text ?? refuse("schema", "#", "it permits nothing, or nothing that comes to an end");
  }
}
