/**
 * How a camera was held when it took a picture: Exif's orientation, in a JPEG or a PNG. Phones store what their sensor gave them, and
 * say in this number how it is to be turned; who ignores it reads a page lying on its side.
 *
 * Sources: Exif 2.32 (CIPA DC-008) section 4.5 and TIFF 6.0, tag 274; PNG third edition, eXIf.
 */
import { isScan, jpegSegments } from "./jpeg_segments.ts";

const TAG = 0x0112;
const SHORT = 3;
/** What a picture without it has. */
const UPRIGHT = 1;
/** Entries of a directory that are looked at: cameras write a few dozen. */
const MAX_ENTRIES = 1024;

/**
 * @param bytes A picture file, whole or broken.
 * @returns From 1 (upright) to 8, as Exif numbers them; 1 where the file says nothing that can be read.
 */
export function readOrientation(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const exif = view.getUint16(0) === 0xffd8 ? exifOfJpeg(view) : exifOfPng(view);
    return exif === undefined ? UPRIGHT : orientationOf(exif);
  } catch (error) {
    // The file ends within something that it announced.
    if (error instanceof RangeError) return UPRIGHT;
    throw error;
  }
}

/** The TIFF file in the first segment of application 1 that is Exif, before the first scan. */
function exifOfJpeg(view: DataView): DataView | undefined {
  for (const segment of jpegSegments(view)) {
    if (isScan(segment)) return undefined;
    const { marker, at, end } = segment;
    // "Exif", 0, 0
    if (marker === 0xe1 && view.getUint32(at + 2) === 0x45786966 && view.getUint16(at + 6) === 0) {
      return part(view, at + 8, end - (at + 8));
    }
  }
  return undefined;
}

function exifOfPng(view: DataView): DataView | undefined {
  if (view.getUint32(0) !== 0x89504e47) return undefined;
  for (let at = 8;;) {
    const length = view.getUint32(at);
    switch (view.getUint32(at + 4)) {
      case 0x65584966: // eXIf
        return part(view, at + 8, length);
      case 0x49454e44: // IEND
        return undefined;
    }
    at += 12 + length;
  }
}

/** @throws {RangeError} If it is not all there. */
function part(view: DataView, from: number, length: number): DataView {
  return new DataView(view.buffer, view.byteOffset + from, length);
}

/** The tag in the first directory of a TIFF file. */
function orientationOf(tiff: DataView): number {
  const order = tiff.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return UPRIGHT;
  const little = order === 0x4949;
  const directory = tiff.getUint32(4, little);
  const count = Math.min(tiff.getUint16(directory, little), MAX_ENTRIES);
  for (let entry = 0; entry < count; entry++) {
    const at = directory + 2 + 12 * entry;
    if (tiff.getUint16(at, little) !== TAG) continue;
    const value = tiff.getUint16(at + 2, little) === SHORT ? tiff.getUint16(at + 8, little) : 0;
    return value >= 1 && value <= 8 ? value : UPRIGHT;
  }
  return UPRIGHT;
}
