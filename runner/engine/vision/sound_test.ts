/** The engine with a model that hears, whose weights are written by hand; and what sound files say of themselves. */
import assert from "node:assert/strict";
import { seeded } from "../../../tests/support/seeds.ts";
import { makeHearingModel, type Tone, tone, wav } from "../testing_hearing.ts";
import { canSee, coded, request, runLongWork, VISION_LIBRARY, withEngine } from "../testing.ts";
import type { Engine } from "../types.ts";
import { plain } from "../testing_seeing.ts";
import { checkMedia } from "./check_media.ts";
import { forDecoder } from "./for_decoder.ts";
import { readMp3 } from "./mp3_frames.ts";
import { MAX_SECONDS, readSoundHead } from "./sound_format.ts";
import { DECODED_RATE, withDecoder } from "./testing_decoder.ts";

async function hearing(test: (engine: Engine) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    const [modelPath, projectorPath] = [`${dir}/model.gguf`, `${dir}/projector.gguf`];
    makeHearingModel(modelPath, projectorPath);
    const vision = { libraryPath: VISION_LIBRARY, projectorPath };
    await withEngine({ modelPath, vision, contextLength: 4096, slots: 1 }, test);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function heard(engine: Engine, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  using sound = await engine.readPicture(bytes, { client: "a", kind: "sound" });
  const prompt = await runLongWork(engine.tokenizeInTurns([
    { text: "user: ", special: true },
    { text: "", special: true, picture: sound },
    { text: "What is it?", special: false },
  ]));
  let text = "";
  const asked = { ...request(""), prompt: prompt!, client: "a", pictures: [sound] };
  for await (const event of engine.generate(asked, new AbortController().signal)) {
    if (event.type === "token") text += event.text;
  }
  return text;
}

Deno.test({
  name: "a tone is heard, whatever the file's rate, channels and samples are",
  ignore: !canSee(),
  fn: () =>
    hearing(async (engine) => {
      assert.deepEqual(
        engine.info.capabilities.filter((one) => one === "audio" || one === "vision"),
        ["audio"],
      );
      for (const pitch of ["low", "high"] as Tone[]) {
        assert.equal(await heard(engine, tone(pitch)), pitch);
        assert.equal(await heard(engine, tone(pitch, 0.5, { rate: 44_100, channels: 2 })), pitch);
        assert.equal(await heard(engine, tone(pitch, 2, { rate: 48_000, bits: 32 })), pitch);
      }
      assert.equal(await heard(engine, tone("high", 0.7, { rate: 22_050, bits: 8 })), "high");
      // Longer than the half minute that is encoded at once: most of it counts.
      const mixed = wav(40, (t) => Math.sin(2 * Math.PI * (t < 32 ? 300 : 5000) * t) / 2);
      assert.equal(await heard(engine, mixed), "low");
      // What is no sound, or is too long, is refused, and it goes on hearing.
      const say = (bytes: Uint8Array<ArrayBuffer>) => () =>
        engine.readPicture(bytes, { client: "a", kind: "sound" });
      await assert.rejects(say(plain("red")), coded("bad-request", /no WAV or MP3/));
      await assert.rejects(say(tone("low").slice(0, 30)), coded("bad-request"));
      await assert.rejects(say(wav(700, () => 0, { rate: 2000, bits: 8 })), /700 seconds/);
      // llama.cpp ended the process over these.
      for (const seconds of [0, 1 / 16_000, 1 / 4000, 0.05, 0.099]) {
        await assert.rejects(
          say(wav(seconds, () => 0.5)),
          coded("bad-request", /less than 0.1 s|decoded/),
        );
      }
      await assert.rejects(say(mp3(1)), coded("bad-request"));
      await heard(engine, wav(0.1, () => 0.5));
      await assert.rejects(
        engine.readPicture(plain("red"), { client: "a" }),
        coded("bad-request", /does not support images/),
      );
      assert.equal(await heard(engine, tone("low", 0.3)), "low");
    }),
});

/** MP3 frames of silence, layer III: 417 or 418 bytes each at 128 kbit/s and 44.1 kHz. */
function mp3(frames: number, head: readonly number[] = [0xff, 0xfb, 0x90, 0x00], bytes = 417) {
  const out = new Uint8Array(frames * bytes);
  for (let i = 0; i < frames; i++) out.set(head, i * bytes);
  return out;
}

Deno.test("sound: how long a file lasts is read from its frames", () => {
  const seconds = (bytes: Uint8Array) => {
    const head = readSoundHead(bytes);
    assert.ok(typeof head === "object");
    return head.seconds;
  };
  assert.ok(Math.abs(seconds(mp3(100)) - 100 * 1152 / 44_100) < 0.01);
  // MPEG 2.5, 8 kbit/s, 8 kHz: 72 bytes, a small file that lasts long.
  const slow = (frames: number) => seconds(mp3(frames, [0xff, 0xe3, 0x18, 0x00], 72));
  assert.ok(Math.abs(slow(8000) - 576) < 0.1);
  assert.ok(slow(10_000) > MAX_SECONDS);
  const tagged = new Uint8Array(10 + 300 + 417 * 10);
  tagged.set([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 2, 44]);
  tagged.set(mp3(10), 310);
  assert.ok(Math.abs(seconds(tagged) - 10 * 1152 / 44_100) < 0.01);
  // It is not walked to its end.
  assert.ok(slow(100_000) < MAX_SECONDS + 1);
  assert.equal(seconds(tone("low", 2, { rate: 48_000, channels: 2 })), 2);
  assert.equal(readSoundHead(new TextEncoder().encode("fLaC and some more")), "flac");
  // One sample a second would be sixteen thousand for the decoder.
  for (const [at, value] of [[24, 1], [22, 0], [22, 999], [32, 1], [20, 2], [34, 4]] as const) {
    const odd = tone("low");
    new DataView(odd.buffer).setUint16(at, value, true);
    if (at === 24) new DataView(odd.buffer).setUint32(at, value, true);
    assert.equal(readSoundHead(odd), undefined, `${at}`);
  }
});

Deno.test("sound: an MP3 file in which a decoder may find other frames than those that are counted is none", () => {
  const joined = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));
  const junk = (bytes: number) => new Uint8Array(bytes).fill(7);
  const slow = mp3(100, [0xff, 0xe3, 0x18, 0x00], 72);
  const odd = {
    "free format": mp3(1000, [0xff, 0xfb, 0x00, 0]),
    "another layer": mp3(1000, [0xff, 0xfd, 0x90, 0]),
    "noise": mp3(1000, [0xff, 0xff, 0xff, 0xff]),
    // One long frame's head, within which a decoder finds short ones.
    "a lone head": joined(new Uint8Array([0xff, 0xfb, 0xe0, 0x00]), slow),
    "another version behind it": joined(mp3(20), slow),
    "another sample rate": joined(mp3(20), mp3(20, [0xff, 0xfb, 0x94, 0x00], 384)),
    "a gap": joined(mp3(20), junk(5000), mp3(20)),
  };
  for (const [what, bytes] of Object.entries(odd)) {
    assert.equal(readSoundHead(bytes), undefined, what);
  }
  const tag = new Uint8Array([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 0, 10, ...new Array(10).fill(1)]);
  assert.equal(readSoundHead(joined(tag, junk(100), mp3(20))), undefined, "junk before the frames");
  // What programs do write: a tag, zeros, frames of which the last one is cut, a tag.
  const id3v1 = joined(new TextEncoder().encode("TAG"), junk(125));
  for (
    const whole of [
      joined(tag, new Uint8Array(500), mp3(20)),
      joined(mp3(20), id3v1),
      joined(mp3(20), new Uint8Array(9000)),
      mp3(20).slice(0, -100),
      mp3(1),
    ]
  ) assert.equal((readSoundHead(whole) as { format: string } | undefined)?.format, "mp3");
});

