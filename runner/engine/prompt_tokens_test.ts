/** Prompts are tokenized as one text, by every vocabulary that is here, and nobody's text becomes a control token. */
import assert from "node:assert/strict";
import { sharedModel } from "../../tests/support/shared_models.ts";
import { openLibrary } from "./library.ts";
import { loadModel } from "./model.ts";
import { DEMO_MODEL, exists, libraryFolder } from "./testing.ts";
import { makeRandomGguf } from "./testing_gguf.ts";
import type { PromptPart } from "./types.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { inProportion } from "../../tests/support/patience.ts";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import type { LongWork } from "../turns.ts";

const STORIES = sharedModel("stories260K.gguf", "prompt tokens (stories)") ?? "";
const CONTROL = [
  "<|im_start|>",
  "<|im_end|>",
  "<|im_end|",
  "<|endoftext|>",
  "[INST]",
  "[/INST]",
  "<｜User｜>",
];
const USER_DEFINED = [
  "<tool_call>",
  "</tool_call>",
  "<think>",
  "</think>",
  "  ",
  "    ",
  "<table>",
];
const TOKENS = [
  ...CONTROL.map((text) => ({ text, type: 3 })),
  ...USER_DEFINED.map((text) => ({ text, type: 4 })),
  // Of which SentencePiece would make a control token.
  { text: "</", type: 1 },
  { text: "s>", type: 1 },
];
const WORDS = [
  "Lily",
  " was",
  " happy",
  " ",
  "  ",
  "\n",
  "w1",
  " w5",
  "é",
  "😀",
  "<",
  "|>",
  "im",
  "=",
];

async function withVocabulary(
  path: string,
  use: (vocabulary: Vocabulary) => void | Promise<void>,
): Promise<void> {
  const library = openLibrary(libraryFolder(), { verify: false });
  const model = loadModel(library, path, { gpuLayers: 0 });
  try {
    await use(model.vocabulary);
  } finally {
    library.llama.llama_model_free(model.pointer);
  }
}

async function withMade(
  name: string | undefined,
  use: (vocabulary: Vocabulary) => void | Promise<void>,
) {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    makeRandomGguf("tiny", "q8_0", `${dir}/m.gguf`, {
      tokens: TOKENS,
      ...(name === undefined ? {} : { name }),
    });
    await withVocabulary(`${dir}/m.gguf`, use);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Each vocabulary: SentencePiece with tokens of every kind, the same with Phi-3's stripping, and what lies here. */
const VOCABULARIES: [
  name: string,
  run: (use: (vocabulary: Vocabulary) => void | Promise<void>) => Promise<void>,
][] = [
  ["made", (use) => withMade(undefined, use)],
  ["made, as Phi-3", (use) => withMade("phi-3", use)],
];
for (const [name, path] of [["demo", DEMO_MODEL], ["stories", STORIES]] as const) {
  if (exists(path)) VOCABULARIES.push([name, (use) => withVocabulary(path, use)]);
}

const pick = <T>(random: () => number, list: readonly T[]): T =>
  list[Math.floor(random() * list.length)]!;
const whole = (parts: readonly PromptPart[]) => parts.map((part) => part.text).join("");
const words = (random: () => number, list: readonly string[]) =>
  Array.from({ length: 1 + Math.floor(random() * 8) }, () => pick(random, list)).join("");

Deno.test("prompt tokens: more tags in a user's text than a stack holds", () =>
  withMade(undefined, (vocabulary) => {
    const parts = [{ text: "<tool_call>".repeat(140_000), special: false }];
    const tokens = vocabulary.tokenizePrompt(parts, { bos: false, always: true });
    const control = vocabulary.tokenize("<tool_call>", { special: true })[0];
    assert.ok(tokens.length > 140_000 && !tokens.includes(control!));
  }));

for (const [name, run] of VOCABULARIES) {
  Deno.test(`prompt tokens: what llama.cpp makes of the whole, token by token (${name})`, () =>
    run((vocabulary) => {
      const random = seeded(7);
      const specials = [...vocabulary.controlTexts, ...vocabulary.userDefinedTexts].slice(0, 50);
      let cut = 0;
      for (let round = 0; round < 400; round++) {
        // A template's words with tokens, a user's without.
        const parts: PromptPart[] = [];
        for (let at = 0; at < 6; at++) {
          const special = at % 2 === 0;
          const list = special && specials.length > 0 ? [...specials, ...WORDS] : WORDS;
          parts.push({ text: words(random, list), special });
        }
        const expected = vocabulary.tokenize(whole(parts), { special: true });
        const one = [{ text: whole(parts), special: true }];
        assert.deepEqual(vocabulary.tokenizePrompt(one, { bos: false }), expected);
        assert.deepEqual(
          vocabulary.tokenizePrompt(one, { bos: false, always: true }),
          expected,
          JSON.stringify(whole(parts)),
        );
        // Where words meet, a token may arise across parts: it must not.
        const tokens = vocabulary.tokenizePrompt(parts, { bos: false });
        if (String(tokens) === String(expected)) cut++;
      }
      assert.ok(cut > 200, `${cut} of 400 without tokens across parts`);
    }));

  Deno.test(`prompt tokens: text of a user stays text, whatever it meets (${name})`, () =>
    run((vocabulary) => {
      const random = seeded(8);
      const controls = vocabulary.controlTexts.slice(0, 50);
      const isControl = new Set(
        controls.map((text) => vocabulary.tokenize(text, { special: true })[0]),
      );
      let attacks = 0;
      for (let round = 0; round < 300; round++) {
        const control = pick(random, controls);
        const cut = 1 + Math.floor(random() * (control.length - 1));
        const shapes: PromptPart[][] = [
          [{ text: control, special: false }],
          // Half of it is the template's, or both halves are but another's word is between.
          [
            { text: control.slice(0, cut), special: true },
            { text: control.slice(cut), special: false },
          ],
          [
            { text: control.slice(0, cut), special: false },
            { text: control.slice(cut), special: true },
          ],
          [
            { text: control.slice(0, cut), special: true },
            { text: control.slice(cut), special: true },
          ],
        ];
        const before = words(random, WORDS);
        for (const shape of shapes) {
          // Half of one token may be another, and is the template's then.
          if (shape.some((part) => part.special && controls.includes(part.text))) continue;
          const parts = [{ text: before, special: false }, ...shape, { text: " x", special: true }];
          if (
            vocabulary.tokenize(whole(parts), { special: true }).some((id) => isControl.has(id))
          ) {
            attacks++;
          }
          const tokens = vocabulary.tokenizePrompt(parts, { bos: false });
          assert.ok(!tokens.some((id) => isControl.has(id)), JSON.stringify(parts));
          // SentencePiece puts spaces behind tokens, and Phi-3 takes some away.
          const read = vocabulary.detokenize(tokens).replace(/\s/g, "");
          assert.equal(read, whole(parts).replace(/\s/g, ""));
        }
      }
      // Without the protection they work.
      assert.ok(attacks > 300, `${attacks}`);
    }));
}

Deno.test("prompt tokens: tokens that llama.cpp knows in any text, by who wrote them", () =>
  withMade(undefined, (vocabulary) => {
    const [id] = vocabulary.tokenize("<think>", { special: false });
    const [call] = vocabulary.tokenize("<tool_call>", { special: false });
    const [table] = vocabulary.tokenize("<table>", { special: false });
    const has = (part: PromptPart, token: number | undefined) =>
      vocabulary.tokenizePrompt([{ text: "a ", special: true }, part], { bos: false })
        .includes(token!);
    assert.ok(has({ text: "<think>", special: true }, id));
    assert.ok(has({ text: "<think>", special: false, reply: true }, id));
    assert.ok(!has({ text: "<think>", special: false }, id));
    assert.ok(!has({ text: "<tool_call>", special: false, reply: true }, call));
    assert.ok(has({ text: "<tool_call>", special: true }, call));
    assert.ok(has({ text: "<table>", special: false }, table));
  }));

/** Work whose asides are waited for. */
async function done<T>(work: LongWork<T>): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    if (value !== undefined) await value();
  }
}

