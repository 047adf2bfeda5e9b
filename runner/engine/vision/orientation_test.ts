/** How a camera was held, as JPEG and PNG files say it, whole, cut and lying. */
import assert from "node:assert/strict";
import { readOrientation } from "./orientation.ts";
import { exif, pngOfKind } from "./testing_pictures.ts";

/** The start of a JPEG with these segments. */
function jpeg(...segments: (readonly [marker: number, data: readonly number[]])[]): Uint8Array {
  return Uint8Array.from([
    ...[0xff, 0xd8],
    ...segments.flatMap(([marker, data]) => [
      ...[0xff, marker, (data.length + 2) >> 8, (data.length + 2) & 255],
      ...data,
    ]),
    ...[0xff, 0xda, 0, 2],
  ]);
}

const EXIF = [...new TextEncoder().encode("Exif\0\0")];
const JFIF: readonly [number, number[]] = [0xe0, [...new TextEncoder().encode("JFIF\0"), 1, 2]];
const XMP: readonly [number, number[]] = [0xe1, [...new TextEncoder().encode("http://x\0<x/>")]];
const segment = (orientation: number, little: boolean): readonly [number, number[]] => [
  0xe1,
  [...EXIF, ...exif(orientation, little)],
];

Deno.test("a JPEG: in Exif's segment, wherever it stands before the scan, in either order of bytes", () => {
  for (let orientation = 1; orientation <= 8; orientation++) {
    for (const little of [true, false]) {
      const said = segment(orientation, little);
      assert.equal(readOrientation(jpeg(said)), orientation);
      assert.equal(readOrientation(jpeg(JFIF, XMP, said)), orientation);
      const filled = jpeg(JFIF, said);
      const fill = [...filled.subarray(0, 2), 0xff, 0xff, ...filled.subarray(2)];
      assert.equal(readOrientation(Uint8Array.from(fill)), orientation, "fill bytes");
    }
  }
});

Deno.test("no number, one that there is not, or one behind the scan: upright", () => {
  for (const number of [0, 9, 65535]) assert.equal(readOrientation(jpeg(segment(number, true))), 1);
  assert.equal(readOrientation(jpeg(JFIF)), 1);
  assert.equal(readOrientation(jpeg([0xda, []], segment(6, true))), 1);
  const other = exif(6);
  other[12] = 4; // a LONG
  assert.equal(readOrientation(jpeg([0xe1, [...EXIF, ...other]])), 1);
  const order = exif(6);
  order[0] = 0x50;
  assert.equal(readOrientation(jpeg([0xe1, [...EXIF, ...order]])), 1);
  assert.equal(readOrientation(Uint8Array.of(0x42, 0x4d, 0, 0)), 1);
  assert.equal(readOrientation(new Uint8Array()), 1);
});

Deno.test("a file that is cut anywhere, or whose Exif points anywhere, is read without an error", () => {
  const whole = [
    jpeg(JFIF, segment(6, false)),
    pngOfKind({
      width: 1,
      height: 1,
      bits: 8,
      colourType: 0,
      chunks: [["eXIf", exif(6)]],
      at: () => [0],
    }),
  ];
  for (const bytes of whole) {
    assert.equal(readOrientation(bytes), 6);
    for (let length = 0; length < bytes.length; length++) {
      assert.ok([1, 6].includes(readOrientation(bytes.subarray(0, length))));
    }
    for (let at = 2; at < bytes.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const changed = bytes.slice();
        changed[at] = value;
        const read = readOrientation(changed);
        assert.ok(read >= 1 && read <= 8);
      }
    }
  }
});
