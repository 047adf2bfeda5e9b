/** How bodies of requests are drawn: which of some, how large, of which text. Not part of the product. */
import { SchemaGenerator } from "../grammar/testing_schemas.ts";

export type Random = () => number;

/** What one body is drawn by. */
export class Draw {
  readonly #random: Random;
  readonly schemas: SchemaGenerator;
  readonly size: number;

  /** @param most Of the size: UTF-16 units, or a few for an item. */
  constructor(random: Random, most: number) {
    this.#random = random;
    this.schemas = new SchemaGenerator(random);
    this.size = Math.floor(100 * (most / 100) ** random());
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }

  below(most: number): number {
    return Math.floor(this.#random() * most);
  }

  /** Some characters again and again, up to `units`. */
  text(units = this.size): string {
    const piece = this.pick([
      ...[
        "a",
        "word ",
        "ä€",
        "😀",
        "\n",
        '"',
        "\\",
        "{{",
        "<|",
        "<",
        "\u0000",
        "1",
        "0.5,",
        "[",
        "}",
      ],
      ...["\u200b", "e\u0301", "\ue000", "</s>", "<|im_end|>", "a b", "{% ", "中文", "\ud800"],
      Array.from({ length: 20 }, () => String.fromCodePoint(32 + this.below(600))).join(""),
    ]);
    return piece.repeat(Math.max(1, Math.floor(units / piece.length)));
  }

  /** As many as the size has room for, `each` units a piece; no more than `most`. */
  list<T>(make: (at: number) => T, each: number, most = Infinity): T[] {
    const count = Math.min(most, Math.max(1, Math.floor(this.size / each)));
    return Array.from({ length: count }, (_, at) => make(at));
  }

  record<T>(make: (at: number) => T, each: number, name = (at: number) => `p${at}`) {
    return Object.fromEntries(this.list((at) => [name(at), make(at)], each));
  }

  nested(wrap: (inner: unknown) => unknown, inner: unknown, each: number): unknown {
    const depth = Math.min(250, Math.ceil(this.size / each));
    for (let at = 0; at < depth; at++) inner = wrap(inner);
    return inner;
  }
}
