/** The reader in pieces against `JSON.parse`, by generation, and what it does in one piece. */
import { exactText, parseExact } from "../../src/exact_json.ts";
import assert from "node:assert/strict";
import { runAtOnce } from "../../src/budget.ts";
import { utf8 } from "../../src/bytes.ts";
import { NotUtf8, parseJson, PIECE } from "./json_reader.ts";
import { seeded } from "../../tests/support/seeds.ts";

const read = (bytes: Uint8Array) => runAtOnce(parseJson(bytes));

/** Both readers' value or refusal. */
function same(text: string): void {
  let [wanted, got]: unknown[] = [];
  const bytes = utf8(text);
  // Its text as it is on the wire, where half a surrogate pair is none.
  text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  try {
    wanted = { value: parseExact(text) };
  } catch {
    wanted = "refused";
  }
  try {
    got = { value: read(bytes) };
  } catch (error) {
    assert.ok(error instanceof SyntaxError, String(error));
    got = "refused";
  }
  assert.deepEqual(got, wanted, text.slice(0, 200));
  // Also the order of names, and what `deepEqual` does not tell apart.
  assert.equal(exactText(got), exactText(wanted));
}

function randomOf(seed: number): (below: number) => number {
  const next = seeded(seed);
  return (below) => Math.floor(next() * below);
}

const ATOMS = [
  ..."0 -0 1 -1.5e+3 1E400 12345678901234567890 true false null".split(" "),
  ...['""', '"a"', '"\\u00e4\\ud83d\\ude00"', '"\\ud800"', '"ä€😀\ufeff"', '"\\\\\\"\\/\\b\\n"'],
];
const NAMES = ['"a"', '"b"', '"__proto__"', '"1"', '"\\u0061"', '"constructor"', '""'];
const SPACES = ["", "", "", " ", "\n\t", "\r\n"];

function document(random: (below: number) => number, depth: number): string {
  const space = () => SPACES[random(SPACES.length)]!;
  const kind = depth === 0 ? 0 : random(4);
  const items = Array.from({ length: random(4) });
  const inner = () => `${space()}${document(random, depth - 1)}${space()}`;
  if (kind < 2) return ATOMS[random(ATOMS.length)]!;
  if (kind === 2) return `[${space()}${items.map(inner).join(",")}]`;
  const member = () => `${space()}${NAMES[random(NAMES.length)]}${space()}:${inner()}`;
  return `{${space()}${items.map(member).join(",")}}`;
}

Deno.test("json: what is read is what JSON.parse reads, and what it refuses is refused", () => {
  const random = randomOf(7);
  for (let count = 0; count < 3000; count++) {
    // Some are longer than a piece, within and behind what is not.
    const fill = count % 300 === 0 ? `["${"x".repeat(PIECE - 3 + random(8))}",` : "";
    const text = fill === "" ? document(random, 4) : [
      `${fill}${document(random, 3)}]`,
      `{"a":${fill}1],"b":${document(random, 3)},"a":${fill}2]}`,
    ][random(2)]!;
    same(text);
    // One character less, another, or one more.
    const at = random(text.length);
    const other = '[]{},:"\\ 1e-tn\0\x1f'.charAt(random(16));
    same(text.slice(0, at) + text.slice(at + 1));
    same(text.slice(0, at) + other + text.slice(at + 1));
    same(text.slice(0, at) + other + text.slice(at));
  }
});

Deno.test("json: long strings are cut through no escape and no character", () => {
  const units = ["a", "ä", "€", "😀", "\\n", "\\u20ac", "\\ud83d\\ude00", '\\"', "\\\\"];
  for (const unit of units) {
    const long = unit.repeat(Math.ceil(2.5 * PIECE / unit.length));
    // A piece may end at each of its bytes.
    for (let before = 0; before <= utf8(unit).length; before++) {
      same(`{"${"x".repeat(before)}${long}":["${"y".repeat(before)}${long}"]}`);
    }
    for (const end of ["", "\\", "\\u12", "\n", '\\x"']) same(`"${long}${end}`);
    // The last piece has next to nothing.
    const rest = Math.floor(PIECE / utf8(unit).length);
    for (let more = 0; more < 4; more++) same(`"${unit.repeat(rest + more)}"`);
  }
});

Deno.test("json: what is no UTF-8 is said to be that, wherever a piece ends", () => {
  const bad = [[0xff], [0xc0, 0xaf], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]];
  for (const bytes of bad) {
    for (const before of [0, 1, 2, 3].map((more) => PIECE - more)) {
      const text = utf8(`"${"a".repeat(before)}`);
      assert.throws(() => read(new Uint8Array([...text, ...bytes, 0x22])), NotUtf8);
    }
  }
});

Deno.test("json: a byte order mark in front is passed over, and only there", () => {
  assert.deepEqual(read(utf8("\ufeff[1]")), [1]);
  assert.throws(() => read(utf8("\ufeff\ufeff[1]")), SyntaxError);
  assert.throws(() => read(utf8("[\ufeff1]")), SyntaxError);
  assert.equal(read(utf8('"\ufeff"')), "\ufeff");
});

Deno.test("json: between two places to yield there is about one piece", () => {
  const large = 20 * PIECE;
  const many = (text: string) => text.repeat(large / text.length);
  for (
    const [name, text] of [
      ["a long string", `"${many("a")}"`],
      ["a string of escapes", `"${many("\\n")}"`],
      ["numbers", `[${many("1,")}1]`],
      ["short strings", `[${many(`"abcdef",`)}1]`],
      ["strings of some size", `[${many(`"${"a".repeat(1000)}",`)}1]`],
      ["members", `{"x":{"y":{${many(`"a":1,`)}"b":2}}}`],
      ["objects inside each other", `[${many(`{"a":[[${many("1,").slice(0, 90_000)}1]]},`)}1]`],
    ] as const
  ) {
    const work = parseJson(utf8(text));
    let yields = 0;
    while (!work.next().done) yields++;
    assert.ok(yields >= Math.floor(text.length / PIECE), `${name}: ${yields}`);
  }
});
