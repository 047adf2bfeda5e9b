/** For tests: reads GBNF as llama.cpp does, says whether a grammar takes a text, and writes texts that it takes. */

type Part =
  | {
    readonly kind: "class";
    readonly ranges: readonly (readonly [number, number])[];
    readonly negated: boolean;
  }
  | { readonly kind: "rule"; readonly name: string }
  | { readonly kind: "group"; readonly alternatives: Alternatives }
  | { readonly kind: "repeat"; readonly item: Part; readonly least: number; readonly most: number };
type Alternatives = readonly (readonly Part[])[];

export class TestGrammar {
  readonly #rules = new Map<string, Alternatives>();
  /** Parts of the shortest text of each rule, to come to an end. */
  readonly #costs = new Map<string, number>();

  constructor(source: string) {
    const reader = new Reader(source);
    for (const [name, alternatives] of reader.rules()) this.#rules.set(name, alternatives);
    for (let changed = true; changed;) {
      changed = false;
      for (const [name, alternatives] of this.#rules) {
        const cost = 1 + Math.min(...alternatives.map((parts) => this.#cost(parts)));
        if (cost < (this.#costs.get(name) ?? Infinity)) {
          this.#costs.set(name, cost);
          changed = true;
        }
      }
    }
  }

  get size(): number {
    return this.#rules.size;
  }

  #cost(parts: readonly Part[]): number {
    let sum = 0;
    for (const part of parts) {
      if (part.kind === "class") sum += 1;
      else if (part.kind === "rule") {
        if (!this.#rules.has(part.name)) throw new Error(`no rule ${part.name}`);
        sum += this.#costs.get(part.name) ?? Infinity;
      } else if (part.kind === "group") {
        sum += Math.min(...part.alternatives.map((one) => this.#cost(one)));
      } else if (part.least > 0) sum += part.least * this.#cost([part.item]);
    }
    return sum;
  }

  accepts(text: string): boolean {
    const codes = [...text].map((character) => character.codePointAt(0)!);
    const known = new Map<string, Map<number, ReadonlySet<number>>>();
    const sequence = (parts: readonly Part[], from: number): Set<number> => {
      let at = new Set([from]);
      for (const part of parts) {
        const next = new Set<number>();
        for (const one of at) for (const end of ends(part, one)) next.add(end);
        at = next;
        if (at.size === 0) break;
      }
      return at;
    };
    const ends = (part: Part, from: number): ReadonlySet<number> => {
      switch (part.kind) {
        case "class": {
          const code = codes[from];
          if (code === undefined) return new Set();
          const inside = part.ranges.some(([low, high]) => low <= code && code <= high);
          return new Set(inside === part.negated ? [] : [from + 1]);
        }
        case "group":
          return new Set(part.alternatives.flatMap((one) => [...sequence(one, from)]));
        case "repeat": {
          let at = new Set([from]);
          const out = new Set(part.least === 0 ? [from] : []);
          for (let count = 1; count <= part.most && at.size > 0; count++) {
            const next = new Set<number>();
            for (const one of at) {
              for (const end of ends(part.item, one)) if (end > one) next.add(end);
            }
            if (count >= part.least) next.forEach((end) => out.add(end));
            at = next;
          }
          return out;
        }
        case "rule": {
          let places = known.get(part.name);
          if (places === undefined) known.set(part.name, places = new Map());
          let found = places.get(from);
          if (found === undefined) {
            found = new Set(this.#rules.get(part.name)!.flatMap((one) => [...sequence(one, from)]));
            places.set(from, found);
          }
          return found;
        }
      }
    };
    return ends({ kind: "rule", name: "root" }, 0).has(codes.length);
  }

  /** @param random Numbers from 0 to 1. @param size Parts from where on the shortest way is taken. */
  sample(random: () => number, size = 200): string {
    let out = "";
    let made = 0;
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
    const alternatives = (list: Alternatives) => {
      let usable = list.filter((parts) => this.#cost(parts) < Infinity);
      if (made > size) {
        const least = Math.min(...usable.map((parts) => this.#cost(parts)));
        usable = usable.filter((parts) => this.#cost(parts) === least);
      }
      pick(usable).forEach(write);
    };
    const write = (part: Part): void => {
      made++;
      switch (part.kind) {
        case "class":
          out += String.fromCodePoint(pickCode(part.ranges, part.negated, random));
          return;
        case "rule":
          return alternatives(this.#rules.get(part.name)!);
        case "group":
          return alternatives(part.alternatives);
        case "repeat": {
          let count = 0;
          while (count < part.least) write(part.item), count++;
          while (count < part.most && made <= size && random() < 0.6) write(part.item), count++;
        }
      }
    };
    write({ kind: "rule", name: "root" });
    return out;
  }
}

/** Among what a class takes: its edges, and characters that programs treat otherwise than others. */
const INTERESTING = [...' a0Z_-"\\/.\u00e9\u0661\u4e2d\u{1f600}\u2028\u00a0\u200b\u0301{}[]:,'];

function pickCode(
  ranges: readonly (readonly [number, number])[],
  negated: boolean,
  random: () => number,
): number {
  const has = (code: number) =>
    code > 0 && (code < 0xd800 || code > 0xdfff) && code <= 0x10ffff &&
    ranges.some(([low, high]) => low <= code && code <= high) !== negated;
  const all = INTERESTING.map((character) => character.codePointAt(0)!);
  for (const [low, high] of ranges) {
    all.push(low, high, low + Math.floor(random() * (high - low + 1)));
    if (negated) all.push(low - 1, high + 1);
  }
  const fit = all.filter(has);
  if (fit.length === 0) throw new Error("an empty class");
  return fit[Math.floor(random() * fit.length)]!;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  *rules(): Generator<[string, Alternatives]> {
    this.#space(true);
    while (this.#at < this.#text.length) {
      const name = this.#name();
      this.#space(false);
      if (!this.#take("::=")) throw new Error(`expected ::= at ${this.#at}`);
      this.#space(true);
      yield [name, this.#alternatives(false)];
      this.#space(true);
    }
  }

  #name(): string {
    const match = /[A-Za-z0-9-]+/y;
    match.lastIndex = this.#at;
    const found = match.exec(this.#text);
    if (found === null) {
      throw new Error(`expected a name: ${this.#text.slice(this.#at, this.#at + 20)}`);
    }
    this.#at = match.lastIndex;
    return found[0];
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #space(lines: boolean): void {
    while (
      this.#at < this.#text.length && (lines ? " \t\n" : " \t").includes(this.#text[this.#at]!)
    ) this.#at++;
  }

  #alternatives(nested: boolean): Alternatives {
    const out = [this.#sequence(nested)];
    while (this.#take("|")) {
      this.#space(true);
      out.push(this.#sequence(nested));
    }
    return out;
  }

  #sequence(nested: boolean): Part[] {
    const out: Part[] = [];
    for (;;) {
      const next = this.#text[this.#at];
      if (next === undefined || next === "|" || next === ")" || next === "\n" && !nested) {
        return out;
      }
      const parts: Part[] = [];
      if (next === '"') {
        this.#at++;
        while (!this.#take('"')) {
          const code = this.#character();
          parts.push({ kind: "class", ranges: [[code, code]], negated: false });
        }
        // As llama.cpp has it: a repetition is of the whole literal.
        const alternatives = [parts.splice(0)];
        parts.push(
          alternatives[0]!.length === 1 ? alternatives[0]![0]! : { kind: "group", alternatives },
        );
      } else if (next === "[") parts.push(this.#class());
      else if (this.#take("(")) {
        this.#space(true);
        parts.push({ kind: "group", alternatives: this.#alternatives(true) });
        if (!this.#take(")")) throw new Error("expected )");
      } else if (this.#take(".")) parts.push({ kind: "class", ranges: [], negated: true });
      else parts.push({ kind: "rule", name: this.#name() });
      const last = parts.pop();
      out.push(...parts);
      if (last !== undefined) out.push(this.#repeated(last));
      this.#space(nested);
    }
  }

  #repeated(item: Part): Part {
    if (this.#take("*")) return { kind: "repeat", item, least: 0, most: Infinity };
    if (this.#take("+")) return { kind: "repeat", item, least: 1, most: Infinity };
    if (this.#take("?")) return { kind: "repeat", item, least: 0, most: 1 };
    const match = /\{(\d+)(?:(,)(\d*))?\}/y;
    match.lastIndex = this.#at;
    const found = match.exec(this.#text);
    if (found === null) return item;
    this.#at = match.lastIndex;
    const least = Number(found[1]);
    return {
      kind: "repeat",
      item,
      least,
      most: found[2] === undefined ? least : found[3] === "" ? Infinity : Number(found[3]),
    };
  }

  #class(): Part {
    this.#at++;
    const negated = this.#take("^");
    const ranges: [number, number][] = [];
    while (!this.#take("]")) {
      const from = this.#character();
      if (this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]") {
        this.#at++;
        ranges.push([from, this.#character()]);
      } else ranges.push([from, from]);
    }
    return { kind: "class", ranges, negated };
  }

  #character(): number {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) throw new Error("ends within a literal");
    this.#at += code > 0xffff ? 2 : 1;
    if (code !== 0x5c) return code;
    const letter = this.#text[this.#at++]!;
    const digits = { x: 2, u: 4, U: 8 }[letter];
    if (digits !== undefined) {
      const text = this.#text.slice(this.#at, this.#at += digits);
      if (!/^[0-9a-fA-F]+$/.test(text) || text.length !== digits) throw new Error("a bad escape");
      return parseInt(text, 16);
    }
    const known = { n: 10, r: 13, t: 9 }[letter];
    if (known !== undefined) return known;
    if (!'\\"[]'.includes(letter)) {
      throw new Error(`llama.cpp does not know the escape \\${letter}`);
    }
    return letter.codePointAt(0)!;
  }
}
