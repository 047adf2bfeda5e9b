/**
 * The frames of an MP3 file: how long they are, and of which a decoder makes a sound. Tags before and behind them, and the frame that
 * programs put first to say how many follow, are left out: llama.cpp's decoder (dr_mp3, in miniaudio) believes that number, and one
 * frame could say that it is weeks.
 *
 * Sources: MPEG audio (ISO/IEC 11172-3, 2.4.1.7 and 2.4.2.3; 13818-3); ID3v2.4, 3.1; the "Xing" head of LAME's tag, revision 1; what
 * decodes and what is taken for a tag: miniaudio 0.11.25, `ma_dr_mp3dec_decode_frame` and `ma_dr_mp3_init_internal`.
 */

interface Mp3Frames {
  /** Of what is longer than was asked for, at least so long. */
  readonly seconds: number;
  /** Of the frames that decode; of what is longer than was asked for, at least so long. */
  readonly least: number;
  /** These frames alone. */
  plain(): Uint8Array<ArrayBuffer>;
}

interface Frame {
  readonly at: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Version and sample rate: the same in all frames of a file. */
  readonly kind: number;
}

/** kbit/s of layer III by their index: MPEG 1, and MPEG 2 and 2.5. */
const BITRATES = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const;
/** Hz of MPEG 1; half of it for 2, a quarter for 2.5. */
const SAMPLE_RATES = [44_100, 48_000, 32_000] as const;
/** Behind the last frame other tags may stand. */
const MAX_REST = 4096;
/** Zeros before the first frame. */
const MAX_PADDING = 65_536;
/** What a frame may take of those before it, in bytes. */
const MAX_RESERVOIR = 511;
/** Pairs of large values in a granule. */
const MAX_BIG_VALUES = 288;

/**
 * Only a file of frames of one kind that touch, from the first byte behind a tag to the end: where a decoder has to look for frames it
 * may find others, many times as many.
 * @param o.most Seconds at which it stops.
 * @param o.enough Seconds that are to decode.
 * @returns undefined: it is no such file.
 */
export function readMp3(
  view: DataView,
  { most, enough }: { readonly most: number; readonly enough: number },
): Mp3Frames | undefined {
  const start = mp3Start(view);
  const frames: Frame[] = [];
  let at = start;
  for (let seconds = 0; at + 4 <= view.byteLength && seconds <= most;) {
    const frame = readFrame(view, at);
    if (frame === undefined || frame.kind !== (frames[0] ?? frame).kind) break;
    at += frame.bytes;
    seconds += frame.seconds;
    frames.push(frame);
  }
  if (at === start) return undefined;
  const goesOn = total(frames) > most;
  if (!goesOn && restOf(view, at) > MAX_REST) return undefined;
  const kept = sounding(view, frames.filter((one) => one.at + one.bytes <= view.byteLength));
  return {
    // One that says how many follow is counted in what is too long.
    seconds: total(goesOn ? frames : kept),
    least: decoding(view, kept, enough),
    plain: () => joined(view, kept),
  };
}

function total(frames: readonly Frame[]): number {
  return frames.reduce((sum, { seconds }) => sum + seconds, 0);
}

function joined(view: DataView, frames: readonly Frame[]): Uint8Array<ArrayBuffer> {
  const [first, last] = [frames[0], frames.at(-1)];
  if (!first || !last) return new Uint8Array();
  // They touch.
  const end = last.at + last.bytes;
  return new Uint8Array(view.buffer, view.byteOffset + first.at, end - first.at).slice();
}

/** Without frames at either end that a decoder would take for something else. */
function sounding(view: DataView, frames: readonly Frame[]): readonly Frame[] {
  let [from, to] = [0, frames.length];
  while (from < to && isSilent(view, frames[from]!)) from++;
  while (from < to && endsInTag(view, frames[from]!.at, frames[to - 1]!)) to--;
  return frames.slice(from, to);
}

/**
 * Seconds of the frames of which a decoder makes a sound, up to `enough`: what they say of themselves holds, and those before them have
 * what they take of them.
 */
function decoding(view: DataView, frames: readonly Frame[], enough: number): number {
  let [seconds, reservoir] = [0, 0];
  for (const frame of frames) {
    if (seconds >= enough) break;
    const side = readSide(view, frame);
    if (side === undefined) {
      reservoir = 0;
      continue;
    }
    if (side.taken <= reservoir) seconds += frame.seconds;
    reservoir = Math.min(MAX_RESERVOIR, Math.min(reservoir, side.taken) + side.own);
  }
  return seconds;
}

