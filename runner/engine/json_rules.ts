/** GBNF rules of JSON itself, which every grammar of a JSON reply builds on. */

/** Rules that all grammars may refer to. White space is bounded: small models love to go on with it. */
export const COMMON: Readonly<Record<string, string>> = {
  ws: `| " " | "\\n" [ \\t]{0,20}`,
  char: `[^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\bfnrt/] | "u" [0-9a-fA-F]{4})`,
  string: `"\\"" char* "\\""`,
  integral: `"0" | [1-9] [0-9]{0,15}`,
  integer: `"-"? integral`,
  number: `"-"? integral ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?`,
  boolean: `"true" | "false"`,
  null: `"null"`,
  value: `object | array | string | number | boolean | null`,
  object: `"{" ws (string ":" ws value ("," ws string ":" ws value)*)? ws "}"`,
  array: `"[" ws (value ("," ws value)*)? ws "]"`,
  date: `[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])`,
  time: `("2" [0-3] | [01] [0-9]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{3})? ` +
    `("Z" | [+-] ("2" [0-3] | [01] [0-9]) ":" [0-5] [0-9])`,
  hex4: `[0-9a-fA-F]{4}`,
};

export const FORMATS: Readonly<Record<string, string>> = {
  "date": `"\\"" date "\\""`,
  "time": `"\\"" time "\\""`,
  "date-time": `"\\"" date "T" time "\\""`,
  "uuid": `"\\"" hex4 hex4 "-" hex4 "-" hex4 "-" hex4 "-" hex4 hex4 hex4 "\\""`,
};

/** The grammar of any JSON object: what Ollama's `format: "json"` asks for. */
export function jsonGrammar(): string {
  return writeGrammar(new Map(Object.entries({ root: "object", ...COMMON })));
}

/** A grammar's text; the rule `root` is where it begins. */
export function writeGrammar(rules: ReadonlyMap<string, string>): string {
  return [...rules].map(([name, body]) => `${name} ::= ${body}\n`).join("");
}
