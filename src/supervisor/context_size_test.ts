import assert from "node:assert/strict";
import { chooseContext, type ContextWish } from "./context_size.ts";
import { estimateMemory } from "./memory.ts";

const GIB = 2 ** 30;
/** A model of 8 B: 128 KiB a token. */
const SHAPE = { sizeBytes: 5 * GIB, kvBytesPerToken: 2 ** 17, embeddingLength: 4096 };

const context = (more: Partial<ContextWish>) => sizes(more).contextLength;
const cells = (more: Partial<ContextWish>) => sizes(more).cacheCells;

function sizes(more: Partial<ContextWish>) {
  return chooseContext({
    trained: 131_072,
    configured: 0,
    modelfile: undefined,
    embeds: false,
    slots: 4,
    shape: SHAPE,
    budgetBytes: 24 * GIB,
    ...more,
  });
}

Deno.test("context: 32k where model and memory allow it, less where they do not", () => {
  assert.equal(context({}), 32_768);
  assert.equal(context({ trained: 8192 }), 8192);
  assert.equal(context({ budgetBytes: 8 * GIB }), 16_384);
  assert.equal(
    context({ budgetBytes: GIB }),
    4096,
    "the least: admission says that it does not fit",
  );
  assert.equal(context({ budgetBytes: Infinity }), 32_768);
});

Deno.test("context: more unasked while a quarter of the memory is enough for the model", () => {
  assert.equal(context({ budgetBytes: 64 * GIB }), 65_536);
  assert.equal(context({ budgetBytes: 400 * GIB }), 131_072);
  assert.equal(context({ budgetBytes: 400 * GIB, trained: 100_000 }), 100_000);
  assert.equal(context({ budgetBytes: 400 * GIB, embeds: true }), 4096);
  assert.equal(context({ budgetBytes: 400 * GIB, embeds: true, asked: 32_768 }), 4096);
  const unknown = { ...SHAPE, kvBytesPerToken: 0 };
  assert.equal(context({ budgetBytes: 400 * GIB, shape: unknown }), 32_768);
});

Deno.test("context: what is asked for, as far as model, operator and memory go", () => {
  assert.equal(context({ asked: 65_536 }), 65_536);
  assert.equal(context({ asked: 4096 }), 32_768, "less than there is costs nobody anything");
  assert.equal(context({ asked: 2 ** 24, budgetBytes: 16 * GIB }), 65_536, "halved until it fits");
  assert.equal(context({ asked: 2 ** 24, trained: 50_000 }), 50_000);
  assert.equal(context({ asked: 65_536, configured: 8192 }), 8192, "the operator's is the limit");
});

Deno.test("context: what operator or Modelfile set is not made less, whatever the memory", () => {
  for (const set of [{ configured: 65_536 }, { modelfile: 65_536 }]) {
    assert.equal(context({ ...set, budgetBytes: GIB }), 65_536);
  }
  assert.equal(context({ modelfile: 2048 }), 2048);
  assert.equal(context({ modelfile: 2048, asked: 16_384 }), 16_384);
  assert.equal(context({ modelfile: 10 ** 9 }), 131_072);
  assert.equal(context({ modelfile: 65_536, configured: 8192 }), 8192);
  for (const modelfile of ["x", -1, 0, NaN, null]) assert.equal(context({ modelfile }), 32_768);
});

Deno.test("context: the slots' own while they are small, one pool beyond", () => {
  assert.equal(cells({ configured: 2048 }), 8192);
  assert.equal(cells({ configured: 8192 }), 32_768);
  assert.equal(cells({ configured: 16_384 }), 32_768);
  assert.equal(cells({ configured: 65_536 }), 65_536);
  assert.equal(cells({ configured: 65_536, slots: 1 }), 65_536);
  assert.equal(cells({ configured: 4096, slots: 1 }), 4096);
  assert.equal(
    cells({ budgetBytes: 8 * GIB }),
    16_384,
    "one long conversation before several short",
  );
  assert.equal(cells({ configured: 8192, budgetBytes: 8 * GIB }), 16_384);
});

Deno.test("context: whatever is wished, it is within model and operator, and fits or is the least", () => {
  let state = 1;
  const random = (most: number) => {
    state = (state * 48271) % 2147483647;
    return state % (most + 1);
  };
  for (let round = 0; round < 3000; round++) {
    const wish = {
      trained: 1 + random(300_000),
      configured: random(1) * random(200_000),
      asked: random(1) * 2 ** random(24),
      budgetBytes: random(64) * GIB,
      slots: 1 + random(8),
    };
    const { contextLength: tokens, cacheCells } = sizes(wish);
    const limit = Math.min(wish.trained, wish.configured || Infinity);
    assert.ok(Number.isInteger(tokens) && tokens >= 1 && tokens <= limit);
    assert.ok(cacheCells >= tokens && cacheCells <= Math.max(tokens * wish.slots));
    const needs = estimateMemory({ ...SHAPE, cacheCells });
    const least = wish.configured > 0 ? limit : Math.min(limit, 4096);
    assert.ok(needs <= wish.budgetBytes || tokens === least, JSON.stringify(wish));
  }
});

Deno.test("context: a wish takes what there is beside others' models; without the bound it took theirs", () => {
  const wish = {
    trained: 131_072,
    configured: 0,
    modelfile: 4096,
    asked: 131_072,
    embeds: false,
    slots: 1,
    shape: { sizeBytes: 1e9, kvBytesPerToken: 131_072, embeddingLength: 2048 },
    budgetBytes: 40e9,
  };
  assert.equal(chooseContext(wish).contextLength, 131_072);
  assert.equal(chooseContext({ ...wish, wishBytes: 8e9 }).contextLength, 32_768);
  // What it has without a wish it has all the same.
  const none = chooseContext({ ...wish, wishBytes: 1 });
  assert.deepEqual(none, chooseContext({ ...wish, asked: 0 }));
});
