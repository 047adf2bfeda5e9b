/**
 * What a sound file is before anybody decodes it: how long, and which of its bytes are sound. Decoded it takes 64 KB a second, however
 * small the file is: what is too long is refused here. A decoder gets the samples or frames alone. It would believe what else a file
 * says of itself, and make room for an hour that is not there. WAV and MP3 are known, OpenAI's two; llama.cpp's decoder (miniaudio)
 * knows FLAC too, whose length can only be told by decoding it.
 *
 * Source: RIFF WAVE (Microsoft, "Multimedia Programming Interface", 1991; WAVEFORMATEXTENSIBLE).
 */
import { readMp3 } from "./mp3_frames.ts";

interface SoundHead {
  readonly format: "wav" | "mp3";
  /** Of what is longer than {@link MAX_SECONDS}, at least so long. */
  readonly seconds: number;
  /** Of that, what a decoder makes a sound of; of an MP3 file's no more is looked for than {@link MIN_SECONDS}. */
  readonly least: number;
  /** The file as a decoder is to be given it: with nothing but the sound. */
  plain(): Uint8Array<ArrayBuffer>;
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
const WAV_HEAD_BYTES = 44;

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
  if (view.getUint32(0) === 0x52494646) return readWav(view);
  const frames = readMp3(view, { most: MAX_SECONDS, enough: MIN_SECONDS });
  return frames && { format: "mp3", ...frames };
}

function readWav(view: DataView): SoundHead | undefined {
  let kind: WavKind | undefined;
  for (let at = 12; at + 8 <= view.byteLength;) {
    const [id, size] = [view.getUint32(at), view.getUint32(at + 4, true)];
    at += 8;
    if (id === 0x666d7420) { // "fmt "
      if (kind !== undefined || size < 16 || at + size > view.byteLength) return undefined;
      kind = wavKind(new DataView(view.buffer, view.byteOffset + at, size));
      if (kind === undefined) return undefined;
    } else if (id === 0x64617461) { // "data"
      if (kind === undefined) return undefined;
      const { align, rate } = kind;
      const samples = Math.floor(Math.min(size, view.byteLength - at) / align);
      const seconds = samples / rate;
      const data = new Uint8Array(view.buffer, view.byteOffset + at, samples * align);
      return { format: "wav", seconds, least: seconds, plain: () => plainWav(kind!, data) };
    }
    at += size + size % 2;
  }
  return undefined;
}

interface WavKind {
  readonly tag: number;
  readonly channels: number;
  /** Hz. */
  readonly rate: number;
  /** Bytes of a sample of all channels. */
  readonly align: number;
  readonly bits: number;
}

function wavKind(fmt: DataView): WavKind | undefined {
  const word = (at: number) => fmt.getUint16(at, true);
  if (word(0) === EXTENSIBLE && fmt.byteLength < 40) return undefined;
  const tag = word(0) === EXTENSIBLE ? word(24) : word(0);
  const [channels, rate, align, bits] = [word(2), fmt.getUint32(4, true), word(12), word(14)];
  const fits = PLAIN_TAGS.has(tag) && channels >= 1 && channels <= MAX_CHANNELS &&
    rate >= RATES.least && rate <= RATES.most && [8, 16, 24, 32, 64].includes(bits) &&
    align === channels * bits / 8;
  return fits ? { tag, channels, rate, align, bits } : undefined;
}

function plainWav(o: WavKind, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(WAV_HEAD_BYTES + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x52494646); // RIFF
  view.setUint32(4, bytes.length - 8, true);
  view.setUint32(8, 0x57415645); // WAVE
  view.setUint32(12, 0x666d7420); // "fmt "
  view.setUint32(16, 16, true);
  view.setUint16(20, o.tag, true);
  view.setUint16(22, o.channels, true);
  view.setUint32(24, o.rate, true);
  view.setUint32(28, o.rate * o.align, true);
  view.setUint16(32, o.align, true);
  view.setUint16(34, o.bits, true);
  view.setUint32(36, 0x64617461); // data
  view.setUint32(40, data.length, true);
  bytes.set(data, WAV_HEAD_BYTES);
  return bytes;
}
