/** GBNF rules of JSON itself, which every grammar of a JSON reply builds on. */

/**
 * White space is bounded: small models love to go on with it. So is a number's exponent, which no double exceeds. Surrogates
 * come in pairs, as RFC 8259 (8.2) advises.
 */
export const COMMON = {
  ws: `| " " | "\\n" [ \\t]{0,20}`,
  gap: `" "{0,4} | "\\n" [ \\t]{0,20}`,
  char: `[^"\\\\\\x00-\\x1F] | escape`,
  escape:
    `"\\\\" (["\\\\bfnrt/] | "u" (unit | [dD] [89abAB] hex hex "\\\\u" [dD] [c-fC-F] hex hex))`,
  unit: `[0-9a-cA-Ce-fE-F] hex hex hex | [dD] [0-7] hex hex`,
  hex: `[0-9a-fA-F]`,
  string: `"\\"" char* "\\""`,
  integral: `"0" | [1-9] [0-9]{0,14}`,
  integer: `"-"? integral`,
  number: `"-"? integral ("." [0-9]{1,17})? ([eE] [-+]? exponent)?`,
  exponent: `[0-9] [0-9]? | "1" [0-9] [0-9] | "2" [0-8] [0-9]`,
  boolean: `"true" | "false"`,
  null: `"null"`,
  value: `object | array | string | number | boolean | null`,
  object: `"{" ws (string ":" ws value ("," ws string ":" ws value)*)? ws "}"`,
  array: `"[" ws (value ("," ws value)*)? ws "]"`,
} as const;
