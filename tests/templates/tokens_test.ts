/**
 * Prompts token by token: for each template and conversation of the corpus, what the model is fed is what llama.cpp makes of the
 * whole prompt at once. Prompts are made in pieces, so that text of users stays text; the pieces must not show.
 */
import assert from "node:assert/strict";
import { openLibrary } from "../../runner/engine/library.ts";
import { loadModel } from "../../runner/engine/model.ts";
import { ChatRenderer } from "../../runner/engine/template.ts";
import { DEMO_MODEL, libraryFolder } from "../../runner/engine/testing.ts";
import { makeRandomGguf } from "../../runner/engine/testing_gguf.ts";
import type { Vocabulary } from "../../runner/engine/vocabulary.ts";
import { Budget, runAtOnce } from "../../src/budget.ts";
import { JinjaError } from "../../src/templates/mod.ts";
import { sharedModel } from "../support/shared_models.ts";
import { corpus, type Member } from "./corpus.ts";
import { type Shape, SHAPES } from "./shapes.ts";

const MEMBERS = corpus();
/** What the templates of the corpus write as control tokens. */
const CONTROL = [
  ...new Set(
    MEMBERS.flatMap(({ template }) =>
      template.source.match(
        /<\|[\w ]{1,40}\|>|<｜[^｜\s]{1,40}｜>|\[\/?[A-Z_]{3,30}\]|<\/?[a-z_]{3,24}>/g,
      ) ?? []
    ),
  ),
].slice(0, 250);

async function withVocabulary(
  path: string,
  use: (vocabulary: Vocabulary) => void,
): Promise<void> {
  const library = openLibrary(libraryFolder(), { verify: false });
  const { pointer, vocabulary } = loadModel(library, path, { gpuLayers: 0 });
  try {
    await use(vocabulary);
  } finally {
    library.llama.llama_model_free(pointer);
  }
}

/** The whole prompt, by a rendering that knows nothing of pieces; `undefined`: the template refuses the conversation. */
function wholePrompt(
  { template }: Member,
  shape: Shape,
  specials: { bos_token: string; eos_token: string },
): string | undefined {
  // Continued replies are the renderer's own work.
  const asked = { ...shape, addGenerationPrompt: shape.addGenerationPrompt ?? true };
  for (const { messages, needs } of template.forms(shape)) {
    try {
      const budget = new Budget({ what: "the chat template" });
      return runAtOnce(template.renderAs(messages, { ...asked, needs, specials }, budget));
    } catch (error) {
      if (!(error instanceof JinjaError)) throw error;
    }
  }
  return undefined;
}

/** @returns How many prompts were compared. */
function check(vocabulary: Vocabulary): number {
  const specials = {
    bos_token: vocabulary.textOf(vocabulary.bos),
    eos_token: vocabulary.textOf(vocabulary.eos),
  };
  let prompts = 0;
  for (const member of MEMBERS) {
    const renderer = new ChatRenderer(vocabulary, member.template.source);
    for (const [name, shape] of Object.entries(SHAPES)) {
      const said = JSON.stringify([shape.messages, shape.tools ?? []]);
      if (vocabulary.controlTexts.some((text) => said.includes(text))) continue;
      const continues = shape.messages.at(-1)?.role === "assistant";
      const whole = wholePrompt(member, shape, specials);
      if (whole === undefined || continues) continue;
      const budget = new Budget({ what: "the chat template" });
      const parts = runAtOnce(renderer.render(shape, budget));
      const where = `${member.name}, ${name}`;
      assert.equal(parts.map(({ text }) => text).join(""), whole, where);
      assert.deepEqual(
        vocabulary.tokenizePrompt(parts, { bos: false }),
        vocabulary.tokenize(whole, { special: true }),
        where,
      );
      prompts++;
    }
  }
  return prompts;
}

Deno.test("prompts: with every family's control tokens, tokenized as a whole", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    const tokens = CONTROL.map((text) => ({ text, type: 3 }));
    makeRandomGguf("tiny", "q8_0", `${folder}/m.gguf`, { tokens });
    await withVocabulary(`${folder}/m.gguf`, (vocabulary) => {
      const prompts = check(vocabulary);
      assert.ok(CONTROL.length > 100 && prompts > 600, `${CONTROL.length} tokens, ${prompts}`);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("prompts: in the demo model's vocabulary, tokenized as a whole", () =>
  withVocabulary(DEMO_MODEL, (vocabulary) => {
    const prompts = check(vocabulary);
    assert.ok(prompts > 600, `${prompts}`);
  }));

const NAME = "prompts: in a vocabulary that llama.cpp's authors trained, tokenized as a whole";
const stories = sharedModel("stories260K.gguf", NAME);
Deno.test({
  name: NAME,
  ignore: stories === undefined,
  fn: () =>
    withVocabulary(stories!, (vocabulary) => {
      const prompts = check(vocabulary);
      assert.ok(prompts > 600, `${prompts}`);
      const parts = [
        { text: "[INST] ", special: true },
        { text: "Lily was happy", special: false },
        { text: " [/INST]", special: true },
      ];
      assert.equal(vocabulary.tokenizePrompt(parts).length, 19);
      // In pieces, each for itself, it is another prompt.
      const apart = parts.flatMap(({ text }) => [...vocabulary.tokenize(text, { special: true })]);
      assert.equal(apart.length + 1, 21);
    }),
});
