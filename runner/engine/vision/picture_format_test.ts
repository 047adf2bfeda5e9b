/** Heads of picture files, against files that another program wrote (Python's standard library where it can, else by the formats' texts). */
import assert from "node:assert/strict";
import type { SecLlamaError } from "../../../src/errors.ts";
import { seeded } from "../../../tests/support/seeds.ts";
import { bmp, COLOURS } from "../testing_seeing.ts";
import { checkMedia } from "./check_media.ts";
import { nameOfOther } from "./other_formats.ts";
import { readPictureHead } from "./picture_format.ts";

function png(width: number, height: number): Uint8Array {
  const bytes = new Uint8Array(33);
  bytes.set([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]);
  new DataView(bytes.buffer).setUint32(16, width);
  new DataView(bytes.buffer).setUint32(20, height);
  return bytes;
}

/** A JPEG up to its frame header. @param before Segments in front of it. */
function jpeg(width: number, height: number, marker: number, before: number[] = []): Uint8Array {
  const size = [height >> 8, height & 255, width >> 8, width & 255];
  return Uint8Array.from([
    0xff,
    0xd8,
    ...before,
    0xff,
    marker,
    0,
    17,
    8,
    ...size,
    ...Array(30).fill(0),
  ]);
}

Deno.test("the size is read from each format's head", () => {
  assert.deepEqual(readPictureHead(png(70000, 3)), { format: "png", width: 70000, height: 3 });
  assert.deepEqual(readPictureHead(bmp(5, 7, () => COLOURS.red)), {
    format: "bmp",
    width: 5,
    height: 7,
  });
  const gif = new Uint8Array(30);
  gif.set(new TextEncoder().encode("GIF89a"));
  gif.set([0x34, 0x12, 2, 0], 6);
  assert.deepEqual(readPictureHead(gif), { format: "gif", width: 0x1234, height: 2 });
  for (const marker of [0xc0, 0xc1, 0xc2, 0xc9]) {
    const app = [0xff, 0xe0, 0, 6, 1, 2, 3, 4];
    const fill = [0xff, 0xff, 0xff, 0xe1, 0, 3, 9];
    assert.deepEqual(readPictureHead(jpeg(640, 480, marker, [...app, ...fill])), {
      format: "jpeg",
      width: 640,
      height: 480,
    });
  }
});

Deno.test("no size, no head and other formats", () => {
  for (
    const bytes of [
      new Uint8Array(),
      new Uint8Array(64),
      png(0, 5),
      png(5, 0),
      png(5, 5).slice(0, 20),
      jpeg(1, 1, 0xc4), // tables are no frame
      jpeg(1, 1, 0xda), // a scan without a frame
      new TextEncoder().encode("%PDF-1.7 and a long text behind it"),
      new TextEncoder().encode("<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ]
  ) assert.equal(readPictureHead(bytes), undefined);
});

Deno.test("a format that is not taken is called by its name", () => {
  const xml = '<?xml version="1.0"?>\n<!-- <a> --><svg xmlns="http://www.w3.org/2000/svg"/>';
  for (
    const [head, name] of [
      ["RIFF____WEBPVP8 ", "a WebP"],
      ["\0\0\0\x1cftypavif", "an AVIF or HEIC"],
      ["\0\0\0\x24ftypheic", "an AVIF or HEIC"],
      ["\0\0\0\x24ftypmif1", "an AVIF or HEIC"],
      ["\xff\n\xfa\x01", "a JPEG XL"],
      ["\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL"],
      ["\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000"],
      ["II*\0\b\0\0\0", "a TIFF"],
      ["MM\0*\0\0\0\b", "a TIFF"],
      ["\0\0\x01\0\x01\0", "an icon"],
      ["8BPS\0\x01", "a Photoshop"],
      ["%PDF-1.7\n", "a PDF"],
      ["<svg>", "an SVG"],
      [xml, "an SVG"],
      [`\xef\xbb\xbf \n${xml}`, "an SVG"],
      ['<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "">\n<svg width="1">', "an SVG"],
      // What only looks a little like one.
      ["RIFF____WAVEfmt ", undefined],
      ["\0\0\0\x20ftypisom", undefined],
      ["<html><svg>", undefined],
      ["<svgx>", undefined],
      ["svg", undefined],
      ["", undefined],
    ] as const
  ) {
    // Behind it comes a file.
    for (const rest of ["", "\0".repeat(4096)]) {
      const bytes = Uint8Array.from(head + rest, (letter) => letter.charCodeAt(0));
      assert.equal(nameOfOther(bytes), name, JSON.stringify(head));
      const what = name ?? "no PNG, JPEG, GIF or BMP";
      assert.throws(() => checkMedia(bytes, "picture"), (error: SecLlamaError) => {
        assert.equal(error.message, `the picture cannot be read: it is ${what} file`);
        assert.equal(error.hint, "send it as PNG or JPEG");
        return true;
      });
    }
  }
});

Deno.test("no beginning makes the search for a format's name long", () => {
  for (const piece of ["<!---->", "<!-- ", "<?xml ", "<svg", " ", "<!DOCTYPE svg"]) {
    for (const before of ["", "<!--", "<?xml"]) {
      const bytes = new TextEncoder().encode(before + piece.repeat(4096));
      assert.equal(nameOfOther(bytes), undefined, piece);
    }
  }
});

Deno.test("any cut or changed head is read without a fault", () => {
  const seeds = [
    png(9, 9),
    jpeg(9, 9, 0xc0, [0xff, 0xe0, 0, 4, 1, 2]),
    bmp(3, 3, () => COLOURS.blue),
  ];
  const next = seeded(1);
  const random = (below: number) => Math.floor(next() * below);
  for (let round = 0; round < 20_000; round++) {
    const bytes = seeds[round % seeds.length]!.slice(0, random(64));
    for (let change = random(4); change > 0 && bytes.length > 0; change--) {
      bytes[random(bytes.length)] = random(256);
    }
    const head = readPictureHead(bytes);
    if (typeof head === "object") assert.ok(head.width > 0 && head.height > 0);
  }
});
