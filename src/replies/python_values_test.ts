/** Python's literals against Python itself: what it prints, and what it reads. */
import assert from "node:assert/strict";
import { readerFor } from "./formats.ts";
import { pythonLiteral } from "./python_literal.ts";
import { Tools } from "./tools.ts";
import { inProportion } from "../../tests/support/patience.ts";
import { seeded, seeds } from "../../tests/support/seeds.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** A line of JSON in for each: a value, which is printed as Python does, or `{"read": text}`, which is read. */
const ORACLE = `
import ast, json, sys, warnings
warnings.simplefilter("ignore")
for line in sys.stdin:
    value = json.loads(line)
    if isinstance(value, dict) and list(value) == ["read"]:
        try: print(json.dumps(ast.literal_eval(value["read"])))
        except Exception: print("null")
    else: print(json.dumps(repr(value)))
`;

async function python(lines: readonly unknown[]): Promise<unknown[]> {
  const child = new Deno.Command("/usr/bin/python3", {
    args: ["-c", ORACLE],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(
    new TextEncoder().encode(lines.map((one) => `${JSON.stringify(one)}\n`).join("")),
  );
  await writer.close();
  const { stdout } = await output;
  return new TextDecoder().decode(stdout).trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** What a reply calls `say` with, read in pieces. It holds no text beside. */
function said(reply: string, size: number): unknown[] {
  const tools = [{ name: "say", parameters: { properties: { text: { type: "string" } } } }];
  const { reader } = readerFor({ template: "", promptTail: "", thought: false, tools });
  const pieces = reply.match(new RegExp(`[^]{1,${size}}`, "g"))!;
  const parts = [...pieces.map((piece) => reader.push(piece)), reader.end(false)];
  assert.equal(parts.map(({ text }) => text).join(""), "", reply);
  return parts.flatMap(({ calls }) => calls.map((call) => call.arguments));
}

const TEXTS = [
  "a",
  "it's",
  '"',
  "\\",
  "\\d",
  "\n",
  "\t",
  "é",
  "😀",
  "\u0000",
  "\u0085",
  "\u{e0001}",
];
TEXTS.push("]", "}", ",", ":", "True", "</parameter>");

function values(seed: number, count: number): unknown[] {
  const random = seeded(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const text = () => Array.from({ length: below(5) }, () => TEXTS[below(TEXTS.length)]).join("");
  const value = (depth: number): unknown => {
    switch (below(depth > 2 ? 5 : 7)) {
      case 0:
        return below(2) === 0;
      case 1:
        return null;
      case 2:
        return below(2000) - 1000;
      case 3:
        return (below(2000) - 1000) / 16;
      case 4:
        return text();
      case 5:
        return Array.from({ length: below(4) }, () => value(depth + 1));
      default:
        return Object.fromEntries(
          Array.from({ length: below(4) }, (_, at) => [`${text()}${at}`, value(depth + 1)]),
        );
    }
  };
  return Array.from({ length: count }, () => [value(0)]);
}

Deno.test("python's literals: what Python prints is read as what it was", async () => {
  const all = values(seeds(1)[0]!, FULL ? 5000 : 500);
  const printed = await python(all);
  for (const [at, text] of printed.entries()) {
    assert.deepEqual(pythonLiteral(String(text)), all[at], String(text));
  }
});

Deno.test("python's literals: an escape is what Python makes of it", async () => {
  const random = seeded(seeds(1)[0]!);
  const below = (limit: number) => Math.floor(random() * limit);
  const parts = [..."abfnrtvxuUN01789dw'\"\\", "\\n", "\\x4", "\\x41", "\\u00e9", "\\U0001F600"];
  parts.push("\\101", "\\7", "\\0", "\\d+", "\\\n", "\\é", "é");
  const texts = Array.from(
    { length: FULL ? 5000 : 500 },
    () => `'${Array.from({ length: 1 + below(6) }, () => parts[below(parts.length)]).join("")}'`,
  );
  let read = 0;
  for (const [at, wanted] of (await python(texts.map((text) => ({ read: text })))).entries()) {
    // What Python refuses (a quote within, half an escape) is for the reader to make something of.
    if (typeof wanted !== "string") continue;
    read++;
    assert.deepEqual(pythonLiteral(`[${texts[at]!}]`), [wanted], texts[at]);
    assert.deepEqual(
      said(`[say(text=${texts[at]!})]`, 1 + below(3)),
      [{ text: wanted }],
      texts[at],
    );
  }
  assert.ok(read > texts.length / 4);
});

Deno.test("python's literals: a text with letters in front is one, and a raw one keeps its backslashes", async () => {
  const random = seeded(seeds(1)[0]!);
  const below = (limit: number) => Math.floor(random() * limit);
  const parts = [
    "\\d+",
    "\\",
    "\\\\",
    "\\'",
    '\\"',
    "\\n",
    "é",
    "😀",
    " ",
    ",",
    "(",
    "\\😀",
    "a\\é",
  ];
  const texts = Array.from({ length: FULL ? 2000 : 200 }, () => {
    const letters = ["r", "R", "u", "U", ""][below(5)]!;
    const quote = ["'", '"', "'''"][below(3)]!;
    const text = Array.from({ length: below(6) }, () => parts[below(parts.length)]).join("");
    return `${letters}${quote}${text}${quote}`;
  });
  let read = 0;
  for (const [at, wanted] of (await python(texts.map((text) => ({ read: text })))).entries()) {
    if (typeof wanted !== "string") continue;
    read++;
    const size = 1 + below(4);
    assert.deepEqual(said(`[say(text=${texts[at]!})]`, size), [{ text: wanted }], texts[at]);
    assert.deepEqual(said(`[say(${texts[at]!})]`, size), [{ text: wanted }], texts[at]);
    assert.deepEqual(said(`[say(text=[${texts[at]!}, 1])]`, size), [{ text: [wanted, 1] }]);
  }
  assert.ok(read > texts.length / 2, `${read} of ${texts.length}`);
  // What stands for another value in Python stands for its text here.
  assert.deepEqual(said('[say(text=f"a {b}")]', 3), [{ text: "a {b}" }]);
  assert.deepEqual(said("[say(text=rb'\\d')]", 1), [{ text: "\\d" }]);
});

Deno.test("python's literals: texts side by side are one, as Python reads them", async () => {
  const random = seeded(seeds(1)[0]!);
  const one = (from: readonly string[]) => from[Math.floor(random() * from.length)]!;
  const quotes = ["'", "'''", '"', '"""'];
  const text = () => {
    const quote = one(quotes);
    return quote + one(["", "a", "é", "\\n", "\\'", "it ", ", ", "]", "b)"]) + quote;
  };
  const texts = Array.from({ length: FULL ? 5000 : 500 }, () => {
    let all = text();
    for (let more = 1 + Math.floor(random() * 3); more > 0; more--) {
      all += one(["", " ", "\n  "]) + text();
    }
    return all;
  });
  let read = 0;
  const asked = texts.map((all) => ({ read: `(${all})` }));
  for (const [at, wanted] of (await python(asked)).entries()) {
    // Where quotes meet they may be other quotes than were meant, without an end.
    if (typeof wanted !== "string") continue;
    read++;
    const all = texts[at]!;
    // Python prints none of three quotes.
    if (!/'''|"""/.test(all)) {
      assert.deepEqual(pythonLiteral(`[${all}, 1]`), [wanted, 1], all);
    }
    assert.deepEqual(said(`[say(text=${all})]`, 1 + (at % 3)), [{ text: wanted }], all);
    assert.deepEqual(said(`[say(text=[${all}, 1])]`, 2), [{ text: [wanted, 1] }], all);
  }
  assert.ok(read > texts.length / 2, `${read} of ${texts.length}`);
});

Deno.test("python's literals: a list that a template prints as Python does is a list where one is wanted, and text elsewhere", () => {
  const tools = new Tools([{
    name: "write",
    parameters: {
      properties: { tags: { type: "array" }, any: {}, both: { type: ["array", "string"] } },
    },
  }]);
  assert.deepEqual(tools.valueOf("write", "tags", "['it\\'s', \"a\", None, True]"), [
    "it's",
    "a",
    null,
    true,
  ]);
  assert.equal(tools.valueOf("write", "tags", "['a'] or ['b']"), "['a'] or ['b']");
  assert.equal(tools.valueOf("write", "any", "['a']"), "['a']");
  assert.equal(tools.valueOf("write", "both", "['a']"), "['a']");
});

Deno.test("python's literals: JSON's slash is one, and what is no character stays as it is written", () => {
  assert.deepEqual(pythonLiteral("['a\\/b', '\\U00110000']"), ["a/b", "\\U00110000"]);
  assert.deepEqual(said("[say(text='a\\/b\\U00110000')]", 1), [{ text: "a/b\\U00110000" }]);
});

Deno.test("python's literals: a long text that is none takes time in proportion", async () => {
  for (const part of ["\\'", "', ", ",  ", "'\\", "'a\\\"", "[", "True "]) {
    await inProportion(part, () => pythonLiteral(`['${part.repeat(100_000)}`));
  }
});

Deno.test("python's literals: a quote within a text, as LFM2's template writes it, does not end the call", () => {
  for (const text of ["it's", "the boys' toys", "a 'b' c", 'say "no" to', '"a" and "b" c']) {
    const quote = text.includes('"') ? '"' : "'";
    const reply = `<|tool_call_start|>[say(text=${quote}${text}${quote})]<|tool_call_end|>`;
    for (const size of [1, 3, reply.length]) {
      assert.deepEqual(said(reply, size), [{ text }], reply);
    }
  }
});
