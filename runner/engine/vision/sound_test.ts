/** The engine with a model that hears, whose weights are written by hand; and what sound files say of themselves. */
import assert from "node:assert/strict";
import { seeded } from "../../../tests/support/seeds.ts";
import { makeHearingModel, type Tone, tone, wav } from "../testing_hearing.ts";
import { canSee, coded, request, runLongWork, VISION_LIBRARY, withEngine } from "../testing.ts";
import type { Engine } from "../types.ts";
import { plain } from "../testing_seeing.ts";
import { checkMedia } from "./check_media.ts";
import { MAX_SECONDS, readSoundHead } from "./sound_format.ts";

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
  assert.ok(Math.abs(seconds(tagged) - (10 * 1152 / 44_100 + 0.31)) < 0.01);
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
});
