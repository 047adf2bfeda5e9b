/** The engine with a model that sees, whose weights are written by hand: it names a picture's colour. */
import assert from "node:assert/strict";
import type { Engine } from "../types.ts";
import { canSee, request, runLongWork, VISION_LIBRARY, withEngine } from "../testing.ts";
import {
  bmp,
  type Colour,
  COLOURS,
  makeSeeingModel,
  PICTURE_CELLS,
  plain,
} from "../testing_seeing.ts";
import type { Picture } from "./picture.ts";
import { pngOfKind } from "./testing_pictures.ts";

const ignore = !canSee();
const NAMES = Object.keys(COLOURS) as Colour[];

async function seeing(
  test: (engine: Engine) => Promise<void>,
  { layout, ...o }: {
    slots?: number;
    cacheCells?: number;
    contextLength?: number;
    layout?: "qwen2vl";
  } = {},
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    const [modelPath, projectorPath] = [`${dir}/model.gguf`, `${dir}/projector.gguf`];
    makeSeeingModel(modelPath, projectorPath, layout);
    const vision = { libraryPath: VISION_LIBRARY, projectorPath };
    await withEngine({ modelPath, vision, ...o }, test);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

interface Answer {
  readonly text: string;
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

/** Asks in the words of a template: the pictures first, or where `null` stands in the text. */
async function ask(
  engine: Engine,
  pictures: readonly Picture[],
  o: { client?: string; before?: string; text?: string; signal?: AbortSignal } = {},
): Promise<Answer> {
  const { client = "a", before = "user: ", text = "What colour is this?" } = o;
  const tokens = await runLongWork(engine.tokenizeInTurns([
    { text: before, special: true },
    ...pictures.map((picture) => ({ text: "", special: true, picture })),
    { text, special: false },
  ]));
  let reply = "";
  const asked = { ...request(""), prompt: tokens!, client, pictures };
  for await (const event of engine.generate(asked, o.signal ?? new AbortController().signal)) {
    if (event.type === "token") reply += event.text;
    else if (event.type === "done") {
      assert.ok(event.context.every((token) => token >= 0));
      return { text: reply, promptTokens: event.promptTokens, cachedTokens: event.cachedTokens };
    }
  }
  throw new Error("it did not end");
}

async function read(
  engine: Engine,
  bytes: Uint8Array<ArrayBuffer>,
  client = "a",
): Promise<Picture> {
  return await engine.readPicture(bytes, { client });
}

Deno.test({
  name: "a picture's colour is named, whatever its size; without one there is nothing",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      assert.ok(engine.info.capabilities.includes("vision"));
      assert.equal((await ask(engine, [])).text, "nothing");
      for (const [index, colour] of NAMES.entries()) {
        using picture = await read(engine, plain(colour, 1 + 37 * index));
        assert.equal(picture.tokens.filter((id) => id < 0).length, PICTURE_CELLS);
        assert.equal((await ask(engine, [picture])).text, colour);
      }
      // Three of four quarters.
      const most = bmp(64, 64, (x, y) => COLOURS[x < 32 && y < 32 ? "red" : "blue"]);
      using mixed = await read(engine, most);
      assert.equal((await ask(engine, [mixed])).text, "blue");
    }),
});

Deno.test({
  name: "each of several pictures counts, also one that is there twice, side by side",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      using red = await read(engine, plain("red"));
      using again = await read(engine, plain("red"));
      using blue = await read(engine, plain("blue"));
      assert.deepEqual(again.tokens, red.tokens);
      assert.equal((await ask(engine, [blue, red, again])).text, "red");
      assert.equal((await ask(engine, [red, blue, blue])).text, "blue");
      assert.equal((await ask(engine, [blue, red, blue, red, red])).text, "red");
    }, { contextLength: 1024 }),
});

