/**
 * What a picture file says of itself before anybody decodes it: its format and its size. Only the formats that llama.cpp's
 * decoder (stb_image) is given are known; a picture that is too large is refused here, so that a file of a few bytes cannot ask for
 * gigabytes.
 *
 * Sources: PNG (ISO/IEC 15948), JPEG (ITU-T T.81, annex B), GIF89a, BMP (BITMAPINFOHEADER, BITMAPCOREHEADER).
 */
import { isFrame, isScan, jpegSegments } from "./jpeg_segments.ts";

type PictureFormat = "png" | "jpeg" | "gif" | "bmp";

interface PictureHead {
  readonly format: PictureFormat;
  /** In pixels, at least 1. */
  readonly width: number;
  readonly height: number;
}

/** Pixels of a picture: three bytes each once decoded, and again as many while it is scaled. */
export const MAX_PIXELS = 50_000_000;

/**
 * Reads the head of a picture file.
 * @returns The format and the size; undefined for anything else, also for a file that is cut within its head or has no pixels.
 */
export function readPictureHead(bytes: Uint8Array): PictureHead | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 26) return undefined;
  const ascii = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (ascii(0, 8) === "\x89PNG\r\n\x1a\n") {
    if (ascii(12, 16) !== "IHDR") return undefined;
    return sized("png", view.getUint32(16), view.getUint32(20));
  }
  if (view.getUint16(0) === 0xffd8) return readJpeg(view);
  if (/^GIF8[79]a$/.test(ascii(0, 6))) return readGif(view);
  if (ascii(0, 2) === "BM") {
    return view.getUint32(14, true) === 12
      ? sized("bmp", view.getUint16(18, true), view.getUint16(20, true))
      // Below zero: the rows are stored from the top.
      : sized("bmp", view.getInt32(18, true), Math.abs(view.getInt32(22, true)));
  }
  return undefined;
}

function sized(format: PictureFormat, width: number, height: number): PictureHead | undefined {
  return width > 0 && height > 0 ? { format, width, height } : undefined;
}

/** The decoder allocates the screen, and reads the first frame into it. */
function readGif(view: DataView): PictureHead | undefined {
  return sized("gif", view.getUint16(6, true), view.getUint16(8, true));
}

/** Looks for the frame header among the segments before the first scan. */
function readJpeg(view: DataView): PictureHead | undefined {
  try {
    for (const segment of jpegSegments(view)) {
      if (isScan(segment)) return undefined;
      if (!isFrame(segment)) continue;
      return sized("jpeg", view.getUint16(segment.at + 5), view.getUint16(segment.at + 3));
    }
  } catch (error) {
    // The file ends before it.
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}
