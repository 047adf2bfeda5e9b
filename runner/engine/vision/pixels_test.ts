/**
 * What a model is shown of a picture file: pixels as a viewer shows them. Pictures of every kind are made here of random pixels, and
 * what is decoded of them is held against those pixels.
 */
import assert from "node:assert/strict";
import { seeded } from "../../../tests/support/seeds.ts";
import { openLibrary } from "../library.ts";
import { canSee, libraryFolder, VISION_LIBRARY } from "../testing.ts";
import { readOrientation } from "./orientation.ts";
import { forDecoder } from "./for_decoder.ts";
import { VISION_SYMBOLS } from "./symbols.ts";
import { bmp, exif, gif, pngOfKind } from "./testing_pictures.ts";

const ignore = !canSee();
type Pixel = readonly number[];

function openDecoder() {
  openLibrary(libraryFolder(), { verify: false }); // it is linked to this one
  return Deno.dlopen(VISION_LIBRARY, {
    secllama_picture: VISION_SYMBOLS.secllama_picture_in_thread,
    mtmd_bitmap_free: VISION_SYMBOLS.mtmd_bitmap_free,
    mtmd_bitmap_get_nx: { parameters: ["pointer"], result: "u32" },
    mtmd_bitmap_get_ny: { parameters: ["pointer"], result: "u32" },
    mtmd_bitmap_get_data: { parameters: ["pointer"], result: "pointer" },
  }).symbols;
}

