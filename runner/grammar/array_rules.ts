/** Rules for arrays: tuples, counts, `contains`, and `uniqueItems` where the items are few values. */
import type { Part, Rule } from "./gbnf.ts";
import { naming, refuse } from "./refusal.ts";
import type { SchemaRules } from "./schema_rules.ts";
import { type Contains, type Formula, formula, type Term, textOf } from "./terms.ts";

/** Tunables. */
const LIMITS = {
  states: 5000,
  /** Values of which any order is offered; more of them come in the schema's order. */
  permuted: 6,
  values: 300,
  /** `contains` beside each other. */
  contains: 3,
} as const;

const COMMA = `"," ws`;

/** @returns What stands in an array, or nothing if no array fits. */
export function arrayRule(rules: SchemaRules, term: Term): Rule {
  const { grammar, algebra } = rules;
  const { array } = term;
  const tuple = Math.max(0, ...array.sequences.map(({ prefix }) => prefix.length));
  let most = array.most;
  for (let at = 0; at <= tuple && at < (most ?? Infinity); at++) {
    if (algebra.isEmpty(algebra.item(term, at))) most = at;
  }
  const shape: Shape = { rules, term, tuple, least: array.least, most };
  if (most !== undefined && most < array.least) return grammar.rule();
  let items: Part;
  if (array.unique !== undefined && !isUniqueAnyway(shape)) {
    items = uniqueItems(shape, array.unique);
  } else if (array.contains.length > 0) {
    items = containing(shape, array.contains);
  } else items = plainItems(shape);
  return grammar.of(`"[" ws`, items, `ws "]"`);
}

interface Shape {
  readonly rules: SchemaRules;
  readonly term: Term;
  /** Items that have schemas of their own. */
  readonly tuple: number;
  readonly least: number;
  readonly most: number | undefined;
}

function plainItems({ rules, term, tuple, least, most }: Shape): Part {
  const { grammar, algebra } = rules;
  if (most === 0) return '""';
  const item = (at: number) => rules.value(algebra.item(term, at));
  const after = (at: number): Part => {
    if (at === most) return '""';
    if (at < tuple) {
      const rule = grammar.of(COMMA, item(at), after(at + 1));
      return at >= least ? rule.or('""') : rule;
    }
    const more = grammar.of(COMMA, item(tuple));
    return naming(
      "minItems",
      term.object.pointer,
      () =>
        grammar.repeat(more, Math.max(0, least - at), most === undefined ? undefined : most - at),
    );
  };
  const rule = grammar.of(item(0), after(1));
  return least === 0 ? rule.or('""') : rule;
}

/** States of a walk over the items, each made once. */
class Walk {
  readonly #made = new Map<string, Rule>();
  readonly #rules: SchemaRules;
  readonly #queue: (() => void)[] = [];

  constructor(rules: SchemaRules) {
    this.#rules = rules;
  }

