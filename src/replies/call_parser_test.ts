/** Calls in each family's own way of writing, however a reply is cut into pieces, and wherever it ends too early. */
import assert from "node:assert/strict";
import { inProportion } from "../../tests/support/patience.ts";
import { CallParser } from "./call_parser.ts";
import { SYNTAXES } from "./syntaxes.ts";
import { FAMILIES, named, TOOLS, WEATHER } from "./testing_calls.ts";
import type { ParsedCall } from "./tools.ts";

interface Result {
  text: string;
  calls: ParsedCall[];
}

function run(pieces: readonly string[], cut = false): Result {
  const parser = new CallParser(TOOLS);
  const result: Result = { text: "", calls: [] };
  for (const found of [...pieces.map((piece) => parser.push(piece)), parser.end(cut)]) {
    result.text += found.text;
    result.calls.push(...found.calls);
  }
  return result;
}

const twoPieces = (reply: string) =>
  Array.from({ length: reply.length + 1 }, (_, at) => [reply.slice(0, at), reply.slice(at)]);

for (const [family, reply, calls] of FAMILIES) {
  Deno.test(`calls: ${family}, however it is cut into pieces`, () => {
    for (const pieces of [[reply], [...reply], reply.split(""), ...twoPieces(reply)]) {
      assert.deepEqual(run(pieces), { text: "", calls });
    }
    const around = run([`I look.\n${reply}`]);
    // A reply without tags is a call only if it is nothing else.
    if (!/^[[{]/.test(reply)) assert.deepEqual(around, { text: "I look.\n", calls });
  });

  Deno.test(`calls: ${family}, cut short, stays a call`, () => {
    const opening = reply.search(/[^\s]/);
    const tag = SYNTAXES.find(({ open }) => reply.startsWith(open, opening))?.open;
    let named = 0;
    for (let length = opening + 1; length < reply.length; length++) {
      const part = reply.slice(0, length);
      const { text, calls: found } = run([part], true);
      assert.deepEqual(run([...part], true), { text, calls: found }, part);
      assert.ok(found.length <= calls.length);
      // What is left of a call, or of the next one's tag, is no text.
      if (tag !== undefined && length >= opening + tag.length) assert.equal(text, "", part);
      found.forEach((call, index) => {
        assert.equal(call.name, calls[index]!.name, part);
        if (call.partial === undefined) {
          assert.deepEqual(call.arguments, calls[index]!.arguments, part);
          return;
        }
        named++;
        assert.equal(index, found.length - 1, "only the last one is cut");
        const whole = calls[index]!.arguments;
        for (const [key, value] of Object.entries(call.arguments)) {
          const is = JSON.stringify(value);
          const same = JSON.stringify(whole[key]) === is;
          const begins =
            typeof value === "string" && String(whole[key]).trimEnd().startsWith(value.trimEnd()) ||
            typeof value === "object" || typeof value === "number" ||
            // A tag that is half there may still be text.
            (typeof value === "string" && /<|｜/.test(value));
          assert.ok(same || begins, `${part} => ${key}: ${is}`);
        }
      });
    }
    if (
      calls.length > 0 && !/^Action|^<\|tools_prefix|\.call\(/.test(reply) &&
      !reply.includes("weather.call")
    ) {
      assert.ok(named > 0, "some were cut within their arguments");
    }
  });

  Deno.test(`calls: ${family}, of tools that are not there, is text`, () => {
    const parser = new CallParser([{ name: "other" }]);
    const found = [parser.push(reply), parser.end(false)];
    if (calls.length > 0) assert.equal(found.map((one) => one.text).join("").trim(), reply.trim());
    assert.deepEqual(found.flatMap((one) => one.calls), []);
  });
}

const TEXTS: readonly string[] = [
  "Nothing <to> see [here] {now}.",
  '{"answer": 42, "name": "weather"}',
  '{"name": "rm", "arguments": {}}',
  "[1, 2] is a list",
  "[weather is nice]",
  "[weather](https://example.org)",
  '<tool_call>{"name": "rm"}</tool_call>',
  "<tool_call>oops</tool_call>",
  "<tool_call>",
  '<tool_call>{"name": "wea',
  "[TOOL_CALLS]rm{}",
  "import functools",
  "<function=rm>{}</function>",
  '{"name": "constructor"}',
  "<|python_start|>x<|python_end|>",
  "a < b and [c] { d",
];

Deno.test("calls: what is none is text, whole and in order, however it is cut into pieces", () => {
  for (const reply of TEXTS) {
    for (const pieces of [[reply], [...reply], ...twoPieces(reply)]) {
      assert.deepEqual(run(pieces), { text: reply, calls: [] }, reply);
    }
  }
});

Deno.test("calls: a failed opening hides no call behind it", () => {
  const reply = `<tool_call>oops <tool_call>${named(WEATHER)}</tool_call> Done.`;
  for (const pieces of [[reply], [...reply], ...twoPieces(reply)]) {
    assert.deepEqual(run(pieces), { text: "<tool_call>oops Done.", calls: [WEATHER] });
  }
});

Deno.test("calls: text before, between and behind", () => {
  const call = `<tool_call>${named(WEATHER)}</tool_call>`;
  for (
    const pieces of [[`Let me see.\n${call}\n${call}\nDone.`], [
      ...`Let me see.\n${call}\n${call}\nDone.`,
    ]]
  ) {
    assert.deepEqual(run(pieces), { text: "Let me see.\nDone.", calls: [WEATHER, WEATHER] });
  }
});

Deno.test("calls: a value has the type that its schema says", () => {
  const value = (parameter: string, text: string) =>
    run([
      `<tool_call><function=write_file><parameter=${parameter}>\n${text}\n</parameter></function></tool_call>`,
    ])
      .calls[0]?.arguments[parameter];
  assert.equal(value("path", "3001"), "3001");
  assert.equal(value("path", "true"), "true");
  assert.equal(value("path", '{"a": 1}'), '{"a": 1}');
  assert.equal(value("path", "  two\n\nlines\n"), "  two\n\nlines\n");
  assert.equal(value("mode", "null"), null);
  assert.equal(value("mode", "5"), "5");
  assert.equal(value("port", "8080"), "8080");
  assert.equal(value("level", "1"), "1");
  assert.deepEqual(value("tags", '["a"]'), ["a"]);
  assert.equal(value("force", "true"), true);
  assert.equal(value("unknown", "7"), 7);
  assert.equal(value("unknown", "seven"), "seven");
});

Deno.test("calls: plain text is not held back", () => {
  const parser = new CallParser(TOOLS);
  assert.equal(parser.push("Hello").text, "Hello");
  assert.equal(parser.push(" <").text, " ");
  assert.equal(parser.push("b>").text, "<b>");
  const answer = new CallParser(TOOLS);
  assert.equal(answer.push('{"answer').text, '{"answer');
});

Deno.test("calls: a long call takes time in proportion to its length, in each way of writing", async () => {
  const letters = 200_000;
  const long = "x".repeat(20);
  const openings = [
    '<tool_call>{"name": "write_file", "arguments": {"path": "',
    "<tool_call><function=write_file><parameter=path>\n",
    "<tool_call>write_file\n<arg_key>path</arg_key><arg_value>",
    '[write_file(path="',
    '{"name": "write_file", "parameters": {"path": "',
    '<|tool_call>call:write_file{path:<|"|>',
  ];
  for (const opening of openings) {
    await inProportion(`${letters} letters behind ${opening}`, () => {
      const parser = new CallParser(TOOLS);
      parser.push(opening);
      for (let count = 0; count < letters; count += 20) parser.push(long);
      assert.equal(parser.end(true).calls[0]?.name, "write_file");
    });
  }
});

Deno.test("calls: a list of Gemma's that holds nothing at all ends", () => {
  for (const [open, quote] of [["<|tool_call>", '<|"|>'], ["<start_function_call>", "<escape>"]]) {
    const read = (inside: string) => {
      const parser = new CallParser(TOOLS);
      const reply = `${open}call:weather{city:${inside}`;
      const found = [parser.push(reply), parser.end(false)];
      return {
        reply,
        calls: found.flatMap(({ calls }) => calls),
        text: found.map(({ text }) => text).join(""),
      };
    };
    for (const inside of ["[}", "[}]}", "[,}", "{a:}", "{:}"]) {
      const { reply, calls, text } = read(inside);
      assert.deepEqual(calls, [], reply);
      assert.equal(text, reply);
    }
    // Of this one something was shown: it stays a call that breaks off.
    const { calls, text } = read(`[${quote}a${quote}}`);
    assert.deepEqual(calls, [{ name: "weather", arguments: {}, partial: '{"city":["a",' }]);
    assert.equal(text, "");
  }
});

Deno.test("calls: a reply that is cut within a call's opening tag has no text of it, and other text stays", () => {
  const read = (text: string, cut: boolean) => {
    const parser = new CallParser(TOOLS);
    const said = [...text].map((char) => parser.push(char));
    return [...said, parser.end(cut)].map((one) => one.text).join("");
  };
  for (const { open } of SYNTAXES) {
    for (let length = 2; length < open.length; length++) {
      const begun = open.slice(0, length);
      if (/^[<[]/.test(begun)) {
        assert.equal(read(begun, true), "", begun);
        if (2 * length >= open.length) assert.equal(read(`So. ${begun}`, true), "So. ", begun);
      } else assert.equal(read(`So. ${begun}`, true), `So. ${begun}`);
      // A reply that ended by itself said it.
      assert.equal(read(`So. ${begun}`, false), `So. ${begun}`);
    }
  }
  for (const text of ["1 <", "[", "a <b", "the func", "x < y and <"]) {
    assert.equal(read(text, true), text);
  }
});
