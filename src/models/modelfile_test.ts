import assert from "node:assert/strict";
import { utf8 } from "../bytes.ts";
import { formatModelfile, kindOfReference, parseModelfile } from "./modelfile.ts";
import { inProportion } from "../../tests/support/patience.ts";

const parse = (text: string) => parseModelfile(utf8(text));

Deno.test("modelfile: every instruction, as Ollama reads it", () => {
  const file = parse(`
# a comment
from ./model.gguf
FROM	./mmproj.gguf
Template """{{ .System }}
{{ .Prompt }}"""
SYSTEM You are "kind". # not a comment
PARAMETER temperature 0.5
parameter STOP "<|end|>"
PARAMETER stop """ two words """
PARAMETER num_ctx 4096
PARAMETER seed -1
PARAMETER use_mmap false
PARAMETER mirostat 1
PARAMETER num_gqa 8
RENDERER gemma4
Parser gemma4
DRAFT ./draft.gguf
MESSAGE user Hi there
MESSAGE assistant """
Hello
"""
LICENSE MIT
LICENSE "and another"
ADAPTER ./lora.gguf
REQUIRES v0.14.0`);
  assert.deepEqual(file, {
    from: [{ value: "./model.gguf", line: 3 }, { value: "./mmproj.gguf", line: 4 }],
    adapters: [{ value: "./lora.gguf", line: 25 }],
    draft: { value: "./draft.gguf", line: 18 },
    template: "{{ .System }}\n{{ .Prompt }}",
    system: 'You are "kind". # not a comment',
    parameters: {
      temperature: 0.5,
      stop: ["<|end|>", " two words "],
      num_ctx: 4096,
      seed: -1,
      use_mmap: false,
    },
    messages: [
      { role: "user", content: "Hi there" },
      { role: "assistant", content: "\nHello\n" },
    ],
    licenses: ["MIT", "and another"],
    requires: "0.14.0",
    warnings: [
      "line 14: the parameter mirostat has no effect any more and is left out",
      "line 15: the parameter num_gqa has no effect any more and is left out",
      "line 16: RENDERER is left out: the model's own template makes the prompts",
      "line 17: PARSER is left out: calls and thoughts are read by the model's own template",
    ],
  });
  assert.equal(parse('FROM x\r\nSYSTEM "a\r\nb"\r\n').system, "a\nb");
  assert.equal(parse('FROM x\nSYSTEM ""').system, "");
  assert.equal(parse('FROM x\nSYSTEM """a "quoted" word"""').system, 'a "quoted" word');
  assert.match(
    parse("FROM x\nREQUIRES 99.1").warnings[0]!,
    /^line 2: the model asks for Ollama 99\.1, newer than \d+\.\d+\.\d+ /,
  );
  const utf16 = new Uint8Array(
    new Uint16Array([0xfeff, ...[..."FROM x"].map((c) => c.charCodeAt(0))]).buffer,
  );
  assert.equal(parseModelfile(utf16).from[0]!.value, "x");
  assert.equal(parse("\ufeffFROM x").from[0]!.value, "x");
});

Deno.test("modelfile: what is wrong is named with its line", () => {
  const rows: [string, RegExp][] = [
    ["FROM x\nTEMPERATURE 1", /^line 2: unknown instruction "TEMPERATURE"$/],
    ["FROM x\n\nPARAMETER heat 1", /^line 3: unknown parameter "heat"$/],
    ["FROM x\nPARAMETER __proto__ 1", /^line 2: unknown parameter/],
    ["FROM x\nPARAMETER temperature hot", /^line 2: temperature must be a number from 0 to 100$/],
    ["FROM x\nPARAMETER temperature -1", /^line 2: temperature must be/],
    ["FROM x\nPARAMETER top_k 1.5", /^line 2: top_k must be a whole number from -1/],
    ["FROM x\nPARAMETER num_ctx 1e99", /^line 2: num_ctx must be/],
    ["FROM x\nPARAMETER use_mmap yes", /^line 2: use_mmap must be true or false$/],
    ["FROM x\nPARAMETER top_k", /^line 2: PARAMETER has no value$/],
    [`FROM x\n${"PARAMETER stop a\n".repeat(65)}`, /^line 66: more than 64 stop texts$/],
    ["FROM x\nMESSAGE tool hi", /^line 2: a MESSAGE is of the role/],
    ["FROM x\nMESSAGE user", /^line 2: MESSAGE has no value$/],
    ["FROM x\nDRAFT", /^line 2: DRAFT has no value$/],
    ["FROM x\nDRAFT y\nDRAFT z", /^line 3: a second DRAFT$/],
    ["FROM", /^line 1: FROM has no value$/],
    ['FROM ""', /^line 1: FROM has no value$/],
    ['FROM x\nSYSTEM """a\nb\nc', /^line 2: the quotes of SYSTEM are never closed$/],
    ['FROM x\nSYSTEM "a', /^line 2: the quotes of SYSTEM are never closed$/],
    ["FROM x\nREQUIRES", /^line 2: REQUIRES has no value$/],
    ["FROM x\nREQUIRES latest", /^line 2: REQUIRES is no version$/],
    ["SYSTEM x", /^the Modelfile has no FROM$/],
    ["", /^the Modelfile has no FROM$/],
  ];
  for (const [text, message] of rows) {
    assert.throws(() => parse(text), { code: "bad-modelfile", exitCode: 2, message }, text);
  }
  assert.throws(() => parseModelfile(Uint8Array.of(0xc3, 0x28)), { code: "bad-modelfile" });
  assert.throws(() => parseModelfile(new Uint8Array(4 * 1024 * 1024 + 1)), /4 MiB/);
});

Deno.test("modelfile: a long text is read in time that its length explains", async () => {
  const text = `FROM x\nSYSTEM """${"a\n".repeat(1_000_000)}`;
  await inProportion("a long text", () => assert.throws(() => parse(text), /never closed/));
});

Deno.test("modelfile: what is written is read back the same", () => {
  const parts = {
    from: ["demo:latest"],
    adapters: ["@sha256:" + "a".repeat(64)],
    template: "{{ .Prompt }}\n",
    system: 'a "word"\nand #more',
    parameters: { temperature: 0.1, stop: ["<|x|>", "a b", ""], use_mmap: true, seed: -1 },
    messages: [{ role: "user" as const, content: "hi" }, {
      role: "assistant" as const,
      content: "",
    }],
    licenses: ["MIT\nwith lines", "x"],
    requires: "0.14.0",
  };
  const read = parse(formatModelfile(parts));
  assert.deepEqual({
    ...read,
    from: read.from.map((one) => one.value),
    adapters: read.adapters.map((one) => one.value),
  }, { ...parts, warnings: [] });
});

Deno.test("modelfile: what FROM names", () => {
  const of = (kind: string, ...values: string[]) =>
    values.forEach((value) => assert.equal(kindOfReference(value), kind, value));
  of("file", "./x", "../x", "/x", "/dev/random", "~/x", "x.gguf", "a/X.GGUF", ".", "..", "C:\\x");
  of("blob", "@sha256:" + "a".repeat(64), "sha256-" + "a".repeat(64), "@sha256:../x");
  of("model", "demo", "me/mine:v2", "localhost:5000/me/mine:v2");
});