  /** The rule of a state; `fill` says what may follow there. */
  state(key: string, fill: (rule: Rule) => void, tooMany: () => never): Rule {
    let rule = this.#made.get(key);
    if (rule === undefined) {
      if (this.#made.size >= LIMITS.states) tooMany();
      this.#made.set(key, rule = this.#rules.grammar.rule());
      const made = rule;
      this.#queue.push(() => fill(made));
    }
    return rule;
  }

  run(): void {
    for (let next; (next = this.#queue.shift()) !== undefined;) next();
  }
}

/** Counts the items that fit each `contains`. */
function containing(
  { rules, term, tuple, least, most }: Shape,
  contains: readonly Contains[],
): Part {
  const { algebra } = rules;
  const [one] = contains;
  if (contains.length > LIMITS.contains) {
    refuse(
      one!.keyword,
      one!.pointer,
      `more than ${LIMITS.contains} beside each other cannot be kept`,
    );
  }
  const walk = new Walk(rules);
  const tooMany = () => refuse(one!.keyword, one!.pointer, "it makes the grammar too large");
  // Items beyond it are alike, and not counted.
  const cap = Math.max(1, tuple, least, most ?? 0, ...contains.map(({ from }) => from));
  const after = (at: number, found: readonly number[]): Rule =>
    walk.state(`${at}:${found}`, (rule) => {
      const enough = contains.every((one, index) => found[index]! >= one.least);
      if (at >= least && enough) rule.or();
      if (at === most) return;
      const next = Math.min(at + 1, cap);
      for (const [literals, counts] of ways(at, found)) {
        const value = formula([...algebra.item(term, Math.min(at, tuple)), ...literals]);
        if (algebra.isEmpty(value)) continue;
        rule.or(at === 0 ? '""' : COMMA, rules.value(value), after(next, counts));
      }
    }, tooMany);
  const ways = (at: number, found: readonly number[]): [number[], number[]][] => {
    let out: [number[], number[]][] = [[[], []]];
    contains.forEach(({ from, item, least, most }, index) => {
      const count = found[index]!;
      out = out.flatMap(([literals, counts]): [number[], number[]][] => {
        const same: [number[], number[]] = [literals, [...counts, count]];
        if (at < from || (most === undefined && count >= least)) return [same];
        const fits: [number[], number[]] = [[...literals, item], [...counts, count + 1]];
        if (most === undefined) return [same, fits];
        const fitsNot: [number[], number[]] = [[...literals, item ^ 1], [...counts, count]];
        return count < most ? [fitsNot, fits] : [fitsNot];
      });
    });
    return out;
  };
  const start = after(0, contains.map(() => 0));
  walk.run();
  return start;
}

/** Whether no two items can be equal, whatever they are. */
function isUniqueAnyway({ rules, term, tuple, most }: Shape): boolean {
  if (most !== undefined && most <= 1) return true;
  if (most === undefined || most > Math.min(tuple + 1, 40)) return false;
  const { algebra } = rules;
  for (let a = 0; a < most; a++) {
    for (let b = 0; b < a; b++) {
      if (!algebra.isEmpty(formula([...algebra.item(term, a), ...algebra.item(term, b)]))) {
        return false;
      }
    }
  }
  return true;
}

/** Arrays of different values of a few. */
function uniqueItems(shape: Shape, pointer: string): Part {
  const { rules, term, tuple, least, most } = shape;
  const { algebra } = rules;
  const values = new Map<string, unknown>();
  for (let at = 0; at <= tuple && at < (most ?? Infinity); at++) {
    const list = fewValues(rules, algebra.item(term, at));
    if (list === undefined) {
      refuse(
        "uniqueItems",
        pointer,
        "it can be kept only where the items are of an enum or const, or of at most one item",
      );
    }
    for (const value of list) values.set(textOf(value), value);
  }
  const all = [...values.values()];
  if (all.length > LIMITS.values) {
    refuse("uniqueItems", pointer, `there are more than ${LIMITS.values} values`);
  }
  const permuted = all.length <= LIMITS.permuted;
  const walk = new Walk(rules);
  const tooMany = () => refuse("uniqueItems", pointer, "it makes the grammar too large");
  const { contains } = term.array;
  // Each is asked at thousands of states.
  const known = new Map<string, boolean>();
  const fits = (at: number, index: number) => {
    const key = `${Math.min(at, tuple)} ${index}`;
    const found = known.get(key) ??
      algebra.item(term, Math.min(at, tuple)).every((one) => algebra.fits(one, all[index]));
    known.set(key, found);
    return found;
  };
  const constants = all.map((value) => rules.constant(value));
  const count = (at: number, found: readonly number[], value: unknown) =>
    contains.map(({ from, item, most }, index) => {
      if (at < from) return found[index]!;
      // A value on which programs disagree counts against a maximum only.
      const counts = most === undefined
        ? algebra.fits(item, value)
        : !algebra.fits(item ^ 1, value);
      return found[index]! + (counts ? 1 : 0);
    });
  /** `used`: bits of the values that are written; in order only, the next one's index. */
  const after = (at: number, used: number, found: readonly number[]): Rule =>
    walk.state(`${at}:${used}:${found}`, (rule) => {
      const enough = contains.every(({ least, most = Infinity }, index) =>
        found[index]! >= least && found[index]! <= most
      );
      if (at >= least && enough) rule.or();
      if (at === most) return;
      all.forEach((value, index) => {
        if (permuted ? (used >> index) & 1 : index !== used) return;
        if (!fits(at, index)) return;
        const next = permuted ? used | (1 << index) : index + 1;
        rule.or(
          at === 0 ? '""' : COMMA,
          constants[index]!,
          after(at + 1, next, count(at, found, value)),
        );
      });
      // The next value may be left out, too.
      if (!permuted && used + 1 < all.length) rule.or(after(at, used + 1, found));
    }, tooMany);
  const start = after(0, 0, contains.map(() => 0));
  walk.run();
  return start;
}

/** All values that fit, where a schema lists them or its type has few. */
function fewValues({ algebra }: SchemaRules, of: Formula): unknown[] | undefined {
  const out: unknown[] = [];
  for (const term of algebra.terms(of)) {
    if (term.values !== undefined) out.push(...algebra.valuesOf(term));
    else if ((term.types & ~3) !== 0) return undefined;
    else {
      if ((term.types & 1) !== 0) out.push(null);
      if ((term.types & 2) !== 0) out.push(true, false);
    }
  }
  return out;
}