Deno.test({
  name: "what is transparent is white: most of black letters on nothing",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      // A few black letters on nothing: most of what is stored is black and clear.
      using letters = await read(
        engine,
        pngOfKind({
          width: 64,
          height: 64,
          bits: 8,
          colourType: 6,
          at: (x, y) => x % 16 < 3 && y % 16 < 8 ? [0, 0, 0, 255] : [0, 0, 0, 0],
        }),
      );
      assert.equal((await ask(engine, [letters])).text, "white");
    }),
});

Deno.test({
  name: "the next turn finds the picture in the cache, and another client never does",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      using picture = await read(engine, plain("green"));
      const first = await ask(engine, [picture], { text: "What colour is this? " });
      using again = await read(engine, plain("green"));
      assert.deepEqual(again.tokens, picture.tokens);
      const second = await ask(engine, [again], { text: "What colour is this? And again?" });
      assert.equal(second.text, "green");
      assert.ok(second.cachedTokens >= first.promptTokens - 1, String(second.cachedTokens));
      // Another picture in the same place.
      using other = await read(engine, plain("red"));
      const third = await ask(engine, [other], { text: "What colour is this? And again?" });
      assert.equal(third.text, "red");
      assert.ok(third.cachedTokens < second.cachedTokens);
      using foreign = await read(engine, plain("green"), "b");
      assert.notDeepEqual(foreign.tokens, picture.tokens);
      assert.equal((await ask(engine, [foreign], { client: "b" })).text, "green");
    }, { slots: 1 }),
});

Deno.test({
  name:
    "where rows and columns are positions (M-RoPE), pictures of any size are seen, twice and in turns",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      for (const [index, colour] of NAMES.entries()) {
        using picture = await read(engine, plain(colour, 40 + 61 * index));
        const [{ cells, positions }] = picture.chunks as [Picture["chunks"][0]];
        assert.ok(positions < cells, `${positions} of ${cells}`);
        assert.equal((await ask(engine, [picture])).text, colour);
      }
      // Wide, and beside another.
      using wide = await read(engine, bmp(400, 60, () => COLOURS.cyan));
      using tall = await read(engine, bmp(60, 300, () => COLOURS.cyan));
      const both = await ask(engine, [wide, tall], { text: "These two? " });
      assert.equal(both.text, "cyan");
      // The text goes on behind them, from the cache and anew.
      const next = await ask(engine, [wide, tall], { text: "These two? And once more?" });
      assert.equal(next.text, "cyan");
      assert.ok(next.cachedTokens >= both.promptTokens - 1, String(next.cachedTokens));
      const other = await ask(engine, [wide, tall], { client: "b", text: "These two? And now?" });
      assert.equal(other.text, "cyan");
      using red = await read(engine, plain("red", 90));
      assert.equal((await ask(engine, [red], { text: "These two? And once more?" })).text, "red");
    }, { slots: 2, contextLength: 1024, layout: "qwen2vl" }),
});

Deno.test({
  name: "many at once, with less room than they need, each get the answer to their own",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      const all = await Promise.all(Array.from({ length: 24 }, async (_, index) => {
        const colour = NAMES[index % NAMES.length]!;
        using picture = await read(engine, plain(colour), `client ${index % 5}`);
        // A picture that comes late in a text that is longer than a step.
        const before = "x ".repeat(7 * index);
        const { text } = await ask(engine, [picture], { client: `client ${index % 5}`, before });
        return { text, colour };
      }));
      for (const { text, colour } of all) assert.equal(text, colour);
    }, { slots: 4, contextLength: 512, cacheCells: 768 }),
});

Deno.test({
  name: "one that leaves while its picture is read ends nobody else",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      using mine = await read(engine, plain("cyan"));
      const kept = ask(engine, [mine], { client: "kept", before: "y ".repeat(50) });
      const left = Array.from({ length: 12 }, async (_, index) => {
        const leave = new AbortController();
        const picture = await read(engine, plain("red"), `left ${index}`);
        const asked = ask(engine, [picture], { client: `left ${index}`, signal: leave.signal });
        picture[Symbol.dispose](); // as who asks does, whose request still runs
        leave.abort();
        await assert.rejects(asked, { code: "cancelled" });
      });
      await Promise.all(left);
      assert.equal((await kept).text, "cyan");
      assert.equal((await ask(engine, [mine])).text, "cyan");
    }, { slots: 2 }),
});

