import assert from "node:assert/strict";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { normalised, wordsOf } from "./normal.ts";
import { withPlace } from "./testing.ts";

const WORDS = [
  "stork",
  "Straße",
  "heron",
  "a",
  "ab",
  "ba",
  "\u{1f600}",
  "한글",
  "12",
  "x-y",
  "MAÑANA",
];

Deno.test(`search: which conversation, and a message with one of the words, is what looking through all texts says, seed: ${SEED}`, () =>
  withPlace((place) => {
    using history = place.open();
    const drawn = seeded(SEED);
    const random = (below: number) => Math.floor(drawn() * below);
    const some = (most: number) =>
      Array.from({ length: 1 + random(most) }, () => WORDS[random(WORDS.length)]!).join(" ");
    const all = Array.from({ length: 12 }, () => {
      const title = some(2);
      const { id } = history.create({ title });
      // Some are longer than one record.
      const texts = Array.from({ length: 1 + random(6) }, () => some(4).repeat(1 + random(3_000)));
      let parent: string | null = null;
      for (const content of texts) {
        parent = history.append(id, { parent, role: "user", content }).id;
      }
      return { id, title: normalised(title), texts: texts.map(normalised) };
    });
    for (let i = 0; i < 60; i++) {
      const query = some(4);
      const words = wordsOf(query);
      const has = (text: string, forms: readonly string[]) =>
        forms.some((form) => text.includes(form));
      const found = all.filter(({ title, texts }) =>
        words.every((forms) => title.includes(forms[0]!) || texts.some((text) => has(text, forms)))
      );
      const hits = history.search(query);
      assert.deepEqual(hits.map(({ id }) => id).sort(), found.map(({ id }) => id).sort(), query);
      for (const { id, message } of hits) {
        const { texts } = found.find((one) => one.id === id)!;
        const isAnywhere = texts.some((text) => words.some((forms) => has(text, forms)));
        assert.equal(message !== undefined && message !== null, isAnywhere, query);
        if (!isAnywhere) continue;
        assert.ok(words.some((forms) => has(texts[Number(message) - 1]!, forms)), query);
      }
    }
  }));

Deno.test("search: more words than a person looks for are refused, however they are written", () =>
  withPlace((place) => {
    using history = place.open();
    const words = (count: number) => Array.from({ length: count }, (_, i) => `w${i}`).join(" ");
    assert.deepEqual(history.search(words(256)), []);
    assert.deepEqual(history.search("w1 ".repeat(10_000)), []);
    for (const query of [words(257), words(9_000)]) {
      assert.throws(() => history.search(query), { code: "bad-request", field: "query" });
    }
  }));
