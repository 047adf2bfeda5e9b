/** Random expressions and templates, the same for the same seed. */

import {
  ATTRIBUTES,
  FILTERS,
  FORMATS,
  METHODS,
  NAMES,
  NUMBERS,
  OPERATORS,
  SPECS,
  TESTS,
  TEXTS,
  WORD_OPERATORS,
} from "./words.ts";
import { seeded } from "../support/seeds.ts";

export class Random {
  /** From 0 to below 1. */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = seeded(seed);
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

export class Generator {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  expression(depth: number): string {
    const { random } = this;
    if (depth <= 0) return this.#atom();
    const inner = () => this.expression(depth - 1 - random.below(2));
    switch (random.below(16)) {
      case 0:
        return this.#atom();
      case 1:
      case 2:
        return `${this.#operand(inner())} ${random.pick(OPERATORS)} ${this.#operand(inner())}`;
      case 3:
        return `${this.#operand(inner())} ${random.pick(WORD_OPERATORS)} ${this.#operand(inner())}`;
      case 4:
        return `(${inner()} if ${this.#operand(inner())}${
          random.chance(0.7) ? ` else ${inner()}` : ""
        })`;
      case 5:
      case 6:
      case 7:
        return `${this.#operand(inner())}|${this.#filled(random.pick(FILTERS), depth)}`;
      case 8:
        return `${this.#operand(inner())} is ${random.chance(0.3) ? "not " : ""}${
          this.#filled(random.pick(TESTS), depth)
        }`;
      case 9:
      case 10:
        return `${this.#operand(inner())}.${this.#filled(random.pick(METHODS), depth)}`;
      case 11:
        return `${random.pick(NAMES)}[${this.#subscript(depth)}]`;
      case 12:
        return this.#literal(depth);
      case 13:
        return random.chance(0.5)
          ? `${random.pick(FORMATS)} % ${
            random.chance(0.3) ? `(${inner()}, ${inner()})` : this.#operand(inner())
          }`
          : `'[{${random.pick(SPECS)}}]'.format(${inner()})`;
      case 14:
        return `${random.chance(0.5) ? "not " : random.pick(["-", "+"])}${this.#operand(inner())}`;
      default:
        return `${this.#operand(inner())}.${
          random.pick(["name", "n", "a", "items", "b.c", "0", "k", "__class__"])
        }`;
    }
  }

  #atom(): string {
    const { random } = this;
    const kind = random.below(10);
    if (kind < 5) return random.pick(NAMES);
    if (kind < 7) return random.pick(TEXTS);
    if (kind < 9) return random.pick(NUMBERS);
    return random.pick(["true", "false", "none", "[]", "{}", "()", "range(3)", "range(5, 0, -2)"]);
  }

  #literal(depth: number): string {
    const { random } = this;
    const items = Array.from({ length: random.below(4) }, () => this.expression(depth - 2));
    switch (random.below(4)) {
      case 0:
        return `[${items.join(", ")}]`;
      case 1:
        return `(${items.join(", ")}${items.length === 1 ? "," : ""})`;
      case 2:
        return `{${
          items.map((item) => `${random.pick([...TEXTS, "1", "none", "(1, 2)"])}: ${item}`).join(
            ", ",
          )
        }}`;
      default:
        return `dict(a=${items[0] ?? "1"}, b=${items[1] ?? "'x'"})`;
    }
  }

  #subscript(depth: number): string {
    const { random } = this;
    const index = () => random.pick(["", "0", "1", "-1", "2", "-2", "5", "n", "'a'", "none"]);
    switch (random.below(4)) {
      case 0:
        return `${index()}:${index()}`;
      case 1:
        return `${index()}:${index()}:${random.pick(["", "1", "2", "-1", "-2", "0"])}`;
      case 2:
        return this.expression(Math.min(depth - 1, 1));
      default:
        return random.pick(["0", "-1", "1", "'a'", "'name'", "0.5", "true", "'items'"]);
    }
  }

  #operand(text: string): string {
    return /^[\w.]+$/.test(text) || /^'[^']*'$/.test(text) || /^[([{].*[)\]}]$/.test(text)
      ? (/^[([{]/.test(text) || /^[-\d]/.test(text) ? `(${text})` : text)
      : `(${text})`;
  }

  /** The letters of arguments, filled in. */
  #filled(call: string, depth: number): string {
    const { random } = this;
    const open = call.indexOf("(");
    if (open < 0) return call;
    return call.slice(0, open) + call.slice(open).replace(
      /(?<=[(,=] ?)[tieba](?=[,)])/g,
      (kind) => {
        switch (kind) {
          case "t":
            return random.pick(TEXTS);
          case "i":
            return random.pick(["0", "1", "2", "3", "5", "8", "12", "-1", "n"]);
          case "b":
            return random.pick(["true", "false"]);
          case "a":
            return random.pick(ATTRIBUTES);
          default:
            return this.expression(Math.min(depth - 1, 1));
        }
      },
    );
  }
}
