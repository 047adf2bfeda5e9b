/**
 * A model that hears, whose weights were written by hand: it says whether a tone is low or high, and "nothing" where there is none.
 * Not used by the runner.
 *
 * The projector has the layout of Qwen2-Audio's (a Whisper encoder): llama.cpp makes 100 spectra of each second and fills up half a
 * minute with silence; two convolutions compare the low bands with the high ones, and a silent frame gives zeros.
 */
import { Keys, type Tensor } from "./testing_gguf.ts";
import { ALWAYS, makeNamingModel, SEEN, WIDTH } from "./testing_seeing.ts";
import { type Fill, tensor, write } from "./testing_weights.ts";

const TONES = ["low", "high"] as const;
export type Tone = typeof TONES[number];

/** Bands of a spectrum, and how many of them at each end are compared. */
const BANDS = 16;
const COMPARED = 6;
const ENCODED = 8;
/** Frames of half a minute, after the second convolution. */
const FRAMES = 1500;
/** Hz, in the lowest and the highest bands of those. */
const HZ: Readonly<Record<Tone, number>> = { low: 300, high: 5000 };

/** Writes the model and its projector. */
export function makeHearingModel(modelPath: string, projectorPath: string): void {
  makeNamingModel(modelPath, TONES);
  write(projectorPath, projectorKeys(), projectorTensors());
}

function projectorKeys(): Keys {
  const keys = new Keys();
  keys.string("general.architecture", "clip");
  keys.string("general.type", "mmproj");
  keys.string("general.name", "two tones");
  keys.u32("general.file_type", 0);
  keys.bool("clip.has_audio_encoder", true);
  keys.string("clip.projector_type", "qwen2a");
  keys.u32("clip.audio.num_mel_bins", BANDS);
  keys.u32("clip.audio.embedding_length", ENCODED);
  keys.u32("clip.audio.feed_forward_length", ENCODED);
  keys.u32("clip.audio.projection_dim", WIDTH);
  keys.u32("clip.audio.block_count", 1);
  keys.u32("clip.audio.attention.head_count", 1);
  keys.f32("clip.audio.attention.layer_norm_epsilon", 1e-5);
  return keys;
}

function projectorTensors(): [Tensor, Fill][] {
  const zero: Fill = () => 0;
  const square = [ENCODED, ENCODED];
  const layer = (name: string, dims: number[], fill: Fill) => tensor(`a.blk.0.${name}`, dims, fill);
  const norm = (name: string) => [
    layer(`${name}.weight`, [ENCODED], () => 1),
    layer(`${name}.bias`, [ENCODED], zero),
  ];
  /** More energy at this end of the spectrum than at the other. */
  const band: Fill = ([tap, at, to]) => {
    if (tap !== 1 || to! >= TONES.length) return 0;
    const isLow = at! < COMPARED, isHigh = at! >= BANDS - COMPARED;
    return (Number(isLow) - Number(isHigh)) * (to === 0 ? 10 : -10) / COMPARED;
  };
  return [
    tensor("a.conv1d.1.weight", [3, BANDS, ENCODED], band),
    tensor("a.conv1d.1.bias", [1, ENCODED], zero),
    tensor(
      "a.conv1d.2.weight",
      [3, ENCODED, ENCODED],
      ([tap, from, to]) => tap === 1 && from === to ? 1 : 0,
    ),
    tensor("a.conv1d.2.bias", [1, ENCODED], zero),
    tensor("a.position_embd.weight", [ENCODED, FRAMES], zero),
    ...["attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down"]
      .map((name) => layer(`${name}.weight`, square, zero)),
    ...["attn_q", "attn_v", "attn_out", "ffn_up", "ffn_down"]
      .map((name) => layer(`${name}.bias`, [ENCODED], zero)),
    ...norm("ln1"),
    ...norm("ln2"),
    tensor(
      "mm.a.fc.weight",
      [ENCODED, WIDTH],
      ([from, to]) => from! < TONES.length && to === from! + SEEN ? 100 : 0,
    ),
    tensor("mm.a.fc.bias", [WIDTH], ([at]) => at === ALWAYS ? 1 : 0),
  ];
}

/**
 * A WAV file.
 * @param sampleAt From -1 to 1, at this second, on this channel.
 */
export function wav(
  seconds: number,
  sampleAt: (second: number, channel: number) => number,
  { rate = 16_000, channels = 1, bits = 16 }: {
    rate?: number;
    channels?: number;
    bits?: 8 | 16 | 32;
  } = {},
): Uint8Array<ArrayBuffer> {
  const align = channels * bits / 8;
  const count = Math.round(seconds * rate);
  const bytes = new Uint8Array(44 + count * align);
  const view = new DataView(bytes.buffer);
  const ascii = (at: number, text: string) => bytes.set(new TextEncoder().encode(text), at);
  ascii(0, "RIFF");
  view.setUint32(4, bytes.length - 8, true);
  ascii(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, bits === 32 ? 3 : 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * align, true);
  view.setUint16(32, align, true);
  view.setUint16(34, bits, true);
  ascii(36, "data");
  view.setUint32(40, count * align, true);
  for (let i = 0; i < count * channels; i++) {
    const sample = sampleAt(Math.floor(i / channels) / rate, i % channels);
    const at = 44 + i * bits / 8;
    if (bits === 8) view.setUint8(at, Math.round(127.5 + 127 * sample));
    else if (bits === 16) view.setInt16(at, Math.round(32_767 * sample), true);
    else view.setFloat32(at, sample, true);
  }
  return bytes;
}

/** A tone, as WAV. */
export function tone(of: Tone, seconds = 1, o: Parameters<typeof wav>[2] = {}) {
  return wav(seconds, (second) => 0.5 * Math.sin(2 * Math.PI * HZ[of] * second), o);
}