/** Its rows of pixels; undefined: it cannot be decoded. */
async function decoded(
  lib: ReturnType<typeof openDecoder>,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Pixel[][] | undefined> {
  const given = forDecoder(bytes, "picture");
  const bitmap = await lib.secllama_picture(given, BigInt(given.length), readOrientation(given));
  if (bitmap === null) return undefined;
  const [width, height] = [lib.mtmd_bitmap_get_nx(bitmap), lib.mtmd_bitmap_get_ny(bitmap)];
  const data = lib.mtmd_bitmap_get_data(bitmap);
  const all = new Uint8Array(
    Deno.UnsafePointerView.getArrayBuffer(data!, 3 * width * height).slice(0),
  );
  lib.mtmd_bitmap_free(bitmap);
  return Array.from(
    { length: height },
    (_, y) =>
      Array.from(
        { length: width },
        (_, x) => [...all.subarray(3 * (y * width + x), 3 * (y * width + x + 1))],
      ),
  );
}

const onWhite = (value: number, alpha: number) =>
  Math.floor((value * alpha + 255 * (255 - alpha)) / 255 + 0.5);

Deno.test({
  name: "PNG of every kind: pixels as they were drawn, and white behind what is transparent",
  ignore,
  async fn() {
    const lib = openDecoder();
    const random = seeded(29);
    const below = (count: number) => Math.floor(random() * count);
    for (let number = 0; number < 120; number++) {
      const [width, height] = [1 + below(20), 1 + below(20)];
      const colourType = ([0, 2, 3, 4, 6] as const)[number % 5]!;
      const bits = colourType !== 3 && number % 2 === 0 ? 16 : 8;
      const top = (value: number) => bits === 16 ? value >> 8 : value;
      const drawn = Array.from(
        { length: height },
        () =>
          Array.from(
            { length: width },
            // Often all or nothing, as in real pictures.
            () =>
              Array.from(
                { length: ({ 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 })[colourType] },
                () => below(3) === 0 ? [0, 2 ** bits - 1][below(2)]! : below(2 ** bits),
              ),
          ),
      );
      const palette = Uint8Array.from({ length: 768 }, () => below(256));
      const alphas = Uint8Array.from({ length: 1 + below(256) }, () => below(256));
      // One colour of a picture without alpha may be the transparent one.
      const clear = below(2) === 0 ? drawn[0]![0]! : undefined;
      const clearData = clear?.flatMap((value) => [value >> 8, value & 255]) ?? [];
      const chunks: [string, Uint8Array][] = colourType === 3
        ? [["PLTE", palette], ["tRNS", alphas]]
        : colourType < 4 && clear !== undefined
        ? [["tRNS", Uint8Array.from(clearData)]]
        : [];
      const shown = (pixel: Pixel): Pixel => {
        if (colourType === 3) {
          const [index] = pixel as [number];
          const colour = [...palette.subarray(3 * index, 3 * index + 3)];
          return colour.map((value) => onWhite(value, alphas[index] ?? 255));
        }
        const isGrey = colourType === 0 || colourType === 4;
        const colours = (isGrey ? [0, 0, 0] : [0, 1, 2]).map((channel) => top(pixel[channel]!));
        if (colourType >= 4) return colours.map((value) => onWhite(value, top(pixel.at(-1)!)));
        const isClear = clear !== undefined && pixel.every((value, i) => value === clear[i]);
        return isClear ? [255, 255, 255] : colours;
      };
      const bytes = pngOfKind({
        width,
        height,
        bits,
        colourType,
        interlaced: number % 3 === 0,
        chunks,
        at: (x, y) => drawn[y]![x]!,
      });
      const what = JSON.stringify({ number, width, height, colourType, bits, clear });
      assert.deepEqual(await decoded(lib, bytes), drawn.map((row) => row.map(shown)), what);
    }
  },
});

Deno.test({
  name: "a PNG whose palette is too short: black, and nothing of what lay in memory",
  ignore,
  async fn() {
    const lib = openDecoder();
    const width = 256;
    const of = (...chunks: [string, Uint8Array][]) =>
      pngOfKind({ width, height: 1, bits: 8, colourType: 3, chunks, at: (x) => [x] });
    // What is decoded before leaves other colours there.
    const full = Uint8Array.from({ length: 768 }, (_, i) => 1 + i % 255);
    for (const colours of [1, 2, 255, 256]) {
      assert.ok(await decoded(lib, of(["PLTE", full])));
      const palette = full.subarray(0, 3 * colours);
      const seen = Array.from({ length: width }, (_, x) => {
        const colour = [...palette.subarray(3 * x, 3 * x + 3)];
        return colour.length > 0 ? colour : [0, 0, 0];
      });
      const chunk: [string, Uint8Array] = ["PLTE", palette];
      assert.deepEqual(await decoded(lib, of(chunk)), [seen], `${colours}`);
      assert.deepEqual(await decoded(lib, of(["PLTE", palette.slice(0, 0)], chunk)), [seen]);
    }
    assert.equal(await decoded(lib, of(["PLTE", full.subarray(0, 4)])), undefined);
  },
});

Deno.test({
  name:
    "a GIF: white where its first frame draws nothing, or what is transparent, whatever its background is",
  ignore,
  async fn() {
    const lib = openDecoder();
    const colours = [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]];
    const white = [255, 255, 255];
    for (const background of [0, 1, 2, 3]) {
      const small = gif({ colours, background, screen: 2, pixels: [2] });
      assert.deepEqual(await decoded(lib, small), [[colours[2], white]], `${background}`);
      for (const clear of [undefined, 0, 1, 3]) {
        const full = gif({ colours, background, clear, screen: 4, pixels: [0, 1, 2, 3] });
        const seen = colours.map((colour, i) => i === clear ? white : colour);
        assert.deepEqual(await decoded(lib, full), [seen], `${background} ${clear}`);
      }
    }
  },
});