/** Where a frame's side information ends, how much it takes of frames before it, and what it has itself, in bytes. */
function readSide(
  view: DataView,
  { at, bytes }: Frame,
): { end: number; taken: number; own: number } | undefined {
  const [isFirst, isMono] = [(view.getUint8(at + 1) & 8) !== 0, view.getUint8(at + 3) >>> 6 === 3];
  const hasSum = (view.getUint8(at + 1) & 1) === 0;
  const end = 8 * bytes;
  let bit = 8 * (hasSum ? 6 : 4);
  const read = (count: number) => {
    const from = bit;
    bit += count;
    return bit > end ? 0 : bitsAt(view, 8 * at + from, count);
  };
  const granules = (isMono ? 1 : 2) * (isFirst ? 2 : 1);
  const taken = read(isFirst ? 9 : 8);
  read(isFirst ? (isMono ? 5 : 3) + (isMono ? 4 : 8) : isMono ? 1 : 2);
  let lengths = 0;
  for (let granule = 0; granule < granules; granule++) {
    lengths += read(12);
    if (read(9) > MAX_BIG_VALUES) return undefined;
    read(isFirst ? 12 : 17);
    const isSwitched = read(1) === 1;
    // A block type of 0 must not be said there.
    if (isSwitched && read(2) === 0) return undefined;
    read((isSwitched ? 20 : 22) + (isFirst ? 3 : 2));
  }
  if (bit > end || lengths + bit > end + 8 * taken) return undefined;
  return { end: at + Math.floor(bit / 8), taken, own: Math.floor((end - bit) / 8) };
}

/** @param count At most 24. */
function bitsAt(view: DataView, bit: number, count: number): number {
  const at = Math.min(bit >>> 3, view.byteLength - 4);
  return view.getUint32(at) << bit - 8 * at >>> 32 - count;
}

/** Whether a first frame has no sound: it needs others before it, or says how many follow. */
function isSilent(view: DataView, frame: Frame): boolean {
  const side = readSide(view, frame);
  if (side === undefined || side.taken > 0) return true;
  const name = side.end + 4 <= view.byteLength ? view.getUint32(side.end) : 0;
  return name === 0x58696e67 || name === 0x496e666f; // Xing, Info
}

/** Whether a decoder would take the end of the last frame for a tag (ID3v1, APE), and cut it off with as much as that says. */
function endsInTag(view: DataView, start: number, { at, bytes }: Frame): boolean {
  const end = at + bytes;
  const reads = (from: number, text: string) =>
    from >= start && [...text].every((char, i) => view.getUint8(from + i) === char.charCodeAt(0));
  return reads(end - 128, "TAG") || reads(end - 32, "APETAGEX");
}

/** Bytes behind the last frame, up to zeros at the end. */
function restOf(view: DataView, at: number): number {
  let end = view.byteLength;
  while (end > at && view.getUint8(end - 1) === 0) end--;
  return Math.max(0, end - at);
}

/** Bytes of ID3v2's tag. */
function tagLength(view: DataView): number {
  if (view.getUint8(0) !== 0x49) return 0;
  // Four times seven bits.
  const size = [6, 7, 8, 9].reduce((sum, i) => sum * 128 + (view.getUint8(i) & 127), 0);
  const footer = (view.getUint8(5) & 0x10) === 0 ? 0 : 10;
  return Math.min(10 + size + footer, view.byteLength);
}

/** Behind the tag, and zeros that some programs leave there. */
function mp3Start(view: DataView): number {
  const from = tagLength(view);
  const most = Math.min(from + MAX_PADDING, view.byteLength);
  let at = from;
  while (at < most && view.getUint8(at) === 0) at++;
  return at;
}

/** By the four bytes of its head; undefined: it is none of layer III with a known rate. */
function readFrame(view: DataView, at: number): Frame | undefined {
  const head = view.getUint32(at);
  const [version, layer] = [head >>> 19 & 3, head >>> 17 & 3];
  const [rateIndex, sampleIndex, padding] = [head >>> 12 & 15, head >>> 10 & 3, head >>> 9 & 1];
  if (head >>> 21 !== 0x7ff || version === 1 || layer !== 1) return undefined;
  // 0 is free format, whose frames may be as short as they like.
  if (rateIndex === 0 || rateIndex === 15 || sampleIndex === 3) return undefined;
  const first = version === 3;
  const sampleRate = SAMPLE_RATES[sampleIndex]! / (first ? 1 : version === 2 ? 2 : 4);
  const bitrate = 1000 * BITRATES[first ? 0 : 1]![rateIndex]!;
  const samples = first ? 1152 : 576;
  return {
    at,
    bytes: Math.floor(samples / 8 * bitrate / sampleRate) + padding,
    seconds: samples / sampleRate,
    kind: version << 2 | sampleIndex,
  };
}
