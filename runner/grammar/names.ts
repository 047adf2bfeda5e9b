/** Names that properties may have, as automata. */
import type { Work } from "../../src/budget.ts";
import type { Algebra } from "./algebra.ts";
import {
  ANYTHING,
  type Automaton,
  bothWork,
  type Budget,
  negationWork,
  NOTHING,
} from "./automaton.ts";
import { automatonWork, codes, either, type Regular, repeat } from "./regular.ts";
import { BITS, formula, type Literal } from "./terms.ts";
import { ANY_CODE, LAST_CODE } from "./code_set.ts";
import { wordsWork } from "./words.ts";

/** Names other than some, outside some patterns, that fit some schemas as texts. @throws {Pause} {@link Inexpressible} */
export function nameAutomaton(
  algebra: Algebra,
  o: {
    readonly except: readonly string[];
    readonly outside?: readonly Automaton[];
    readonly fits?: readonly Literal[];
  },
): Automaton {
  const { except, outside = [], fits = [] } = o;
  const texts = fits.length === 0 ? ANYTHING : textsOf(algebra, fits);
  if (except.length === 0 && outside.length === 0) return texts;
  return algebra.derived(
    `names ${JSON.stringify(except)}`,
    [texts, ...outside],
    () => namesWork(except, outside, texts, algebra.budget),
  );
}

function* namesWork(
  except: readonly string[],
  outside: readonly Automaton[],
  texts: Automaton,
  budget: Budget,
): Work<Automaton> {
  let names = except.length === 0
    ? ANYTHING
    : yield* negationWork(yield* wordsWork(except, budget));
  for (const pattern of outside) {
    names = yield* bothWork(names, yield* negationWork(pattern), budget);
  }
  return yield* bothWork(names, texts, budget);
}

/** The texts that fit schemas. */
function textsOf(algebra: Algebra, fits: readonly Literal[]): Automaton {
  const { budget } = algebra;
  const branches: Regular[] = [];
  for (const term of algebra.terms(formula(fits))) {
    if ((term.types & BITS.string) === 0) continue;
    if (term.values !== undefined) {
      const values = algebra.valuesOf(term).filter((value) => typeof value === "string");
      branches.push({ kind: "automaton", automaton: algebra.words(values) });
      continue;
    }
    const { automaton, least, most } = algebra.strings(term.string, true);
    branches.push(
      least === 0 && most === undefined
        ? { kind: "automaton", automaton }
        : repeat(codes(ANY_CODE), least, most),
    );
  }
  if (branches.length === 0) return NOTHING;
  const [first, ...more] = branches;
  if (first!.kind === "automaton" && more.length === 0) return first!.automaton;
  const from = branches.flatMap((one) => one.kind === "automaton" ? [one.automaton] : []);
  return algebra.derived(
    `texts ${fits.join()}`,
    from,
    () => automatonWork(either(...branches), budget),
  );
}

/** Names whose length, divided by `by`, leaves `rest`: apart from those with another rest. The length is counted in a circle. */
export function namesOfLength(algebra: Algebra, rest: number, by: number): Automaton {
  return algebra.derived(`length ${rest}/${by}`, [], () => lengthWork(rest, by));
}

// deno-lint-ignore require-yield -- it is small
function* lengthWork(rest: number, by: number): Work<Automaton> {
  const states = Array.from({ length: by }, (_, at) => ({
    accepts: at === rest,
    edges: [{ from: 0, to: LAST_CODE, target: (at + 1) % by }],
  }));
  return { states };
}
