/** Automata of one schema: each is made once, in turns where that takes long. */
import { runAtOnce, type Work } from "../../src/budget.ts";
import {
  ANYTHING,
  type Automaton,
  bothWork,
  type Budget,
  negationWork,
  Pause,
} from "./automaton.ts";
import { type FormatTexts, formatWork, knownFormat } from "./formats.ts";
import { numberKey, type NumberRules, numberWork } from "./number_text.ts";
import { patternWork, type Reading } from "./pattern.ts";
import { Inexpressible } from "./refusal.ts";
import { isQuick, type Strings, stringsWork } from "./string_text.ts";
import type { StringRules } from "./terms.ts";
import { wordsWork } from "./words.ts";

/** UTF-16 units of a key that are made and looked up for one look. */
const UNITS_PER_LOOK = 64;
/** Characters, edges and pairs of states, of which an automaton is made in no piece of its own. */
const SMALL = 1024;

export class MadeOnce {
  readonly budget: Budget;
  readonly #patterns = new Map<string, Automaton | Inexpressible>();
  readonly #strings = new Map<string, Strings | Inexpressible>();
  readonly #formats = new Map<string, FormatTexts | Inexpressible>();
  readonly #derived = new Map<string, Automaton | Inexpressible>();
  readonly #numbers = new WeakMap<Automaton, number>();
  /** Automata that have a number in {@link derived}. */
  #count = 0;

  constructor(budget: Budget) {
    this.budget = budget;
  }

  /** @throws {Pause} the first time; {@link Inexpressible}. */
  pattern(source: string, reading: Reading): Automaton {
    const key = `${reading}:${source}`;
    return kept(this.#patterns, key, () => patternWork(source, reading, this.budget));
  }

  /** @returns `undefined` for a format that JSON Schema does not define. @throws {Pause} the first time; {@link Inexpressible}. */
  format(name: string): FormatTexts | undefined {
    const known = knownFormat(name);
    return known === "to be made"
      ? kept(this.#formats, name, () => formatWork(name, this.budget))
      : known;
  }

  /**
   * The texts that fit.
   * @param whole The automaton is to keep the lengths, also where rules could count them.
   * @throws {Pause} the first time, where that takes long; {@link Inexpressible}.
   */
  strings(rules: StringRules, whole: boolean): Strings {
    if (isQuick(rules)) return runAtOnce(stringsWork(rules, this.budget));
    const { least, most, languages } = rules;
    const key = JSON.stringify([whole, least, most, ...languages.map((one) => one.key)]);
    this.budget.look(languages.length + key.length / UNITS_PER_LOOK);
    return kept(this.#strings, key, () => stringsWork(rules, this.budget, whole));
  }

  /**
   * What is made of automata, once. Small ones are made at once.
   * @param key What it is, with all that it is made of besides `from`.
   * @throws {Pause} the first time, where that takes long; {@link Inexpressible}.
   */
  derived(key: string, from: readonly Automaton[], work: () => Work<Automaton>): Automaton {
    const ids = from.map((one) => {
      const id = this.#numbers.get(one) ?? this.#count++;
      this.#numbers.set(one, id);
      return id;
    });
    const name = `${ids.join()} ${key}`;
    this.budget.look(key.length / UNITS_PER_LOOK);
    // Small ones are kept as well: what is made of them is found again by their numbers.
    if (!this.#derived.has(name) && sizeOf(key, from) < SMALL) {
      runAtOnce(keep(this.#derived, name, work()));
    }
    return kept(this.#derived, name, work);
  }

  /** Texts that both accept. @throws {Pause} {@link Inexpressible} */
  both(a: Automaton, b: Automaton): Automaton {
    if (a === ANYTHING) return b;
    if (b === ANYTHING) return a;
    return this.derived("both", [a, b], () => bothWork(a, b, this.budget));
  }

  /** Texts that it does not accept. @throws {Pause} */
  negation(of: Automaton): Automaton {
    return this.derived("not", [of], () => negationWork(of));
  }

  /** Just these texts. @throws {Pause} {@link Inexpressible} */
  words(texts: readonly string[]): Automaton {
    const key = `words ${JSON.stringify(texts)}`;
    return this.derived(key, [], () => wordsWork(texts, this.budget));
  }

  /** How numbers that fit are written. @throws {Pause} the first time; {@link Inexpressible}. */
  numbers(rules: NumberRules): Automaton {
    const key = `number ${numberKey(rules)}`;
    return kept(this.#derived, key, () => numberWork(rules, this.budget));
  }
}

function sizeOf(key: string, from: readonly Automaton[]): number {
  let [pairs, edges] = [1, 0];
  for (const { states } of from) {
    pairs *= states.length;
    for (const state of states) edges += state.edges.length;
  }
  return key.length + pairs + edges;
}

/** What was made and kept, or the work that makes it. @throws {Pause} the first time; {@link Inexpressible}. */
function kept<T>(
  all: Map<string, T | Inexpressible>,
  key: string,
  make: () => Work<T>,
): T {
  const known = all.get(key);
  if (known === undefined) throw new Pause(keep(all, key, make()));
  if (known instanceof Inexpressible) throw known;
  return known;
}

function* keep<T>(all: Map<string, T | Inexpressible>, key: string, work: Work<T>): Work<void> {
  try {
    all.set(key, yield* work);
  } catch (error) {
    if (!(error instanceof Inexpressible)) throw error;
    // It is said where it is asked for.
    all.set(key, error);
  }
}