Deno.test({
  name: "pictures are decoded one at a time, each client's in turn, and none for who has left",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      const order: string[] = [];
      const large = plain("red", 800);
      const note = async (client: string, signal?: AbortSignal) => {
        using _ = await engine.readPicture(large, { client, ...(signal && { signal }) });
        order.push(client);
      };
      const leave = new AbortController();
      const flood = Array.from({ length: 6 }, () => note("flood"));
      const left = note("left", leave.signal);
      leave.abort();
      await Promise.all([...flood, note("other"), assert.rejects(left, { code: "cancelled" })]);
      assert.ok(order.indexOf("other") <= 2, order.join());
    }),
});

Deno.test({
  name: "the model is unloaded while pictures wait: they are cancelled, and the one at work ends",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      const reads = Array.from({ length: 4 }, () => read(engine, plain("red", 800)));
      const settled = Promise.allSettled(reads);
      engine.close();
      const [first, ...others] = await settled;
      if (first!.status === "fulfilled") first!.value[Symbol.dispose]();
      for (const one of others) assert.equal(one.status, "rejected");
    }),
});

Deno.test({
  name: "a projector that is refused costs the sight only, where that is wanted, and is told",
  ignore,
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
    try {
      const [modelPath, projectorPath] = [`${dir}/model.gguf`, `${dir}/projector.gguf`];
      makeSeeingModel(modelPath, projectorPath);
      let refused: unknown;
      const onRefused = (error: unknown) => refused = error;
      const vision = { libraryPath: VISION_LIBRARY, projectorPath: modelPath, onRefused };
      await withEngine({ modelPath, vision }, async (engine) => {
        assert.match(String(refused), /the projector could not be loaded/);
        assert.ok(!engine.info.capabilities.includes("vision"));
        assert.equal((await ask(engine, [])).text, "nothing");
        await assert.rejects(read(engine, plain("red")), /reads text only/);
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test({
  name: "what is no picture is refused, and the engine goes on",
  ignore,
  fn: () =>
    seeing(async (engine) => {
      const whole = plain("red");
      const cut = whole.slice(0, 60);
      for (const bytes of [new Uint8Array(), new Uint8Array(100), cut.slice(0, 20)]) {
        await assert.rejects(read(engine, bytes), { code: "bad-request" });
      }
      const large = whole.slice();
      new DataView(large.buffer).setInt32(18, 100_000, true);
      new DataView(large.buffer).setInt32(22, 100_000, true);
      await assert.rejects(read(engine, large), /100000 × 100000 pixels/);
      const webp = new TextEncoder().encode("RIFF\0\0\0\0WEBPVP8 and some more bytes");
      await assert.rejects(read(engine, webp), /WebP/);
      using picture = await read(engine, whole);
      await assert.rejects(ask(engine, [picture], { text: "" }), /text must follow/);
      assert.equal((await ask(engine, [picture])).text, "red");
    }),
});

Deno.test({
  name: "a projector of another model, and a file that is none, are refused by name",
  ignore,
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
    try {
      const [modelPath, projectorPath] = [`${dir}/model.gguf`, `${dir}/projector.gguf`];
      makeSeeingModel(modelPath, projectorPath);
      const open = (projectorPath: string) =>
        withEngine(
          { modelPath, vision: { libraryPath: VISION_LIBRARY, projectorPath } },
          async () => {},
        );
      await assert.rejects(open(modelPath), { code: "model-failed" });
      await Deno.writeFile(`${dir}/cut`, (await Deno.readFile(projectorPath)).slice(0, 3000));
      await assert.rejects(open(`${dir}/cut`), { code: "model-failed" });
      await assert.rejects(open(`${dir}/none`), { code: "model-failed" });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
