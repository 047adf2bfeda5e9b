import assert from "node:assert/strict";
import { commandLine, environmentBlock, wide } from "./text.ts";

const decode = (bytes: Uint8Array) => new TextDecoder("utf-16le").decode(bytes);

/** The rules of CommandLineToArgvW for arguments after the first, written from its documentation. */
function split(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let quoted = false;
  let open = false;
  for (let i = 0; i < line.length; i++) {
    const run = /^\\+/.exec(line.slice(i))?.[0] ?? "";
    if (run && line[i + run.length] === '"') {
      word += "\\".repeat(run.length >> 1);
      open = true;
      i += run.length;
      if (run.length % 2 === 1) word += '"';
      else quoted = !quoted;
    } else if (line[i] === '"') {
      quoted = !quoted;
      open = true;
    } else if (/\s/.test(line[i]!) && !quoted) {
      if (open) words.push(word);
      word = "";
      open = false;
    } else {
      word += line[i];
      open = true;
    }
  }
  if (open) words.push(word);
  return words;
}

Deno.test("Windows: a command line is split into the words it was made of", () => {
  for (
    const words of [
      ["a", "b c", "", "d\\", "e f\\", 'g"h', 'i\\"j', "\\\\host\\share", 'k l\\\\"m', "n\to"],
      ["C:\\Program Files\\SecLlama\\runner.exe", "--allow-read=C:\\a b\\,C:\\c"],
    ]
  ) {
    assert.deepEqual(split(commandLine(words)), words);
  }
});

Deno.test("Windows: texts are UTF-16 with their zero, and hold no other", () => {
  assert.deepEqual([...wide("aé")], [97, 0, 0xe9, 0, 0, 0]);
  assert.equal(decode(wide("模型😀")), "模型😀\0");
  assert.throws(() => wide("a\0b"), TypeError);
  assert.equal(decode(environmentBlock({ b: "2", A: "1" })), "A=1\0b=2\0\0");
  assert.throws(() => environmentBlock({ a: "\0" }), TypeError);
});
