/**
 * Whether a JPEG has data for all of its pixels. Where it has none, llama.cpp's decoder (stb_image) shows memory that it has not
 * written: of a file without any, all that lay there, of other people's pictures too.
 *
 * Source: ITU-T T.81, annexes A and B.
 */
import { isFrame, isScan, jpegSegments } from "./jpeg_segments.ts";

/** DRI. */
const RESTART_INTERVAL = 0xdd;

interface Frame {
  readonly width: number;
  readonly height: number;
  /** By id: blocks of a unit, across and down. */
  readonly components: ReadonlyMap<number, readonly [across: number, down: number]>;
}

const FAULT = "it lacks data for some of its pixels";

/**
 * Looks at a JPEG whose head was read.
 * @returns What is wrong with it; undefined: nothing, as far as is seen here.
 */
export function faultOfJpeg(bytes: Uint8Array<ArrayBuffer>): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return hasAll(bytes, view) ? undefined : FAULT;
  } catch (error) {
    // The file ends within something that it announced.
    if (error instanceof RangeError) return FAULT;
    throw error;
  }
}

/** @throws {RangeError} If the file ends before its pixels do. */
function hasAll(bytes: Uint8Array, view: DataView): boolean {
  const segments = jpegSegments(view);
  let frame: Frame | undefined;
  let interval = 0;
  const left = new Set<number>();
  for (let next = segments.next(); frame === undefined || left.size > 0;) {
    if (next.done) return false;
    const { marker, at, end } = next.value;
    let behind: number | undefined;
    if (isFrame(next.value) && frame === undefined) {
      frame = readFrame(view, at + 2);
      for (const id of frame.components.keys()) left.add(id);
    } else if (marker === RESTART_INTERVAL) {
      interval = view.getUint16(at + 2);
    } else if (isScan(next.value)) {
      if (frame === undefined) return false;
      const count = view.getUint8(at + 2);
      const ids = Array.from({ length: count }, (_, i) => view.getUint8(at + 3 + 2 * i));
      // Of a progressive one only the first scan of the lowest frequency writes all.
      const isFirst = view.getUint8(at + 3 + 2 * count) === 0 &&
        view.getUint8(at + 5 + 2 * count) >> 4 === 0;
      const scan = readScan(bytes, end);
      if (isFirst) {
        if (interval > 0 && scan.restarts < Math.ceil(unitsOf(frame, ids) / interval) - 1) {
          return false;
        }
        for (const id of ids) left.delete(id);
      }
      behind = scan.end;
    }
    if (left.size > 0 || frame === undefined) next = segments.next(behind);
  }
  return true;
}

function readFrame(view: DataView, at: number): Frame {
  const count = view.getUint8(at + 5);
  return {
    height: view.getUint16(at + 1),
    width: view.getUint16(at + 3),
    components: new Map(Array.from({ length: count }, (_, i) => {
      const sampling = view.getUint8(at + 7 + 3 * i);
      return [view.getUint8(at + 6 + 3 * i), [sampling >> 4, sampling & 15]] as const;
    })),
  };
}

/** Data units of a scan: of several components those of all together (A.2). */
function unitsOf({ width, height, components }: Frame, ids: readonly number[]): number {
  const all = [...components.values()];
  const most = [0, 1].map((way) => Math.max(...all.map((sampling) => sampling[way]!)));
  const [across, down] = ids.length === 1 && components.get(ids[0]!) || most;
  const blocks = (size: number, own: number, top: number) =>
    ids.length === 1 ? Math.ceil(Math.ceil(size * own / top) / 8) : Math.ceil(size / (8 * top));
  return blocks(width, across!, most[0]!) * blocks(height, down!, most[1]!);
}

/** Where its packed data end, and how many restart markers are among them. */
function readScan(bytes: Uint8Array, from: number): { end: number; restarts: number } {
  let restarts = 0;
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at)) {
    const next = bytes[at + 1];
    if (next === 0xff) at++;
    else if (next === 0 || next !== undefined && next >= 0xd0 && next <= 0xd7) {
      if (next !== 0) restarts++;
      at += 2;
    } else return { end: at, restarts };
  }
  return { end: bytes.length, restarts };
}
