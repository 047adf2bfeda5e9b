import assert from "node:assert/strict";
import { Fields } from "./fields.ts";
import { DEFAULT_OPTIONS, parseOptions } from "./options.ts";

const parse = (options: unknown) => parseOptions(Fields.of(options, "options"), DEFAULT_OPTIONS);

Deno.test("options: nothing said gives Ollama's defaults", () => {
  assert.deepEqual(parse({}), {
    sampling: {
      temperature: 0.8,
      topK: 40,
      topP: 0.9,
      minP: 0,
      repeatPenalty: 1,
      repeatLastN: 64,
      presencePenalty: 0,
      frequencyPenalty: 0,
    },
    maxTokens: -1,
    stop: [],
    keepTokens: 4,
  });
});

Deno.test("options: each one reaches its place", () => {
  const options = parse({
    temperature: 0,
    top_k: 1,
    top_p: 0.5,
    min_p: 0.1,
    typical_p: 0.7,
    repeat_penalty: 1.2,
    repeat_last_n: -1,
    presence_penalty: -1,
    frequency_penalty: 0.5,
    seed: 42,
    num_predict: 7,
    num_ctx: 256,
    num_keep: 2,
    stop: ["a", "", "b"],
  });
  assert.deepEqual(options, {
    sampling: {
      temperature: 0,
      topK: 1,
      topP: 0.5,
      minP: 0.1,
      typicalP: 0.7,
      repeatPenalty: 1.2,
      repeatLastN: -1,
      presencePenalty: -1,
      frequencyPenalty: 0.5,
      seed: 42,
    },
    maxTokens: 7,
    contextLength: 256,
    keepTokens: 2,
    stop: ["a", "b"],
  });
});

Deno.test("options: unknown and null ones are ignored", () => {
  assert.deepEqual(parse({ zeal: 11, temperature: null, stop: null, __proto__: 1 }), parse({}));
});

Deno.test("options: fractions are dropped, top_k -1 is the whole vocabulary", () => {
  const { sampling, maxTokens } = parse({ top_k: -1, seed: 7.9, num_predict: 5.5 });
  assert.deepEqual([sampling.topK, sampling.seed, maxTokens], [0, 7, 5]);
});

Deno.test("options: a negative seed is random, larger ones than 32 bits are folded", () => {
  for (const seed of [-1, -7]) assert.equal(parse({ seed }).sampling.seed, undefined);
  assert.equal(parse({ seed: 0xffff_ffff }).sampling.seed, 0);
  assert.ok(parse({ seed: Number.MAX_SAFE_INTEGER }).sampling.seed! < 0xffff_ffff);
});

const BAD: [name: string, value: unknown][] = [
  ["temperature", "0.5"],
  ["temperature", -0.1],
  ["temperature", 1e9],
  ["top_k", -2],
  ["top_k", 1e12],
  ["top_p", 1.01],
  ["top_p", -1],
  ["min_p", 2],
  ["typical_p", []],
  ["repeat_penalty", 0],
  ["repeat_penalty", -1],
  ["repeat_last_n", -2],
  ["presence_penalty", 1e6],
  ["seed", 1e300],
  ["seed", "1"],
  ["num_predict", -3],
  ["num_predict", 2 ** 31],
  ["num_predict", "10"],
  ["num_ctx", 0],
  ["num_ctx", -1],
  ["num_ctx", 2 ** 40],
  ["num_keep", -5],
  ["num_batch", -1],
  ["num_thread", -1],
  ["use_mmap", "yes"],
  ["stop", "a"],
  ["stop", [1]],
  ["stop", Array(65).fill("a")],
  ["stop", ["a".repeat(5000)]],
];

for (const [name, value] of BAD) {
  const shown = JSON.stringify(value).slice(0, 20);
  Deno.test(`options: ${name} ${shown} is refused by name (CVE-2026-21869)`, () => {
    assert.throws(() => parse({ [name]: value }), {
      code: "bad-request",
      field: `options.${name}`,
      message: new RegExp(`^options\\.${name} `),
    });
  });
}
