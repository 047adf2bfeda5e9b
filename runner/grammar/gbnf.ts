/**
 * Grammars in GBNF, llama.cpp's notation, built from rules that may refer to each other. What can never be completed, such as an
 * object that must hold itself, is left out when the grammar is written.
 */
import type { Work } from "../../src/budget.ts";
import { renameRules } from "./foreign_grammar.ts";
import { COMMON } from "./json_rules.ts";
import { Inexpressible } from "./refusal.ts";

/** Tunables. */
const LIMITS = {
  bytes: 512 * 1024,
  rules: 40_000,
  /** Copies that counted repetitions make, in all. */
  repetitions: 20_000,
  /** Of one repetition; longer ones are made of blocks of these. */
  block: 1000,
  /** Blocks of one repetition: a longer maximum counts as this one, a text that is shorter being permitted, too. */
  blocks: 1000,
} as const;

/** Rules that are gone through between two places to yield. */
const RULES_PER_YIELD = 256;

export class Rule {
  /** Each a sequence. */
  readonly alternatives: (readonly Part[])[] = [];

  or(...parts: readonly Part[]): this {
    this.alternatives.push(parts);
    return this;
  }
}

/** GBNF as it is, a rule, or a repeated rule. */
export type Part = string | Rule | Repetition;

interface Repetition {
  readonly item: Rule;
  readonly least: number;
  readonly most: number | undefined;
}