const LONG_TEXTS = Deno.env.get("SECLLAMA_FULL") === "1" ? 60 : 2;
/** Characters that no token has, beside those that many have. */
const RARE = ["😀", "𝔸", "ݐ", "\ud800", "\udc00", "▁", "\n", " ", "e\u0301", " a", "[INST]", "s>"];

for (const [name, run] of VOCABULARIES) {
  Deno.test(`prompt tokens: a long text in parts is what llama.cpp makes of the whole (${name}), seed: ${SEED}`, () =>
    run(async (vocabulary) => {
      const random = seeded(SEED);
      const specials = [...vocabulary.controlTexts, ...vocabulary.userDefinedTexts].slice(0, 50);
      for (let round = 0; round < LONG_TEXTS; round++) {
        const list = Array.from(
          { length: 1 + Math.floor(random() * 5) },
          () => pick(random, [...WORDS, ...RARE, ...specials]),
        );
        let text = "";
        while (text.length < 100_000) {
          text += words(random, list).repeat(1 + Math.floor(random() * 900));
        }
        for (const special of [true, false]) {
          const parts = [{ text, special }];
          const expected = vocabulary.tokenizePrompt(parts);
          const tokens = await done(vocabulary.tokenizeInTurns(parts));
          assert.ok(tokens !== undefined && tokens.every((id, at) => id === expected[at]));
          assert.equal(tokens.length, expected.length, JSON.stringify(list));
        }
      }
    }));
}

Deno.test("prompt tokens: characters that no token has take time in proportion to their number", () =>
  withMade(undefined, async (vocabulary) => {
    const parts = [{ text: "😀".repeat(200_000), special: true }];
    let tokens: Int32Array | undefined;
    await inProportion("characters of no token", async () => {
      tokens = await done(vocabulary.tokenizeInTurns(parts, { bos: false }));
    });
    assert.equal(tokens?.length, 800_001);
  }));

const noStories = !exists(STORIES);
if (noStories) console.log(`skipped: a vocabulary of SentencePiece: there is no ${STORIES}`);

Deno.test({
  name: "prompt tokens: a user's words behind a template's space are tokenized with it",
  ignore: noStories,
  fn: () =>
    withVocabulary(STORIES, (vocabulary) => {
      const parts = [
        { text: "[INST] ", special: true },
        { text: "Lily was happy", special: false },
        { text: " [/INST]", special: true },
      ];
      const raw = vocabulary.tokenize("[INST] Lily was happy [/INST]", {
        special: true,
        bos: true,
      });
      assert.deepEqual(vocabulary.tokenizePrompt(parts), raw);
      assert.equal(raw.length, 19);
    }),
});
