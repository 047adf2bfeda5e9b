/**
 * What a stranger's grammar may cost. llama.cpp follows every way of reading the text at once, each with a stack of its own, at
 * every token of the reply. It is taken if there are few such ways for certain: it has no recursion and is small when written
 * out, or the next character alone always decides (LL(1), Aho et al., Compilers, section 4.4.3).
 */
import { type CodeSet, intersect, minus, union } from "./code_set.ts";
import type { Grammar, Term } from "./gbnf_reader.ts";
import { Inexpressible } from "./refusal.ts";

/** Characters of a grammar that is written out. */
const MAX_WRITTEN_OUT = 2000;
/** Terms of a grammar; and how often they, and ranges of characters, may be looked at: some hundredths of a second. */
const MAX_TERMS = 4000;
const MAX_STEPS = 150_000;

interface First {
  readonly ranges: CodeSet;
  readonly nullable: boolean;
}

/** @throws {Inexpressible} why it cannot be taken. */
export function checkCost(grammar: Grammar): void {
  new Cost(grammar).check();
}

class Cost {
  readonly #grammar: Grammar;
  readonly #nullable = new Set<string>();
  readonly #first = new Map<string, CodeSet>();
  readonly #follow = new Map<string, CodeSet>();
  #steps = 0;

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
  }

  check(): void {
    if (!this.#grammar.has("root")) throw new Inexpressible("it has no rule root");
    let terms = 0;
    for (const branches of this.#grammar.values()) {
      for (const term of walk(branches)) {
        if (++terms > MAX_TERMS) throw new Inexpressible("it is too large");
        if (term.kind === "rule" && !this.#grammar.has(term.name)) {
          throw new Inexpressible(`the rule ${term.name} is not there`);
        }
      }
    }
    this.#solve();
    for (const [name, branches] of this.#grammar) {
      if (this.#first.get(name)!.length === 0 && !this.#nullable.has(name)) {
        throw new Inexpressible(`the rule ${name} permits nothing, or begins with itself`);
      }
      for (const term of walk(branches)) {
        if (term.kind === "repeat" && this.#firstOf(term.item).nullable) {
          throw undecided(name, undefined);
        }
      }
    }
    if ((this.#writtenOut("root", [], new Map()) ?? Infinity) <= MAX_WRITTEN_OUT) return;
    for (const [name, branches] of this.#grammar) {
      this.#decide(name, branches, this.#follow.get(name)!);
    }
  }

  /** How many characters a rule has with all others written into it; `undefined`: it is recursive. */
  #writtenOut(
    name: string,
    inside: readonly string[],
    known: Map<string, number>,
  ): number | undefined {
    if (inside.includes(name) || inside.length > 100) return undefined;
    const size = known.get(name);
    if (size !== undefined) return size;
    const sizeOf = (branches: readonly (readonly Term[])[]): number | undefined => {
      let sum = 0;
      for (const term of branches.flat()) {
        const one = term.kind === "codes"
          ? 1
          : term.kind === "rule"
          ? this.#writtenOut(term.name, [...inside, name], known)
          : term.kind === "either"
          ? sizeOf(term.branches)
          : sizeOf([[term.item]]);
        if (one === undefined) return undefined;
        sum += term.kind === "repeat"
          ? (one + 1) * Math.max(term.most ?? term.least + 1, 1)
          : one + 1;
        if (sum > MAX_WRITTEN_OUT) return Infinity;
      }
      return sum;
    };
    const found = sizeOf(this.#grammar.get(name)!);
    if (found !== undefined) known.set(name, found);
    return found;
  }

  /** Which characters a rule may begin with, and which may come behind it. */
  #solve(): void {
    for (const name of this.#grammar.keys()) {
      this.#first.set(name, []);
      this.#follow.set(name, []);
    }
    for (let changed = true; changed;) {
      changed = false;
      for (const [name, branches] of this.#grammar) {
        const { ranges, nullable } = this.#firstOfAll(branches);
        changed = this.#grow(this.#first, name, ranges) || changed;
        if (nullable && !this.#nullable.has(name)) {
          this.#nullable.add(name);
          changed = true;
        }
      }
    }
    for (let changed = true; changed;) {
      changed = false;
      for (const [name, branches] of this.#grammar) {
        changed = this.#spread(branches, this.#follow.get(name)!) || changed;
      }
    }
  }

  #step(count: number): void {
    this.#steps += count;
    if (this.#steps > MAX_STEPS) throw new Inexpressible("it is too large");
  }

  #union(a: CodeSet, b: CodeSet): CodeSet {
    if (a.length === 0) return b;
    if (b.length === 0) return a;
    this.#step(a.length + b.length);
    return union(a, b);
  }

  /** A code point of both. */
  #overlap(a: CodeSet, b: CodeSet): number | undefined {
    this.#step(a.length + b.length);
    return intersect(a, b)[0]?.[0];
  }

  #grow(map: Map<string, CodeSet>, name: string, more: CodeSet): boolean {
    const before = map.get(name)!;
    this.#step(before.length + more.length);
    if (minus(more, before).length === 0) return false;
    map.set(name, this.#union(before, more));
    return true;
  }

  #firstOf(term: Term): First {
    switch (term.kind) {
      case "codes":
        return { ranges: term.ranges, nullable: false };
      case "rule":
        return {
          ranges: this.#first.get(term.name)!,
          nullable: this.#nullable.has(term.name),
        };
      case "either":
        return this.#firstOfAll(term.branches);
      case "repeat": {
        const { ranges, nullable } = this.#firstOf(term.item);
        return { ranges, nullable: nullable || term.least === 0 };
      }
    }
  }

  #firstOfSequence(terms: readonly Term[]): First {
    let ranges: CodeSet = [];
    for (const term of terms) {
      this.#step(1);
      const first = this.#firstOf(term);
      ranges = this.#union(ranges, first.ranges);
      if (!first.nullable) return { ranges, nullable: false };
    }
    return { ranges, nullable: true };
  }

  #firstOfAll(branches: readonly (readonly Term[])[]): First {
    const firsts = branches.map((branch) => this.#firstOfSequence(branch));
    return {
      ranges: firsts.reduce((all, { ranges }) => this.#union(all, ranges), [] as CodeSet),
      nullable: firsts.some(({ nullable }) => nullable),
    };
  }

  /** Tells each term what may come behind it. */
  #each(
    branches: readonly (readonly Term[])[],
    behind: CodeSet,
    see: (term: Term, behind: CodeSet) => void,
  ): void {
    for (const branch of branches) {
      for (const [at, term] of branch.entries()) {
        const rest = this.#firstOfSequence(branch.slice(at + 1));
        see(term, rest.nullable ? this.#union(rest.ranges, behind) : rest.ranges);
      }
    }
  }

  #spread(branches: readonly (readonly Term[])[], behind: CodeSet): boolean {
    let changed = false;
    this.#each(branches, behind, (term, after) => {
      if (term.kind === "rule") changed = this.#grow(this.#follow, term.name, after) || changed;
      else if (term.kind === "either") changed = this.#spread(term.branches, after) || changed;
      else if (term.kind === "repeat") {
        const again = term.most === 1 ? after : this.#union(after, this.#firstOf(term.item).ranges);
        changed = this.#spread([[term.item]], again) || changed;
      }
    });
    return changed;
  }

  #decide(name: string, branches: readonly (readonly Term[])[], behind: CodeSet): void {
    let seen: CodeSet = [];
    let nullable = false;
    for (const branch of branches) {
      const first = this.#firstOfSequence(branch);
      if (first.nullable && nullable) throw undecided(name, undefined);
      nullable ||= first.nullable;
      const ranges = first.nullable ? this.#union(first.ranges, behind) : first.ranges;
      const common = this.#overlap(seen, ranges);
      if (common !== undefined) throw undecided(name, common);
      seen = this.#union(seen, ranges);
    }
    this.#each(branches, behind, (term, after) => {
      if (term.kind === "either") this.#decide(name, term.branches, after);
      if (term.kind !== "repeat") return;
      const first = this.#firstOf(term.item);
      const common = term.most === term.least ? undefined : this.#overlap(first.ranges, after);
      if (common !== undefined) throw undecided(name, common);
      this.#decide(name, [[term.item]], term.most === 1 ? after : this.#union(after, first.ranges));
    });
  }
}

function undecided(name: string, code: number | undefined): Inexpressible {
  const where = code === undefined
    ? "nothing at all can be read in two ways"
    : `the next character does not decide, as with ${JSON.stringify(String.fromCodePoint(code))}`;
  return new Inexpressible(
    `in the rule ${name} ${where}: a recursive or large grammar is taken only if it always does`,
  );
}

function* walk(branches: readonly (readonly Term[])[]): Generator<Term> {
  for (const term of branches.flat()) {
    yield term;
    if (term.kind === "either") yield* walk(term.branches);
    else if (term.kind === "repeat") yield* walk([[term.item]]);
  }
}