// deno-lint-ignore no-control-regex
const SPECIAL = /["\\\x00-\x1f\x7f]/g;

/** A text as a literal. */
export function literal(text: string): string {
  const out = text.replace(
    SPECIAL,
    (character) =>
      character === '"' || character === "\\"
        ? `\\${character}`
        : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `"${out}"`;
}

export class Grammar {
  #rules = 0;
  #repetitions = 0;
  /** Repeated characters, of which many tools have the same. */
  readonly #characters = new Map<string, Part>();
  /** Grammars of others that are parts of this one. */
  readonly #foreign: string[] = [];

  /** What was spent of the limits so far, for {@link spend}. */
  get spent(): readonly [rules: number, repetitions: number, characters: number] {
    return [this.#rules, this.#repetitions, this.#characters.size];
  }

  /** Takes rules back that are made again: as if no more than this had been spent. */
  spend([rules, repetitions, characters]: Grammar["spent"]): void {
    this.#rules = rules;
    this.#repetitions = repetitions;
    for (const key of [...this.#characters.keys()].slice(characters)) this.#characters.delete(key);
  }

  rule(): Rule {
    if (++this.#rules > LIMITS.rules) throw new Inexpressible("it makes the grammar too large");
    return new Rule();
  }

  /** A rule of one alternative. */
  of(...parts: readonly Part[]): Rule {
    return this.rule().or(...parts);
  }

  /** The `root` of a grammar in GBNF. @throws {Inexpressible} */
  foreign(source: string): Part {
    const prefix = `g${this.#foreign.length}-`;
    this.#foreign.push(renameRules(source, prefix));
    return `${prefix}root`;
  }

  /**
   * `least` to `most` of a rule, without end if there is no `most`. Each repetition is a rule of its own: llama.cpp
   * multiplies the counts of those that share one.
   */
  repeat(item: Rule, least: number, most: number | undefined): Part {
    const { block, blocks } = LIMITS;
    if (least > block * blocks) {
      throw new Inexpressible(`it repeats more than ${block * blocks} times`);
    }
    if (most !== undefined && most < least) return this.rule();
    if (most !== undefined) most = Math.min(most, block * blocks);
    if (most === 0) return '""';
    if (least <= block && (most ?? 0) <= block) return this.#counted(item, least, most);
    // Blocks of a thousand, counted themselves.
    const full = this.of(this.#counted(item, block, block));
    const whole = Math.floor(least / block);
    const first: Part[] = whole === 0 ? [] : [this.#counted(full, whole, whole)];
    const rest = least - whole * block;
    if (most === undefined) return this.of(...first, this.#counted(item, rest, undefined));
    const left = most - whole * block;
    const [more, last] = [Math.floor(left / block), left % block];
    const out = this.rule();
    if (more === 0) return out.or(...first, this.#counted(item, rest, last));
    // Either fewer blocks than could be, and a part of one, or all of them.
    out.or(...first, this.#counted(item, rest, block - 1));
    const after = this.of(
      this.#counted(full, 0, more - 2 < 0 ? 0 : more - 2),
      this.#counted(item, 0, block - 1),
    );
    if (more > 1) out.or(...first, full, after);
    return out.or(...first, this.#counted(full, more, more), this.#counted(item, 0, last));
  }

  /** `least` to `most` of a character; those that are alike are one rule. */
  characters(character: string, least: number, most: number | undefined): Part {
    const key = `${least} ${most} ${character}`;
    const known = this.#characters.get(key) ?? this.repeat(this.of(character), least, most);
    this.#characters.set(key, known);
    return known;
  }

  #counted(item: Rule, least: number, most: number | undefined): Part {
    if (most === 0) return '""';
    this.#repetitions += Math.max(most ?? 0, least);
    if (this.#repetitions > LIMITS.repetitions) {
      throw new Inexpressible(`with others it repeats more than ${LIMITS.repetitions} times`);
    }
    return this.of({ item, least, most });
  }

  /** Whether some text can be completed. */
  *permitsSomething(root: Rule): Work<boolean> {
    return (yield* fruitfulRules(root)).has(root);
  }

  /** The grammar's text; `undefined` if nothing can be completed. @throws {Inexpressible} */
  *write(root: Rule): Work<string | undefined> {
    const fruitful = yield* fruitfulRules(root);
    if (!fruitful.has(root)) return undefined;
    const names = new Map<Rule, string>([[root, "root"]]);
    const queue = [root];
    const nameOf = (rule: Rule): string => {
      let name = names.get(rule);
      if (name === undefined) {
        names.set(rule, name = `r${names.size}`);
        queue.push(rule);
      }
      return name;
    };
    const part = (one: Part): string => {
      if (typeof one === "string") return one;
      if (one instanceof Rule) return nameOf(one);
      const { item, least, most } = one;
      if (!fruitful.has(item)) return '""';
      if (least === 1 && most === 1) return nameOf(item);
      if (least === 0 && most === undefined) return `${nameOf(item)}*`;
      return `${nameOf(item)}{${least},${most ?? ""}}`;
    };
    const lines: string[] = [];
    let bytes = 0;
    for (let at = 0; at < queue.length; at++) {
      const rule = queue[at]!;
      const bodies = rule.alternatives.filter((parts) =>
        parts.every((one) => isFruitful(one, fruitful))
      )
        .map((parts) => parts.map(part).join(" ") || '""');
      const line = `${nameOf(rule)} ::= ${[...new Set(bodies)].join(" | ")}\n`;
      bytes += line.length;
      if (bytes > LIMITS.bytes) throw new Inexpressible("it makes the grammar too large");
      lines.push(line);
      if (at % RULES_PER_YIELD === 0) yield;
    }
    const common = Object.entries(COMMON).map(([name, body]) => `${name} ::= ${body}\n`);
    return [...lines, ...common, ...this.#foreign].join("");
  }
}

function isFruitful(part: Part, fruitful: ReadonlySet<Rule>): boolean {
  if (typeof part === "string") return true;
  return part instanceof Rule ? fruitful.has(part) : part.least === 0 || fruitful.has(part.item);
}

/** The rules below `root` of which some text can be completed. */
function* fruitfulRules(root: Rule): Work<Set<Rule>> {
  const all = new Set<Rule>([root]);
  const users = new Map<Rule, Rule[]>();
  let looked = 0;
  for (const rule of all) {
    if (++looked % RULES_PER_YIELD === 0) yield;
    for (const part of rule.alternatives.flat()) {
      if (typeof part === "string") continue;
      const used = part instanceof Rule ? part : part.item;
      all.add(used);
      const list = users.get(used) ?? [];
      list.push(rule);
      users.set(used, list);
    }
  }
  const fruitful = new Set<Rule>();
  const queue = [...all];
  for (let rule; (rule = queue.pop()) !== undefined;) {
    if (fruitful.has(rule)) continue;
    if (++looked % RULES_PER_YIELD === 0) yield;
    if (!rule.alternatives.some((parts) => parts.every((part) => isFruitful(part, fruitful)))) {
      continue;
    }
    fruitful.add(rule);
    for (const user of users.get(rule) ?? []) queue.push(user);
  }
  return fruitful;
}
