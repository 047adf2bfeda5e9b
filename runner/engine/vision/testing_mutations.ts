/** Pictures and sounds of every format that is taken, and changes of them by a seed. For tests; not used by the runner. */
import { deflateSync } from "node:zlib";
import { wav } from "../testing_hearing.ts";
import { bmp } from "../testing_seeing.ts";
import type { MediaKind } from "../types.ts";
import { png } from "./testing_pictures.ts";
import { seeded } from "../../../tests/support/seeds.ts";

/** Numbers from a seed (mulberry32). */
function random(seed: number): () => number {
  const next = seeded(seed);
  return () => Math.floor(next() * 2 ** 32);
}

type Bytes = Uint8Array<ArrayBuffer>;

function pngOf(next: () => number): Bytes {
  const [width, height] = [1 + next() % 24, 1 + next() % 24];
  const rows = new Uint8Array(height * (1 + 3 * width)).map(() => next());
  for (let y = 0; y < height; y++) rows[y * (1 + 3 * width)] = next() % 5;
  return png(width, height, new Uint8Array(deflateSync(rows)));
}

/** GIF89a of two colours, 8 by 8: LZW codes that always clear, so that they are all of one size. */
function gifOf(next: () => number): Bytes {
  const [width, height] = [1 + next() % 12, 1 + next() % 12];
  const codes: number[] = [];
  for (let i = 0; i < width * height; i++) codes.push(4, next() % 2); // clear, then a colour
  codes.push(5);
  const packed: number[] = [];
  let bits = 0, have = 0;
  for (const code of codes) {
    bits |= code << have;
    have += 3;
    while (have >= 8) {
      packed.push(bits & 255);
      bits >>= 8;
      have -= 8;
    }
  }
  packed.push(bits & 255);
  const blocks: number[] = [];
  for (let at = 0; at < packed.length; at += 255) {
    const part = packed.slice(at, at + 255);
    blocks.push(part.length, ...part);
  }
  const head = [...new TextEncoder().encode("GIF89a"), width, 0, height, 0, 0x80, 0, 0];
  const colours = [0, 0, 0, 255, 255, 255];
  const frame = [0x2c, 0, 0, 0, 0, width, 0, height, 0, 0, 2, ...blocks, 0, 0x3b];
  return Uint8Array.from([...head, ...colours, ...frame]);
}

/** A JPEG of 8 by 8 pixels of one grey, baseline (ITU-T T.81): one table of each kind, one block. */
function jpegOf(next: () => number): Bytes {
  const table = Array.from({ length: 64 }, () => 1 + next() % 32);
  // One code of one bit for a difference of no bits, and one for the end of the block.
  const huffman = (kind: number) => [0xff, 0xc4, 0, 20, kind, 1, ...new Array(15).fill(0), 0];
  return Uint8Array.from([
    ...[0xff, 0xd8, 0xff, 0xdb, 0, 67, 0, ...table],
    ...[0xff, 0xc0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0],
    ...huffman(0x00),
    ...huffman(0x10),
    ...[0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x3f, 0xff, 0xd9],
  ]);
}

function bmpOf(next: () => number): Bytes {
  return new Uint8Array(bmp(1 + next() % 16, 1 + next() % 16, () => [next(), next(), next()]));
}

/** Samples of every kind, rates and channels; a tenth of a second, more or less. */
function wavOf(next: () => number): Bytes {
  const bits = ([8, 16, 32] as const)[next() % 3]!;
  const options = {
    rate: 2000 + next() % (next() % 4 === 0 ? 44_100 : 4000),
    channels: 1 + next() % 2,
    bits,
  };
  return wav((90 + next() % 100) / 1000, () => next() / 2 ** 31 - 1, options);
}

/** Frames of layer III whose sides are noise: most say of themselves what cannot be. */
function mp3Of(next: () => number): Bytes {
  const heads = [[0xff, 0xfb, 0x10, 0x00], [0xff, 0xf3, 0x18, 0xc0], [0xff, 0xe3, 0x18, 0x00]];
  const head = heads[next() % heads.length]!;
  const length = head[1] === 0xfb ? 104 : 72;
  const frames = 2 + next() % 6;
  const out = new Uint8Array(frames * length);
  const quiet = next() % 2 === 0;
  for (let i = 0; i < frames; i++) {
    if (!quiet) out.set(Array.from({ length }, () => next() & 255), i * length);
    out.set(head, i * length);
  }
  return out;
}

const MAKERS = {
  picture: [pngOf, gifOf, jpegOf, bmpOf],
  sound: [wavOf, mp3Of],
} as const;

/** The picture or sound of this number: a whole one, changed none to four times. */
export function mutatedFile(kind: MediaKind, seed: number, number: number): Bytes {
  const next = random(Math.imul(seed, 0x9e3779b1) ^ number);
  const makers = MAKERS[kind];
  let bytes: Bytes = makers[next() % makers.length]!(next);
  for (let changes = next() % 5; changes > 0; changes--) bytes = mutate(bytes, next);
  return bytes;
}

const EXTREME = [0, 1, 0x7f, 0x80, 0xff, 0xfe];

function mutate(bytes: Bytes, next: () => number): Bytes {
  const out = bytes.slice();
  const at = () => next() % Math.max(1, out.length);
  const view = new DataView(out.buffer);
  switch (next() % 8) {
    case 0: // cut
      return out.slice(0, at());
    case 1: // a bit
      out[at()]! ^= 1 << next() % 8;
      return out;
    case 2: // an extreme byte
      out[at()] = EXTREME[next() % EXTREME.length]!;
      return out;
    case 3: { // a size, most are in the head
      if (out.length < 32) return out;
      view.setUint32(
        next() % 28,
        [0xffffffff, 0x7fffffff, 0x10000, 0][next() % 4]!,
        next() % 2 > 0,
      );
      return out;
    }
    case 4: { // a piece twice
      const [a, b] = [at(), at()].sort((x, y) => x - y) as [number, number];
      return Uint8Array.from([...out.subarray(0, b), ...out.subarray(a)]);
    }
    case 5: { // a piece left out
      const a = at();
      return Uint8Array.from([...out.subarray(0, a), ...out.subarray(a + 1 + next() % 16)]);
    }
    case 6: { // bytes put in
      const a = at();
      const more = Array.from({ length: next() % 64 }, () => next() & 255);
      return Uint8Array.from([...out.subarray(0, a), ...more, ...out.subarray(a)]);
    }
    default: { // two places exchanged
      const [a, b] = [at(), at()];
      [out[a], out[b]] = [out[b]!, out[a]!];
      return out;
    }
  }
}
