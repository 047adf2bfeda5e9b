/**
 * A file as its decoder is to be given it: of a sound (miniaudio) the sound alone, of a picture (stb_image) another one where it would
 * else show what no viewer does.
 *
 * Sources: GIF89a, 18; PNG (ISO/IEC 15948), 11.2.3; BMP (BITMAPINFOHEADER, BITMAPCOREHEADER).
 */
import type { MediaKind } from "../types.ts";
import { broken } from "./check_media.ts";
import { readSoundHead } from "./sound_format.ts";

/** Where a GIF says its background's place in the table of colours. */
const BACKGROUND_AT = 11;
const PNG_HEAD = 0x89504e47;
const PLTE = 0x504c5445;
/** 256 colours of three bytes. */
const PALETTE_BYTES = 768;

const BMP_HEAD = 0x424d;
/** In front of a BMP's own head. */
const BMP_FILE_HEAD = 14;
/** Of the oldest kind, whose colours take three bytes and not four. */
const BMP_CORE_HEAD = 12;
const BMP_CORE_EXTRA = 12;
const COLOURS = 256;

/**
 * @param bytes A file that `checkMedia` of check_media.ts took. @returns A copy where it has to be another one.
 * @throws {SecLlamaError} `bad-request` for a sound whose head is not known: a decoder gets no file as it is.
 */
export function forDecoder(
  bytes: Uint8Array<ArrayBuffer>,
  kind: MediaKind,
): Uint8Array<ArrayBuffer> {
  if (kind === "picture") return pictureForDecoder(bytes);
  const head = readSoundHead(bytes);
  if (typeof head !== "object") throw broken("it is no WAV or MP3 file", {}, "sound");
  return head.plain();
}

function pictureForDecoder(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (String.fromCharCode(...bytes.subarray(0, 3)) === "GIF") return withoutBackground(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0) === BMP_HEAD) return withWholeTable(bytes, view);
  const isIndexed = view.getUint32(0) === PNG_HEAD && bytes[25] === 3;
  return isIndexed ? withWholePalette(bytes, view) : bytes;
}

/**
 * Where a GIF's first frame draws nothing, viewers show nothing. The decoder paints it in the screen's background colour, with red and
 * blue changed, unless that is the first of the table.
 */
function withoutBackground(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes[BACKGROUND_AT] === 0) return bytes;
  const copy = bytes.slice();
  copy[BACKGROUND_AT] = 0;
  return copy;
}

/**
 * Colours that a PNG's palette lacks are black. The decoder takes them from memory that it has not written: a model would be shown
 * what lay there. It looks at no checksum.
 */
function withWholePalette(
  bytes: Uint8Array<ArrayBuffer>,
  view: DataView,
): Uint8Array<ArrayBuffer> {
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    // One after it replaces colours, and leaves the others.
    if (view.getUint32(at + 4) === PLTE && length > 0) {
      if (length >= PALETTE_BYTES || length % 3 !== 0 || at + 12 + length > bytes.length) break;
      const copy = new Uint8Array(bytes.length + PALETTE_BYTES - length);
      copy.set(bytes.subarray(0, at + 8 + length));
      new DataView(copy.buffer).setUint32(at, PALETTE_BYTES);
      copy.set(bytes.subarray(at + 8 + length), at + 8 + PALETTE_BYTES);
      return copy;
    }
    at += 12 + length;
  }
  return bytes;
}

/**
 * The same of a BMP's table of colours. Of one of the oldest kind the decoder takes the last four, and where its pixels begin, from
 * another place: it believes that the head is twelve bytes longer. All that it works out is right where the table is whole, with as
 * many bytes behind it.
 */
function withWholeTable(bytes: Uint8Array<ArrayBuffer>, view: DataView): Uint8Array<ArrayBuffer> {
  const [pixelsAt, headBytes] = [view.getUint32(10, true), view.getUint32(14, true)];
  const isCore = headBytes === BMP_CORE_HEAD;
  if (![BMP_CORE_HEAD, 40, 56, 108, 124].includes(headBytes)) return bytes;
  if (![1, 4, 8].includes(bytes[isCore ? 24 : 28]!)) return bytes;
  const tableAt = BMP_FILE_HEAD + headBytes;
  const tableBytes = COLOURS * (isCore ? 3 : 4);
  const newPixelsAt = tableAt + tableBytes + (isCore ? BMP_CORE_EXTRA : 0);
  const pixels = bytes.subarray(Math.max(pixelsAt, tableAt));
  const copy = new Uint8Array(newPixelsAt + pixels.length);
  copy.set(bytes.subarray(0, tableAt));
  copy.set(bytes.subarray(tableAt, Math.min(pixelsAt, tableAt + tableBytes)), tableAt);
  new DataView(copy.buffer).setUint32(10, newPixelsAt, true);
  copy.set(pixels, newPixelsAt);
  return copy;
}
