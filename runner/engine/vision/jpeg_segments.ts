/** The segments of a JPEG. Source: ITU-T T.81, annex B. */

/** A marker with what belongs to it; both places in bytes of the file. */
interface JpegSegment {
  readonly marker: number;
  /** Where its length stands. */
  readonly at: number;
  /** Behind it. */
  readonly end: number;
}

/** Whether it is the head of a frame: SOF0 to SOF15, without DHT, JPG and DAC among them. */
export function isFrame({ marker }: JpegSegment): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** Whether it is the head of a scan, behind which its packed data stand. */
export function isScan({ marker }: JpegSegment): boolean {
  return marker === 0xda;
}

/**
 * From the first one on, until the end marker, or what is no marker. Who goes on behind a scan's head says by `next` where its data
 * end.
 * @throws {RangeError} If the file ends before that.
 */
export function* jpegSegments(view: DataView): Generator<JpegSegment, void, number | undefined> {
  for (let at = 2; view.getUint8(at) === 0xff;) {
    const marker = view.getUint8(at + 1);
    if (marker === 0xd9) return;
    if (marker === 0xff || marker === 0x00) { // fill bytes
      at++;
    } else if (marker === 0x01 || marker >= 0xd0 && marker <= 0xd8) { // markers without a segment
      at += 2;
    } else {
      const end = at + 2 + view.getUint16(at + 2);
      at = (yield { marker, at: at + 2, end }) ?? end;
    }
  }
}
