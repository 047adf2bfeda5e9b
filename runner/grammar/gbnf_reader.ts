/** Reads a grammar that a client wrote in GBNF, llama.cpp's notation (its grammars/README.md). */
import { ANY_CODE, type CodeSet, codeSet, complement, LAST_CODE, type Range } from "./code_set.ts";
import { Inexpressible } from "./refusal.ts";

export type Term =
  | { readonly kind: "codes"; readonly ranges: CodeSet }
  | { readonly kind: "rule"; readonly name: string }
  | { readonly kind: "either"; readonly branches: readonly (readonly Term[])[] }
  | {
    readonly kind: "repeat";
    readonly item: Term;
    readonly least: number;
    /** Absent: without end. */
    readonly most: number | undefined;
  };

export type Grammar = ReadonlyMap<string, readonly (readonly Term[])[]>;

const MAX_DEPTH = 50;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/** @throws {Inexpressible} with what is wrong, and where. */
export function readGrammar(source: string): Grammar {
  return new Reader(source).grammar();
}

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  grammar(): Grammar {
    const rules = new Map<string, Term[][]>();
    for (this.#space(true); this.#at < this.#text.length; this.#space(true)) {
      const name = this.#name();
      if (name === "") throw this.#wrong("a rule's name is wanted");
      this.#space(false);
      if (!this.#skip("::=")) throw this.#wrong('"::=" is wanted');
      this.#space(true);
      rules.set(name, [...(rules.get(name) ?? []), ...this.#branches(false)]);
    }
    return rules;
  }

  #branches(nested: boolean): Term[][] {
    if (++this.#depth > MAX_DEPTH) throw this.#wrong("it nests too deep");
    const branches: Term[][] = [];
    do {
      this.#space(true);
      branches.push(this.#sequence(nested));
    } while (this.#skip("|"));
    this.#depth--;
    return branches;
  }

  #sequence(nested: boolean): Term[] {
    const terms: Term[] = [];
    for (;;) {
      const term = this.#term();
      if (term === undefined) return terms;
      terms.push(...term);
      this.#space(nested);
      const counts = this.#counts();
      if (counts === undefined) continue;
      const item = terms.pop();
      if (item !== undefined) terms.push({ kind: "repeat", item, ...counts });
      this.#space(nested);
    }
  }

  /** One thing; a literal is as many as it has characters. */
  #term(): Term[] | undefined {
    const char = this.#text[this.#at];
    switch (char) {
      case '"': {
        this.#at++;
        const codes: Term[] = [];
        while (this.#text[this.#at] !== '"') {
          const code = this.#code();
          codes.push({ kind: "codes", ranges: [[code, code]] });
        }
        this.#at++;
        return [{ kind: "either", branches: [codes] }];
      }
      case "[":
        this.#at++;
        return [{ kind: "codes", ranges: this.#class() }];
      case ".":
        this.#at++;
        return [{ kind: "codes", ranges: ANY_CODE }];
      case "(": {
        this.#at++;
        const branches = this.#branches(true);
        this.#space(true);
        if (!this.#skip(")")) throw this.#wrong('")" is wanted');
        return [{ kind: "either", branches }];
      }
    }
    const before = this.#at;
    const name = this.#name();
    if (name === "") return undefined;
    const end = this.#at;
    this.#space(false);
    // The next rule begins.
    if (this.#text.startsWith("::=", this.#at)) {
      this.#at = before;
      return undefined;
    }
    this.#at = end;
    return [{ kind: "rule", name }];
  }

  #counts(): { least: number; most: number | undefined } | undefined {
    if (this.#skip("*")) return { least: 0, most: undefined };
    if (this.#skip("+")) return { least: 1, most: undefined };
    if (this.#skip("?")) return { least: 0, most: 1 };
    const found = /^\{\s*(\d{1,9})\s*(,?)\s*(\d{0,9})\s*\}/.exec(
      this.#text.slice(this.#at, this.#at + 64),
    );
    if (found === null) return undefined;
    this.#at += found[0].length;
    const least = Number(found[1]);
    if (found[2] === "") return { least, most: least };
    const most = found[3] === "" ? undefined : Number(found[3]);
    if (most !== undefined && most < least) throw this.#wrong("its counts are the wrong way round");
    return { least, most };
  }

  #class(): CodeSet {
    const isNegative = this.#skip("^");
    const ranges: Range[] = [];
    while (this.#text[this.#at] !== "]") {
      const first = this.#code();
      if (this.#text[this.#at] !== "-" || this.#text[this.#at + 1] === "]") {
        ranges.push([first, first]);
        continue;
      }
      this.#at++;
      const last = this.#code();
      if (last < first) throw this.#wrong("a range is the wrong way round");
      ranges.push([first, last]);
    }
    this.#at++;
    const set = codeSet(ranges);
    const codes = isNegative ? complement(set) : set;
    if (codes.length === 0) throw this.#wrong("a class has no characters");
    return codes;
  }

  #code(): number {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined || code === 0x0a) throw this.#wrong("a text or class does not end");
    this.#at += code > 0xffff ? 2 : 1;
    if (code !== 0x5c) return code;
    const found = /^(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[nrt"\\[\]-])/.exec(
      this.#text.slice(this.#at, this.#at + 9),
    );
    if (found === null) throw this.#wrong("an escape is not known");
    this.#at += found[0].length;
    if (found[0].length === 1) return (ESCAPES[found[0]] ?? found[0]).charCodeAt(0);
    const value = parseInt(found[0].slice(1), 16);
    if (value > LAST_CODE) throw this.#wrong("an escape is no character");
    return value;
  }

  #name(): string {
    const found = /^[A-Za-z0-9-]+/.exec(this.#text.slice(this.#at, this.#at + 256))?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  /** @param lines Line breaks are space, too. */
  #space(lines: boolean): void {
    const space = lines ? /(?:[ \t\r\n]|#[^\n]*)*/y : /[ \t]*(?:#[^\n]*)?/y;
    space.lastIndex = this.#at;
    this.#at += space.exec(this.#text)![0].length;
  }

  #skip(text: string): boolean {
    const isThere = this.#text.startsWith(text, this.#at);
    if (isThere) this.#at += text.length;
    return isThere;
  }

  #wrong(what: string): Inexpressible {
    const line = this.#text.slice(0, this.#at).split("\n").length;
    return new Inexpressible(`line ${line}: ${what}`);
  }
}
