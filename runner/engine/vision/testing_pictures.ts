/** PNG files for tests, right and wrong. Not used by the runner. */
import { crc32, deflateSync } from "node:zlib";

type Data = Uint8Array | readonly ["CgBI", Uint8Array];

/** A PNG of 8 bits a sample, red, green and blue, with these packed data, a chunk each; `CgBI`: marked as Apple's. */
export function png(width: number, height: number, ...packed: Data[]): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, 2], 8);
  const parts = [chunk("IHDR", head)];
  for (const one of packed) {
    if (one instanceof Uint8Array) parts.push(chunk("IDAT", one));
    else parts.push(chunk(one[0], Uint8Array.of(0, 0, 0, 0)), chunk("IDAT", one[1]));
  }
  return file([...parts, chunk("IEND", new Uint8Array())]);
}

/** Samples of a pixel, by a PNG's colour type: grey, RGB, palette, grey and alpha, RGBA. */
const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;

/** Adam7: where each pass begins, and its steps; the last is a picture that is not interlaced. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

interface PngOfKind {
  readonly width: number;
  readonly height: number;
  readonly bits: 8 | 16;
  readonly colourType: keyof typeof SAMPLES;
  readonly interlaced?: boolean;
  /** Chunks before the data: PLTE, tRNS, eXIf. */
  readonly chunks?: readonly (readonly [type: string, data: Uint8Array])[];
  /** A pixel's samples, each of `bits`. */
  at(x: number, y: number): readonly number[];
}

/** A PNG of any colour type (ISO/IEC 15948), unfiltered. */
export function pngOfKind(o: PngOfKind): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, o.width);
  view.setUint32(4, o.height);
  head.set([o.bits, o.colourType, 0, 0, o.interlaced ? 1 : 0], 8);
  const rows: number[] = [];
  for (const [left, top, right, down] of o.interlaced ? PASSES : [[0, 0, 1, 1] as const]) {
    if (left >= o.width) continue;
    for (let y = top; y < o.height; y += down) {
      rows.push(0);
      for (let x = left; x < o.width; x += right) {
        for (const sample of o.at(x, y)) {
          if (o.bits === 16) rows.push(sample >> 8);
          rows.push(sample & 255);
        }
      }
    }
  }
  return file([
    chunk("IHDR", head),
    ...(o.chunks ?? []).map(([type, data]) => chunk(type, data)),
    chunk("IDAT", new Uint8Array(deflateSync(Uint8Array.from(rows)))),
    chunk("IEND", new Uint8Array()),
  ]);
}

/** A TIFF file that says nothing but how the camera was held. */
export function exif(orientation: number, little = true): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(26);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, 1, little);
  view.setUint16(10, 0x0112, little);
  view.setUint16(12, 3, little);
  view.setUint32(14, 1, little);
  view.setUint16(18, orientation, little);
  return bytes;
}

/** A BMP of one row. */
export function bmp({ head, bits, colours, gap, pixels }: {
  /** Bytes of its own head: 12, 40, 108 or 124. */
  readonly head: number;
  readonly bits: 1 | 4 | 8;
  readonly colours: readonly (readonly number[])[];
  /** Bytes between the table and the pixels. */
  readonly gap: number;
  /** Indices. */
  readonly pixels: readonly number[];
}): Uint8Array<ArrayBuffer> {
  const table = colours.flatMap(([red, green, blue]) =>
    [blue!, green!, red!, 0].slice(0, head === 12 ? 3 : 4)
  );
  const pixelsAt = 14 + head + table.length + gap;
  const bytes = new Uint8Array(pixelsAt + 4 * Math.ceil(pixels.length * bits / 32));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x424d);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, pixelsAt, true);
  view.setUint32(14, head, true);
  if (head === 12) {
    [pixels.length, 1, 1, bits].forEach((value, i) => view.setUint16(18 + 2 * i, value, true));
  } else {
    view.setInt32(18, pixels.length, true);
    view.setInt32(22, 1, true);
    [1, bits].forEach((value, i) => view.setUint16(26 + 2 * i, value, true));
  }
  bytes.set(table, 14 + head);
  pixels.forEach((index, i) => {
    bytes[pixelsAt + Math.floor(i * bits / 8)]! |= index << 8 - bits - i * bits % 8;
  });
  return bytes;
}

/** A GIF89a of one row, `screen` pixels wide, whose only frame begins at its left. Four colours. */
export function gif({ colours, background, clear, screen, pixels }: {
  readonly colours: readonly (readonly number[])[];
  /** Index of the screen's background colour. */
  readonly background: number;
  /** Index of the transparent colour, if there is one. */
  readonly clear?: number | undefined;
  readonly screen: number;
  /** Indices. */
  readonly pixels: readonly number[];
}): Uint8Array<ArrayBuffer> {
  // Before each pixel the table is cleared (code 4), and 5 ends them: each code has three bits.
  const codes = [...pixels.flatMap((index) => [4, index]), 5];
  const bits = codes.map((code) => code.toString(2).padStart(3, "0")).reverse().join("");
  const bytes = bits.padStart(Math.ceil(bits.length / 8) * 8, "0").match(/.{8}/g)!.reverse();
  const data = bytes.map((byte) => parseInt(byte, 2));
  return Uint8Array.of(
    ...new TextEncoder().encode("GIF89a"),
    ...[screen, 0, 1, 0, 0x81, background, 0, ...colours.flat()],
    ...(clear === undefined ? [] : [0x21, 0xf9, 4, 1, 0, 0, clear, 0]),
    ...[0x2c, 0, 0, 0, 0, pixels.length, 0, 1, 0, 0, 2, data.length, ...data, 0, 0x3b],
  );
}

function file(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const parts = [Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10), ...chunks];
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}
