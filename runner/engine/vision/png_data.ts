/**
 * Whether the packed data of a PNG are what its size needs. llama.cpp's decoder (stb_image) unpacks all of them, whatever the size
 * says: of a picture of 8 by 8 pixels, one megabyte became one gigabyte.
 *
 * Source: PNG (ISO/IEC 15948), 5.3, 7.2 and 10.1; RFC 1950 and 1951. A byte of deflate unpacks to at most 1032.
 */

const MOST_PER_BYTE = 1032;
/** What may be unpacked without a look. */
const FREE_BYTES = 32 * 2 ** 20;
/** Interlaced pictures have more rows, each with a byte in front. */
const MARGIN = 1.25;
const PIECE = 2048;
const MARGIN_BYTES = 65_536;
/** Samples of a pixel, by colour type. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/**
 * Looks at a PNG whose head was read, and unpacks it once if it could be too large.
 * @returns What is wrong with it; undefined: nothing, as far as is seen here.
 */
export async function faultOfPng(bytes: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
  const { packed, raw } = packedData(bytes);
  const size = packed.reduce((sum, part) => sum + part.length, 0);
  if (MOST_PER_BYTE * size <= FREE_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = view.getUint8(24) * (SAMPLES[view.getUint8(25)] ?? 4);
  const row = 1 + Math.ceil(view.getUint32(16) * bits / 8);
  const most = MARGIN * row * view.getUint32(20) + MARGIN_BYTES;
  const unpacked = ReadableStream.from(piecesOf(packed))
    .pipeThrough(new DecompressionStream(raw ? "deflate-raw" : "deflate"));
  let count = 0;
  try {
    for await (const piece of unpacked) {
      count += piece.length;
      if (count > most) return "its data unpack to more than its size needs";
    }
  } catch {
    // The decoder is more lenient, and would go on.
    return "its data are broken";
  }
  return undefined;
}

/** Small ones: each is unpacked as a whole, before anything can be counted. */
function* piecesOf(packed: readonly Uint8Array<ArrayBuffer>[]) {
  for (const part of packed) {
    for (let at = 0; at < part.length; at += PIECE) yield part.subarray(at, at + PIECE);
  }
}

/** The contents of all IDAT chunks. `raw`: without the head of a zlib stream, as Apple's tools write them. */
function packedData(bytes: Uint8Array<ArrayBuffer>) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const packed: Uint8Array<ArrayBuffer>[] = [];
  let raw = false;
  for (let at = 8; at + 8 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === "IDAT") packed.push(bytes.subarray(at + 8, at + 8 + length));
    if (type === "CgBI") raw = true;
    if (type === "IEND") break;
    at += 12 + length;
  }
  return { packed, raw };
}
