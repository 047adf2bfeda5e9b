/** Names that properties may have, as automata. */
import type { Algebra } from "./algebra.ts";
import { ANYTHING, type Automaton, both, negation, NOTHING, words } from "./automaton.ts";
import { automatonOf, codes, either, repeat } from "./regular.ts";
import { BITS, formula, type Literal } from "./terms.ts";
import { ANY_CODE, LAST_CODE } from "./code_set.ts";

/** Names other than some, outside some patterns, that fit some schemas as texts. */
export function nameAutomaton(
  algebra: Algebra,
  o: {
    readonly except: readonly string[];
    readonly outside?: readonly Automaton[];
    readonly fits?: readonly Literal[];
  },
): Automaton {
  const { budget } = algebra;
  let names = o.except.length === 0 ? ANYTHING : negation(words(o.except, budget));
  for (const pattern of o.outside ?? []) names = both(names, negation(pattern), budget);
  if (o.fits === undefined || o.fits.length === 0) return names;
  return both(names, textsOf(algebra, o.fits), budget);
}

/** The texts that fit schemas. */
function textsOf(algebra: Algebra, fits: readonly Literal[]): Automaton {
  const { budget } = algebra;
  const branches: Automaton[] = [];
  for (const term of algebra.terms(formula(fits))) {
    if ((term.types & BITS.string) === 0) continue;
    if (term.values !== undefined) {
      branches.push(
        words(algebra.valuesOf(term).filter((value) => typeof value === "string"), budget),
      );
      continue;
    }
    const { automaton, least, most } = algebra.strings(term.string);
    branches.push(
      least === 0 && most === undefined
        ? automaton
        : automatonOf(repeat(codes(ANY_CODE), least, most), budget),
    );
  }
  if (branches.length === 0) return NOTHING;
  return automatonOf(
    either(...branches.map((automaton) => ({ kind: "automaton", automaton } as const))),
    budget,
  );
}

/** Names whose length, divided by `by`, leaves `rest`: apart from those with another rest. The length is counted in a circle. */
export function namesOfLength(rest: number, by: number): Automaton {
  const states = Array.from({ length: by }, (_, at) => ({
    accepts: at === rest,
    edges: [{ from: 0, to: LAST_CODE, target: (at + 1) % by }],
  }));
  return { states };
}
