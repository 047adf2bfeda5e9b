/** Writes a picture as PNG (W3C, "Portable Network Graphics", third edition). */
import { crc32 } from "node:zlib";

/** What every PNG begins with. */
export const PNG_SIGNATURE: readonly number[] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Filter type 2, Up: a byte less the one above it. */
const UP = 2;

/**
 * @param rgb Three bytes a pixel, row by row from the top. Where all are grey the file is.
 * @param width In pixels, at least 1; `rgb.length` is a multiple of three times it.
 */
export async function encodePng(rgb: Uint8Array, width: number): Promise<Uint8Array<ArrayBuffer>> {
  const grey = rgb.every((value, at) => value === rgb[at - at % 3]);
  const channels = grey ? 1 : 3;
  const height = rgb.length / 3 / width;
  const row = width * channels;
  const rows = new Uint8Array(height * (1 + row));
  for (let y = 0; y < height; y++) {
    const to = y * (1 + row);
    rows[to] = UP;
    for (let x = 0; x < row; x++) {
      const from = (y * row + x) * (grey ? 3 : 1);
      const above = y === 0 ? 0 : rgb[from - width * 3]!;
      rows[to + 1 + x] = rgb[from]! - above;
    }
  }
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  // Eight bits a sample, grey or colours, and the only methods that there are.
  new Uint8Array(head.buffer).set([8, grey ? 0 : 2, 0, 0, 0], 8);
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  return await new Blob([
    new Uint8Array(PNG_SIGNATURE),
    chunk("IHDR", new Uint8Array(head.buffer)),
    chunk("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())),
    chunk("IEND", new Uint8Array()),
  ]).bytes();
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