Deno.test({
  name: "a BMP of few colours: those that its table has, and black; of heads of every length",
  ignore,
  async fn() {
    const lib = openDecoder();
    for (const head of [12, 40, 108, 124]) {
      for (const bits of [1, 4, 8] as const) {
        for (const count of [1, 2, 5, 16, 100, 252, 253, 256]) {
          if (count > 2 ** bits) continue;
          for (const gap of [0, 6, 2000]) {
            const colours = Array.from({ length: count }, (_, i) => [i, 1 + i % 255, 255 - i]);
            const pixels = Array.from({ length: 2 ** bits }, (_, i) => i);
            const bytes = bmp({ head, bits, colours, gap, pixels });
            // What lies between the table and the pixels is taken for colours: here black.
            const seen = pixels.map((index) => colours[index] ?? [0, 0, 0]);
            assert.deepEqual(await decoded(lib, bytes), [seen], `${head} ${bits} ${count} ${gap}`);
            // A table that ends before it begins, or that is not there at all.
            for (const pixelsAt of [0, 14, 14 + head - 4, bytes.length, 2 ** 31 - 1, 2 ** 32 - 1]) {
              new DataView(bytes.buffer).setUint32(10, pixelsAt, true);
              await decoded(lib, bytes);
            }
          }
        }
      }
    }
    // Cut in its head, where the decoder reads on in zeros.
    const cut = bmp({ head: 40, bits: 8, colours: [[9, 9, 9]], gap: 0, pixels: [0, 1] });
    assert.deepEqual((await decoded(lib, cut.slice(0, 30)))?.[0]?.length, 2);
    assert.deepEqual(await decoded(lib, cut.slice(0, 29)), [[[0, 0, 0], [0, 0, 0]]]);
  },
});

Deno.test({
  name: "a BMP's fourth byte is no transparency",
  ignore,
  async fn() {
    const lib = openDecoder();
    for (const reserved of [0, 1, 128, 255]) {
      // BITMAPFILEHEADER and BITMAPINFOHEADER: two pixels of 32 bits, blue first.
      const bytes = new Uint8Array(54 + 8);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, 0x424d);
      view.setUint32(2, bytes.length, true);
      view.setUint32(10, 54, true);
      view.setUint32(14, 40, true);
      view.setInt32(18, 2, true);
      view.setInt32(22, 1, true);
      view.setUint16(26, 1, true);
      view.setUint16(28, 32, true);
      bytes.set([3, 2, 1, reserved, 30, 20, 10, 255], 54);
      assert.deepEqual(await decoded(lib, bytes), [[[1, 2, 3], [10, 20, 30]]], `${reserved}`);
    }
  },
});

/** TIFF 6.0, tag 274: at which side of what is seen the stored picture's first row lies, and its first column. */
const SIDES = [
  ["top", "left"],
  ["top", "right"],
  ["bottom", "right"],
  ["bottom", "left"],
  ["left", "top"],
  ["right", "top"],
  ["right", "bottom"],
  ["left", "bottom"],
] as const;

/** Where a stored pixel is seen. */
function seenAt(orientation: number, x: number, y: number, width: number, height: number) {
  const [row, column] = SIDES[orientation - 1]!;
  const seen = { x: 0, y: 0 };
  const put = (side: string, index: number, count: number) => {
    const axis = side === "left" || side === "right" ? "x" : "y";
    seen[axis] = side === "right" || side === "bottom" ? count - 1 - index : index;
  };
  put(row, y, height);
  put(column, x, width);
  return seen;
}

Deno.test({
  name: "a picture is turned as its camera says, in all eight ways",
  ignore,
  async fn() {
    const lib = openDecoder();
    for (let orientation = 0; orientation <= 9; orientation++) {
      for (const [width, height] of [[1, 1], [3, 2], [2, 5], [7, 7]] as const) {
        const stored = pngOfKind({
          width,
          height,
          bits: 8,
          colourType: 2,
          chunks: [["eXIf", exif(orientation, orientation % 2 === 0)]],
          at: (x, y) => [x * 30, y * 30, 7],
        });
        const isOne = orientation >= 1 && orientation <= 8;
        const turns = isOne && orientation >= 5;
        const expected: Pixel[][] = Array.from({ length: turns ? width : height }, () => []);
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            const seen = isOne ? seenAt(orientation, x, y, width, height) : { x, y };
            expected[seen.y]![seen.x] = [x * 30, y * 30, 7];
          }
        }
        assert.deepEqual(await decoded(lib, stored), expected, `${orientation}`);
      }
    }
  },
});
