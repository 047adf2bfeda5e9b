/** PNG files for tests, right and wrong. Not used by the runner. */
import { crc32 } from "node:zlib";

type Data = Uint8Array | readonly ["CgBI", Uint8Array];

/** A PNG of 8 bits a sample, red, green and blue, with these packed data, a chunk each; `CgBI`: marked as Apple's. */
export function png(width: number, height: number, ...packed: Data[]): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, 2], 8);
  const parts = [Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10), chunk("IHDR", head)];
  for (const one of packed) {
    if (one instanceof Uint8Array) parts.push(chunk("IDAT", one));
    else parts.push(chunk(one[0], Uint8Array.of(0, 0, 0, 0)), chunk("IDAT", one[1]));
  }
  parts.push(chunk("IEND", new Uint8Array()));
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
