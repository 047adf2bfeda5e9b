/** Pictures and sounds are looked at here before any decoder sees them: which format, how large, how much they unpack to. */
import { SecLlamaError } from "../../../src/errors.ts";
import type { MediaKind } from "../types.ts";
import { faultOfJpeg } from "./jpeg_data.ts";
import { nameOfOther } from "./other_formats.ts";
import { MAX_PIXELS, readPictureHead } from "./picture_format.ts";
import { faultOfPng } from "./png_data.ts";
import { MAX_SECONDS, MIN_SECONDS, readSoundHead } from "./sound_format.ts";

/**
 * That a file is of this kind and of a format that is taken, and not too large.
 * @throws {SecLlamaError} `bad-request`.
 */
export function checkMedia(bytes: Uint8Array, kind: MediaKind): void {
  if (kind === "picture") checkHead(bytes);
  else checkSound(bytes);
}

/** That a picture has as much data as its size needs, and not much more. Reads all of it. @throws {SecLlamaError} `bad-request`. */
export async function checkData(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const head = readPictureHead(bytes);
  const format = head?.format;
  const fault = format === "png"
    ? await faultOfPng(bytes)
    : format === "jpeg"
    ? faultOfJpeg(bytes)
    : undefined;
  if (fault !== undefined) throw broken(fault);
}

/** That the projector is for this kind. @throws {SecLlamaError} `bad-request`. */
export function checkKind(
  kind: MediaKind,
  { sees, hears }: { readonly sees: boolean; readonly hears: boolean },
): void {
  if (kind === "picture" ? sees : hears) return;
  const what = kind === "picture" ? "images" : "audio";
  throw new SecLlamaError("bad-request", `this model does not support ${what}`);
}

/** @throws {SecLlamaError} `bad-request`. */
function checkHead(bytes: Uint8Array): void {
  const head = readPictureHead(bytes);
  if (head === undefined) {
    const other = nameOfOther(bytes);
    const why = other === undefined ? "no PNG, JPEG, GIF or BMP" : other;
    throw broken(`it is ${why} file`, { hint: "send it as PNG or JPEG" });
  }
  const { width, height } = head;
  if (width * height > MAX_PIXELS) {
    throw broken(`it has ${width} × ${height} pixels, must have at most ${MAX_PIXELS}`, {
      hint: "scale it down: the model sees no more than some hundred thousand",
    });
  }
}

/** @throws {SecLlamaError} `bad-request`. */
function checkSound(bytes: Uint8Array): void {
  const head = readSoundHead(bytes);
  if (head === undefined) throw broken("it is no WAV or MP3 file", {}, "sound");
  if (head === "flac") {
    throw broken("it is a FLAC file", { hint: "send it as WAV or MP3" }, "sound");
  }
  if (head.least < MIN_SECONDS) throw tooShort();
  if (head.seconds > MAX_SECONDS) {
    throw broken(
      `it lasts at least ${Math.floor(head.seconds)} seconds, must be at most ${MAX_SECONDS}`,
      { hint: "send it in parts" },
      "sound",
    );
  }
}

/** llama.cpp ends the process over a sound of no length. */
export function tooShort(): SecLlamaError {
  const hint = "send a longer one";
  return broken(`it lasts less than ${MIN_SECONDS} seconds`, { hint }, "sound");
}

export function broken(
  why: string,
  o: { hint?: string } = {},
  what: MediaKind = "picture",
): SecLlamaError {
  const hint = o.hint ?? BROKEN_HINTS[what];
  return new SecLlamaError("bad-request", `the ${what} cannot be read: ${why}`, { hint });
}

/** What to do with a file that may be damaged. */
const BROKEN_HINTS: Readonly<Record<MediaKind, string>> = {
  picture: "open it, and save it again as PNG or JPEG",
  sound: "open it, and save it again as WAV or MP3",
};
