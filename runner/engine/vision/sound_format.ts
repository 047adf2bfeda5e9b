/**
 * What a sound file says of itself before anybody decodes it: how long it is. Decoded it takes 64 KB a second, however small the
 * file is: what is too long is refused here. WAV and MP3 are known, OpenAI's two; llama.cpp's decoder (miniaudio) knows FLAC too, whose
 * length can only be told by decoding it.
 *
 * Sources: RIFF WAVE (Microsoft, "Multimedia Programming Interface", 1991; WAVEFORMATEXTENSIBLE); MPEG audio (ISO/IEC 11172-3, 2.4.2.3,
 * and 13818-3); ID3v2.4, 3.1.
 */

interface SoundHead {
  readonly format: "wav" | "mp3";
  /** At most so long; of what is longer than {@link MAX_SECONDS}, at least. */
  readonly seconds: number;
  /** Of the frames that can be seen alone: tags are counted above, as if they were some. */
  readonly least: number;
}

/** The least, as OpenAI has it. */
export const MIN_SECONDS = 0.1;

/** Of one sound. Each half a minute takes hundreds of tokens. */
export const MAX_SECONDS = 600;

/** PCM, float, A-law, µ-law: a sample takes the same bytes always. */
const PLAIN_TAGS: ReadonlySet<number> = new Set([1, 3, 6, 7]);
const EXTENSIBLE = 0xfffe;
const RATES = { least: 2000, most: 192_000 };
const MAX_CHANNELS = 8;
/** kbit/s of layer III by their index: MPEG 1, and MPEG 2 and 2.5. */
const BITRATES = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const;
/** Hz of MPEG 1; half of it for 2, a quarter for 2.5. */
const SAMPLE_RATES = [44_100, 48_000, 32_000] as const;
/** Bytes of a second at the lowest rate that any layer has. */
const LEAST_BYTES = 1000;
/** Behind the last frame other tags may stand. */
const MAX_REST = 4096;
/** Zeros before the first frame. */
const MAX_PADDING = 65_536;
/** Seconds of a byte in the shortest frames of free format: a head and what must follow it, at 8 kHz. */
const SLOWEST = 0.072 / 13;

/** Whether it begins as llama.cpp's library takes a sound to. */
function isSound(bytes: Uint8Array): boolean {
  const ascii = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  return ascii(0, 4) === "RIFF" && ascii(8, 12) === "WAVE" || ascii(0, 3) === "ID3" ||
    ascii(0, 4) === "fLaC" || bytes[0] === 0xff && (bytes[1]! & 0xe0) === 0xe0;
}

/** Reads the head of a sound file. @returns "flac" for one; undefined: it is none, or broken, or says something odd of itself. */
export function readSoundHead(bytes: Uint8Array): SoundHead | "flac" | undefined {
  if (bytes.length < 12 || !isSound(bytes)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) === 0x664c6143) return "flac";
  return view.getUint32(0) === 0x52494646 ? readWav(view) : readMp3(view);
}

function readWav(view: DataView): SoundHead | undefined {
  let bytesPerSecond: number | undefined;
  for (let at = 12; at + 8 <= view.byteLength;) {
    const [id, size] = [view.getUint32(at), view.getUint32(at + 4, true)];
    at += 8;
    if (id === 0x666d7420) { // "fmt "
      if (bytesPerSecond !== undefined || size < 16 || at + size > view.byteLength) {
        return undefined;
      }
      bytesPerSecond = wavRate(new DataView(view.buffer, view.byteOffset + at, size));
      if (bytesPerSecond === undefined) return undefined;
    } else if (id === 0x64617461) { // "data"
      if (bytesPerSecond === undefined) return undefined;
      const seconds = Math.min(size, view.byteLength - at) / bytesPerSecond;
      return { format: "wav", seconds, least: seconds };
    }
    at += size + size % 2;
  }
  return undefined;
}

function wavRate(fmt: DataView): number | undefined {
  const word = (at: number) => fmt.getUint16(at, true);
  if (word(0) === EXTENSIBLE && fmt.byteLength < 40) return undefined;
  const tag = word(0) === EXTENSIBLE ? word(24) : word(0);
  const [channels, rate, align, bits] = [word(2), fmt.getUint32(4, true), word(12), word(14)];
  const fits = PLAIN_TAGS.has(tag) && channels >= 1 && channels <= MAX_CHANNELS &&
    rate >= RATES.least && rate <= RATES.most && [8, 16, 24, 32, 64].includes(bits) &&
    align === channels * bits / 8;
  return fits ? rate * align : undefined;
}

/**
 * Only a file of which a decoder can make nothing else: frames of one kind that touch, from the first byte behind a tag to the end.
 * Where a decoder has to look for frames it may find others, many times as many.
 */
function readMp3(view: DataView): SoundHead | undefined {
  const start = mp3Start(view);
  let at = start;
  let kind: number | undefined;
  const tag = tagLength(view) / LEAST_BYTES;
  let least = 0;
  while (at + 4 <= view.byteLength) {
    const frame = mp3Frame(view.getUint32(at));
    if (frame === undefined || frame.kind !== (kind ??= frame.kind)) break;
    least += frame.seconds;
    at += frame.bytes;
    // How long it is altogether makes no difference.
    if (tag + least > MAX_SECONDS) return { format: "mp3", seconds: tag + least, least };
  }
  if (at === start) return undefined;
  let end = view.byteLength;
  while (end > at && view.getUint8(end - 1) === 0) end--;
  const rest = Math.max(0, end - at);
  if (rest > MAX_REST) return undefined;
  return { format: "mp3", seconds: tag + least + rest * SLOWEST, least };
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
function mp3Frame(head: number): { bytes: number; seconds: number; kind: number } | undefined {
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
    bytes: Math.floor(samples / 8 * bitrate / sampleRate) + padding,
    seconds: samples / sampleRate,
    kind: version << 2 | sampleIndex,
  };
}