Deno.test("sound: any cut or changed head is read without a fault", () => {
  const seeds = [tone("low", 0.01), mp3(4)];
  const next = seeded(1);
  const random = (below: number) => Math.floor(next() * below);
  for (let round = 0; round < 5000; round++) {
    const bytes = seeds[round % seeds.length]!.slice(0, random(128));
    for (let change = random(5); change > 0 && bytes.length > 0; change--) {
      bytes[random(bytes.length)] = random(256);
    }
    const head = readSoundHead(bytes);
    if (typeof head === "object") assert.ok(head.seconds >= 0 && Number.isFinite(head.seconds));
  }
});

Deno.test("a sound whose tag alone would be long enough is too short", () => {
  const tag = new Uint8Array(310);
  tag.set([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 2, 44]);
  for (const frames of [1, 3]) {
    const bytes = new Uint8Array([...tag, ...mp3(frames)]);
    assert.throws(() => checkMedia(bytes, "sound"), /less than 0.1 seconds/);
  }
  checkMedia(new Uint8Array([...tag, ...mp3(4)]), "sound");
  // The picture of an album's cover is no sound.
  const cover = new Uint8Array(10 + 128 * 128 * 50);
  cover.set([0x49, 0x44, 0x33, 4, 0, 0, 0, 50, 0, 0]);
  checkMedia(new Uint8Array([...cover, ...mp3(4)]), "sound");
});

const ascii = (text: string) => new TextEncoder().encode(text);

/** Frames of which the first says how many follow. */
function counted(frames: number, count: number, name = "Info"): Uint8Array<ArrayBuffer> {
  const bytes = mp3(frames);
  bytes.set(ascii(name), 4 + 32);
  new DataView(bytes.buffer).setUint32(4 + 32 + 4, 1);
  new DataView(bytes.buffer).setUint32(4 + 32 + 8, count);
  return bytes;
}

