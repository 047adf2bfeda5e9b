/** `oneOf`: each branch without what another one permits as well. */
import { SecLlamaError } from "../../src/errors.ts";
import type { Algebra } from "./algebra.ts";
import { ANY_NUMBER } from "./number_text.ts";
import { refuse } from "./refusal.ts";
import type { SchemaNode } from "./schema_document.ts";
import {
  ANY_ARRAY,
  ANY_OBJECT,
  ANY_STRING,
  ANY_VALUE,
  BITS,
  type Literal,
  type Term,
  textOf,
} from "./terms.ts";
import { typeOf } from "./values.ts";

/** The values of a term that only lists some. */
function listed(term: Term): readonly unknown[] | undefined {
  const { values, types, number, string, array, object } = term;
  const plain = number === ANY_NUMBER && string === ANY_STRING && array === ANY_ARRAY &&
    object === ANY_OBJECT;
  return plain ? values?.filter((value) => (types & BITS[typeOf(value)]) !== 0) : undefined;
}

/** Terms that only list values, as one. */
export function joinValues(terms: readonly Term[]): readonly Term[] {
  const found = terms.map(listed);
  // Each once: references may lead to the same list in thousands of ways.
  const values = [...new Set(found.flatMap((list) => list ?? []))];
  const rest = terms.filter((_, at) => found[at] === undefined);
  return rest.length + 1 >= terms.length ? terms : [{ ...ANY_VALUE, values }, ...rest];
}

/** Each branch without those that a value could fit as well. */
export function exactlyOne(
  algebra: Algebra,
  node: SchemaNode,
  beside: readonly Term[],
  branches: readonly Literal[],
): readonly Term[] {
  const values = branches.map((branch) => algebra.expand(branch).map(listed));
  if (values.every((lists) => lists.every((list) => list !== undefined))) {
    return [{ ...ANY_VALUE, values: once(values.map((lists) => lists.flat())) }];
  }
  const own = branches.map((branch) =>
    algebra.multiply(beside, algebra.expand(branch), branch, "oneOf")
  );
  const others: Literal[][] = branches.map(() => []);
  own.forEach((terms, i) => {
    branches.slice(0, i).forEach((branch, j) => {
      const shared = algebra.multiply(terms, algebra.expand(branch), branch, "oneOf");
      if (!algebra.restricted && shared.every((term) => algebra.isEmptyTerm(term))) return;
      others[i]!.push(branch);
      others[j]!.push(branches[i]!);
    });
  });
  const alone = branches.flatMap((branch, at) => {
    try {
      return without(algebra, own[at]!, others[at]!, branch, MOST_EXACT / branches.length);
    } catch (error) {
      if (!(error instanceof SecLlamaError) || others[at]!.length === 0) throw error;
      const pair = `${branches.indexOf(others[at]![0]!)} as well as ${at}`;
      return refuse(
        "oneOf",
        node.pointer,
        `a value may fit ${pair}, and "exactly one" cannot be kept: ${error.message}`,
      );
    }
  });
  return joinValues(alone);
}

/** Values that are in one list only. */
function once(lists: readonly (readonly unknown[])[]): unknown[] {
  const counts = new Map<string, number>();
  for (const list of lists) {
    for (const text of new Set(list.map(textOf))) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return lists.flat().filter((value) => counts.get(textOf(value)) === 1);
}

/** Terms of all branches beyond which they are not kept apart in every way that there is. */
const MOST_EXACT = 300;

/** Terms of which no other branch holds. */
function without(
  algebra: Algebra,
  terms: readonly Term[],
  others: readonly Literal[],
  branch: Literal,
  most: number,
): readonly Term[] {
  let left = terms;
  for (const other of others) {
    const opposite = algebra.expand(other ^ 1);
    const more = left.length * opposite.length > most
      ? left.flatMap((term) => {
        // One way out of the other branch is enough: less is permitted then than could be.
        algebra.restrict();
        const ways = algebra.multiply([term], opposite, branch, "oneOf");
        return ways.filter((way) => !algebra.isEmptyTerm(way)).slice(0, 1);
      })
      : algebra.multiply(left, opposite, branch, "oneOf");
    left = more.filter((term) => !algebra.isEmptyTerm(term));
  }
  return left;
}
