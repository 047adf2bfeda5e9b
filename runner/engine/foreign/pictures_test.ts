/** Pictures for an engine of somebody else's: what text it is given beside them, and what of that it must never take for its own. */
import assert from "node:assert/strict";
import { seeded } from "../../../tests/support/seeds.ts";
import { openLibrary } from "../library.ts";
import { loadModel } from "../model.ts";
import { coded, demoTest, libraryFolder, runLongWork } from "../testing.ts";
import { wav } from "../testing_hearing.ts";
import { plain } from "../testing_seeing.ts";
import type { PromptPart } from "../types.ts";
import { tokenizePictures } from "../vision/picture_prompt.ts";
import { pngOfKind } from "../vision/testing_pictures.ts";
import type { Vocabulary } from "../vocabulary.ts";
import { ForeignPictures } from "./pictures.ts";

const SEES = { sees: true, hears: false, marker: "<__media_x8wq0Zr3f9Ln6cTgY1bVd2KsJ7hPmA4e__>" };

async function withVocabulary(
  modelPath: string,
  test: (vocabulary: Vocabulary) => Promise<void>,
): Promise<void> {
  const library = openLibrary(libraryFolder(), { verify: false });
  const model = loadModel(library, modelPath, {
    gpuLayers: 0,
    retyped: [],
    vocabularyOnly: true,
  });
  try {
    await test(model.vocabulary);
  } finally {
    await model.vocabulary.idle();
    library.llama.llama_model_free(model.pointer);
  }
}

/** A user's turn around a picture. */
function turn(text: string, picture: PromptPart["picture"]): PromptPart[] {
  return [
    { text: "<|im_start|>user\n", special: true },
    { text: "", special: true, picture: picture! },
    { text, special: false },
    { text: "<|im_end|>\n<|im_start|>assistant\n", special: true },
  ];
}

demoTest(
  "a text beside a picture has the control tokens that were put there, or is refused",
  (path) =>
    withVocabulary(path, async (vocabulary) => {
      const pictures = new ForeignPictures(SEES);
      using picture = await pictures.take(plain("red"), "picture");
      const controls = (text: string) =>
        [...vocabulary.tokenize(text, { special: true })]
          .filter((id) => vocabulary.structural.has(id));
      const random = seeded(15);
      const below = (count: number) => Math.floor(random() * count);
      const harmless = [
        "What is this? ",
        "é€🙂",
        "\n\n",
        "<",
        "|im_end|>",
        "<|im_",
        "end|>",
        " a  b",
      ];
      const control = [...vocabulary.controlTexts].filter((text) => text.length > 3);
      assert.ok(control.includes("<|im_end|>"));
      let refused = 0;
      for (let number = 0; number < 300; number++) {
        const words = Array.from({ length: 1 + below(6) }, () => harmless[below(harmless.length)]!);
        if (number % 2 === 0) words.splice(below(words.length), 0, control[below(control.length)]!);
        const text = words.join("");
        const prompt = await runLongWork(
          tokenizePictures(vocabulary, turn(text, picture), { bos: false }),
        );
        const meant = ["<|im_start|>", "<|im_end|>", "<|im_start|>"].flatMap(controls);
        // What an engine that is given all of it as text makes of it.
        const naive = controls(turn(text, picture).map((part) => part.text).join(""));
        if (naive.length !== meant.length) {
          refused++;
          assert.throws(() => pictures.place(prompt!, vocabulary), coded("bad-request", /control/));
          continue;
        }
        const given = pictures.place(prompt!, vocabulary);
        assert.ok(!(given instanceof Int32Array));
        const parts = given.text.split(SEES.marker);
        assert.equal(parts.length, 2);
        assert.deepEqual(parts.flatMap(controls), meant, JSON.stringify(text));
        assert.ok(given.text.includes(text.trim()), JSON.stringify([text, given.text]));
        assert.deepEqual(given.files, [plain("red").toBase64()]);
      }
      assert.ok(refused >= 150, String(refused));
    }),
);

demoTest(
  "the engine's own marker in a text is refused; a prompt without pictures stays tokens",
  (path) =>
    withVocabulary(path, async (vocabulary) => {
      const pictures = new ForeignPictures(SEES);
      using picture = await pictures.take(plain("red"), "picture");
      const marked = await runLongWork(
        tokenizePictures(vocabulary, turn(SEES.marker, picture), { bos: false }),
      );
      assert.throws(() => pictures.place(marked!, vocabulary), coded("bad-request"));
      const text = vocabulary.tokenize("Hello", { special: false });
      assert.equal(pictures.place(text, vocabulary), text);
    }),
);

demoTest(
  "a palette that is too short is made whole: the engine's decoder takes the rest from its memory",
  (path) =>
    withVocabulary(path, async (vocabulary) => {
      const short = pngOfKind({
        width: 8,
        height: 8,
        bits: 8,
        colourType: 3,
        chunks: [["PLTE", Uint8Array.of(255, 0, 0)]],
        at: (x) => [x],
      });
      const pictures = new ForeignPictures(SEES);
      using picture = await pictures.take(short, "picture");
      const prompt = await runLongWork(
        tokenizePictures(vocabulary, turn("Hello", picture), { bos: false }),
      );
      const given = pictures.place(prompt!, vocabulary);
      assert.ok(!(given instanceof Int32Array));
      const file = Uint8Array.fromBase64(given.files[0]!);
      const at = file.findIndex((_, i) => String.fromCharCode(...file.slice(i, i + 4)) === "PLTE");
      assert.equal(new DataView(file.buffer).getUint32(at - 4), 768);
      assert.deepEqual([...file.slice(at + 4, at + 10)], [255, 0, 0, 0, 0, 0]);
    }),
);

Deno.test("what the own engine refuses is refused here too", async () => {
  const pictures = new ForeignPictures(SEES);
  const bytes = new TextEncoder().encode("<svg onload=alert(1)>".repeat(9));
  await assert.rejects(pictures.take(bytes, "picture"), coded("bad-request", /an SVG file/));
  await assert.rejects(pictures.take(plain("red"), "sound"), coded("bad-request", /audio/));
  const hears = new ForeignPictures({ ...SEES, hears: true });
  // llama-server ends over one of a few samples.
  for (const seconds of [0, 1 / 16_000, 0.05]) {
    const sound = wav(seconds, () => 0.5);
    await assert.rejects(hears.take(sound, "sound"), coded("bad-request", /less than 0.1 seconds/));
  }
  using _heard = await hears.take(wav(0.1, () => 0.5), "sound");
  const blind = new ForeignPictures({ sees: false, hears: false, marker: "" });
  await assert.rejects(blind.take(plain("red"), "picture"), coded("bad-request", /images/));
});