Deno.test("sound: a decoder is given frames alone, or samples behind a head of their own", () => {
  const plain = (bytes: Uint8Array) => {
    const head = readSoundHead(bytes);
    assert.ok(typeof head === "object");
    return head.plain();
  };
  const tag = [0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 0, 10, ...new Array(10).fill(1)];
  assert.deepEqual(plain(new Uint8Array([...tag, 0, 0, ...mp3(9), ...ascii("TAG")])), mp3(9));
  // What counts frames, however often, and what is cut.
  for (const name of ["Info", "Xing"]) {
    assert.deepEqual(plain(counted(9, 383_000, name)), mp3(8));
    assert.throws(() => checkMedia(counted(30_000, 29_999, name), "sound"), /must be at most 600/);
  }
  assert.deepEqual(plain(new Uint8Array([...counted(1, 9), ...counted(9, 9)])), mp3(8));
  assert.deepEqual(plain(mp3(9).slice(0, -1)), mp3(8));
  // A frame whose end would cut off those before it.
  const ends = mp3(9);
  ends.set(ascii("APETAGEX"), ends.length - 32);
  ends.set([100, 14], ends.length - 8);
  assert.deepEqual(plain(ends), mp3(8));
  assert.deepEqual(
    plain(
      new Uint8Array([...mp3(8), ...mp3(1).fill(84, -128).fill(65, -127, -126).fill(71, -126)]),
    ),
    mp3(8),
  );
  const odd = tone("low", 0.5, { rate: 44_100, channels: 2 });
  assert.deepEqual(plain(odd), odd);
  new DataView(odd.buffer).setUint32(40, 0xffff_fff0, true);
  new DataView(odd.buffer).setUint32(4, 7, true);
  assert.deepEqual(
    plain(new Uint8Array([...odd, 1])),
    tone("low", 0.5, { rate: 44_100, channels: 2 }),
  );
});

/** Frames of four kinds: head and length. */
const KINDS = [
  { head: [0xff, 0xfb, 0x90, 0x00], bytes: 417 },
  { head: [0xff, 0xfa, 0x90, 0xc0], bytes: 417 },
  { head: [0xff, 0xf3, 0x18, 0xc0], bytes: 36 },
  { head: [0xff, 0xe2, 0x18, 0x00], bytes: 72 },
] as const;

/** A file of frames that take of those before them, say what cannot be, or look like tags. */
function drawn(random: (below: number) => number): Uint8Array<ArrayBuffer> {
  const { head, bytes } = KINDS[random(KINDS.length)]!;
  const out = mp3(1 + random(12), [...head], bytes);
  const odds = 1 + random(6);
  for (let at = 0; at < out.length; at += bytes) {
    // Behind the head, and a sum where it has one.
    const side = at + (head[1] % 2 === 0 ? 6 : 4);
    if (random(odds) === 0) out[side] = random(2) === 0 ? random(256) : random(16);
    if (random(odds) === 0) out[side + 2 + random(12)] = random(256);
    const name = side + [9, 17, 32][random(3)]!;
    if (random(8) === 0 && name + 4 <= out.length) out.set(ascii("Info"), name);
  }
  if (random(8) === 0 && out.length >= 128) out.set(ascii("TAG"), out.length - 128);
  if (random(8) === 0) out.set(ascii("APETAGEX"), out.length - 32);
  return out;
}

Deno.test({
  name: "an MP3 file's frames decode to what was counted, whatever they say of themselves",
  ignore: !canSee(),
  fn: () =>
    withDecoder(async (decode) => {
      // The attack: half a second that says it is a minute, for which the decoder makes room.
      const minute = counted(21, 2300);
      assert.ok((await decode(minute))! > 50 * DECODED_RATE);
      const next = seeded(3);
      const random = (below: number) => Math.floor(next() * below);
      let none = 0;
      const files = Deno.env.get("SECLLAMA_FULL") === "1" ? 3000 : 500;
      for (let file = 0; file < files; file++) {
        const bytes = drawn(random);
        const view = new DataView(bytes.buffer);
        const frames = readMp3(view, { most: MAX_SECONDS, enough: Infinity })!;
        const plain = frames.plain();
        const samples = plain.length === 0 ? 0 : await decode(plain) ?? 0;
        const off = Math.abs(samples - frames.least * DECODED_RATE);
        assert.ok(off < 4, `file ${file}: ${samples / DECODED_RATE} s, not ${frames.least}`);
        if (samples === 0) none++;
      }
      assert.ok(none > files / 20 && none < files / 2, `${none} of ${files} are no sound`);
      assert.equal(await decode(forDecoder(minute, "sound")), await decode(mp3(20)));
    }),
});

Deno.test("a decoder gets no sound whose head is not known", () => {
  const sound = tone("low");
  assert.notEqual(forDecoder(sound, "sound"), sound);
  const flac = new TextEncoder().encode("fLaC".padEnd(64, "\0"));
  const picture = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, ...Array(60).fill(0)]);
  for (const bytes of [flac, picture, new Uint8Array(64), new Uint8Array(0)]) {
    assert.throws(() => forDecoder(bytes, "sound"), { code: "bad-request" });
  }
});
