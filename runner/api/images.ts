/**
 * Pictures, sound and files in a request. A model that sees is given the pictures, one that hears the sounds: each becomes a marker
 * in its message's text (pictures.ts). Of a model that reads text only, and of sound and files, each is refused that a user sends
 * now, and what is no picture at all is said to be that. What a tool sent, or was sent before the last reply, cannot be taken back
 * by anybody: where it cannot be read, a text stands in its place.
 */
import { PDF_TYPE } from "../../src/api/media_types.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { Fields } from "./fields.ts";
import type { MediaKind } from "../engine/types.ts";
import { MAX_PICTURES, SentPicture, SEVERAL_HINT, unreadable } from "./pictures.ts";

const MAX_IMAGES = 1024;
/** Characters of an image that are looked at before all of it is: to refuse, they are enough. */
const LOOKED_AT = 4096;
/** RFC 4648 section 4, line breaks allowed as Go's decoder allows them. One pass, no backtracking. */
const BASE64 = /^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$/;
/** RFC 2397, with parameters, which say nothing here. What the type says is not believed: the file says it itself. */
const DATA_URL =
  /^data:(?:image\/[a-z0-9.+-]{1,32})?(?:;[a-z0-9-]{1,32}=[a-z0-9.+_-]{1,64}){0,4};base64,/i;

const REMOTE = /^https?:/i;
const OTHER_TYPE = /^data:(?!image\/)([a-z]{1,32}\/[a-z0-9.+-]{1,64})[;,]/i;
const BASE64_HINT = "base64 has letters, digits, +, / and = at its end, and no spaces, - or _";

/** How a part is called that stands in the history, by its type in any dialect. */
const KINDS: ReadonlyMap<string, string> = new Map([
  ["image", "picture"],
  ["image_url", "picture"],
  ["input_image", "picture"],
  ["input_audio", "sound"],
  ["document", "file"],
  ["file", "file"],
  ["input_file", "file"],
]);

/** How the parts of a message are taken that are no text. */
export interface Taking {
  /** They cannot be taken back: a text stands for each that the model cannot read. */
  readonly past: boolean;
  /** Where pictures go; undefined: the model does not see. */
  readonly pictures: SentPicture[] | undefined;
  /** Where sounds go, the same place; undefined: the model does not hear. */
  readonly sounds: SentPicture[] | undefined;
  /** Of no model: the place takes text only. */
  readonly textOnly?: boolean;
}

/** For one message. @param past As {@link Taking} has it. */
export function takingFor(
  { sees, hears }: { readonly sees: boolean; readonly hears: boolean },
  past: boolean,
): Taking {
  const all: SentPicture[] = [];
  return { past, pictures: sees ? all : undefined, sounds: hears ? all : undefined };
}

/** What a text-only place does with them: it refuses. */
export const TEXT_ONLY: Taking = {
  past: false,
  pictures: undefined,
  sounds: undefined,
  textOnly: true,
};

/** As fields of a message: those that it has. */
export function pictureField(
  { pictures, sounds }: Taking,
): { pictures?: readonly SentPicture[] } {
  const all = pictures ?? sounds;
  return all?.length ? { pictures: all } : {};
}

/** Where the new part of a conversation begins: behind the last message of the assistant's. */
export function newFrom<T>(items: readonly T[], isReply: (item: T) => boolean): number {
  return items.findLastIndex(isReply) + 1;
}

/** Ollama's `images`: base64 texts. An empty list is what clients send for "none". @returns What stands for each. */
export function takeImages(fields: Fields, taking: Taking): string[] {
  const { past, pictures } = taking;
  const images = fields.array("images", MAX_IMAGES) ?? [];
  const field = fields.at("images");
  const fail = (index: number) => {
    const which = images.length === 1 ? "" : `, element ${index} is none`;
    return notBase64(field, `must be an array of base64 strings${which}`);
  };
  const check = (image: unknown, index: number) => {
    if (typeof image === "string" && REMOTE.test(image)) throw remote(field);
    if (typeof image !== "string" || !isBase64(image)) throw fail(index);
    return image;
  };
  if (pictures === undefined) {
    if (past) return images.map(() => leftOut("image")!);
    images.forEach(check);
    if (images.length === 0) return [];
    throw unsupported("images", field);
  }
  return images.map((image, index) =>
    unlessPast(
      past,
      "picture",
      () => take(check(image, index), field, pictures, { past, fail: () => fail(index) }),
    )
  );
}

/** What `read` gives; where it refuses what nobody can take back, the text that stands for it. */
function unlessPast(past: boolean, kind: MediaKind, read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (!past || !(error instanceof SecLlamaError) || error.code !== "bad-request") throw error;
    return unreadable(kind);
  }
}

/**
 * A part of a message that is not text, as OpenAI's chat and responses write them.
 * @returns What stands for it in the text.
 * @throws {SecLlamaError} `bad-request`: it is refused.
 */
export function takePart(part: Fields, type: string, taking: Taking): string {
  const { past, pictures, sounds } = taking;
  if (type === "input_audio" && sounds !== undefined) {
    return unlessPast(past, "sound", () => takeSound(part, sounds, past));
  }
  const isPicture = type === "image_url" || type === "input_image";
  if (isPicture && pictures !== undefined) {
    return unlessPast(past, "picture", () => {
      const url = urlOf(part);
      if (url === undefined) throw part.has("file_id") ? kept(part) : part.missing("image_url");
      return take(dataOf(part, url), part.at("image_url"), pictures, { past });
    });
  }
  const instead = past ? leftOut(type) : undefined;
  if (instead !== undefined) return instead;
  if (isPicture) {
    const url = urlOf(part);
    if (url !== undefined) dataOf(part, url);
    throw unsupported("images", part.path, taking);
  }
  switch (type) {
    case "input_audio":
      throw unsupported("audio", part.path, taking);
    case "file":
    case "input_file":
      throw unsupported("files", part.path);
    default:
      throw part.fail("type", 'must be "text"');
  }
}

/** Anthropic's blocks that are not text. @returns What stands for it in the text; undefined: it is of another kind. */
export function takeBlock(block: Fields, type: string, taking: Taking): string | undefined {
  const { past, pictures } = taking;
  if (type === "image" && pictures !== undefined) {
    return unlessPast(past, "picture", () => takeSource(block, pictures, past));
  }
  const instead = past ? leftOut(type) : undefined;
  if (instead !== undefined || type !== "image") return instead;
  const source = block.object("source");
  if (source !== undefined) checkSource(source);
  if (source?.string("type") === "base64" && !isBase64(source.requiredString("data"))) {
    throw notBase64(source.at("data"), "must be base64");
  }
  throw unsupported("images", block.path, taking);
}

/** Anthropic's source of an image. @returns The marker. */
function takeSource(block: Fields, pictures: SentPicture[], past: boolean): string {
  const source = block.object("source");
  if (source === undefined) throw block.missing("source");
  const type = checkSource(source);
  if (type === "file") throw kept(source);
  if (type !== "base64") throw remote(source.at("type"));
  return take(source.requiredString("data"), source.at("data"), pictures, { past });
}

/** Of the dialect's types of a source one is taken; the others are refused each with its reason. */
function checkSource(source: Fields): "base64" | "url" | "file" {
  const type = source.string("type");
  if (type === undefined) throw source.missing("type");
  if (type === "base64" || type === "url" || type === "file") return type;
  throw source.fail("type", 'must be "base64"');
}

/** What the model reads in place of a part that it cannot; undefined: no part of a known type. */
function leftOut(type: string): string | undefined {
  const kind = KINDS.get(type);
  return kind === undefined ? undefined : `[a ${kind} was left out: this model reads text only]`;
}

/** OpenAI's `input_audio`. What format it says is not believed: the file says it itself. @returns The marker. */
function takeSound(part: Fields, sounds: SentPicture[], past: boolean): string {
  const sound = part.object("input_audio");
  if (sound === undefined) throw part.missing("input_audio");
  return take(sound.requiredString("data"), sound.at("data"), sounds, { past, kind: "sound" });
}

/** @returns The marker. */
function take(
  base64: string,
  field: string,
  pictures: SentPicture[],
  { past, kind = "picture", fail = () => notBase64(field, "must be base64") }: {
    readonly past: boolean;
    readonly kind?: MediaKind;
    /** What to say of text that is no base64. */
    readonly fail?: () => SecLlamaError;
  },
): string {
  if (pictures.length >= MAX_PICTURES) {
    throw new SecLlamaError(
      "bad-request",
      `there are more than ${MAX_PICTURES} pictures in one message`,
      { field, hint: SEVERAL_HINT },
    );
  }
  if (!isBase64(base64)) throw fail();
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Uint8Array.fromBase64(base64);
  } catch {
    throw fail();
  }
  const picture = new SentPicture(bytes, field, { kind, past });
  pictures.push(picture);
  return picture.marker;
}

function urlOf(part: Fields): string | undefined {
  const value = part.raw("image_url");
  return typeof value === "string" ? value : part.object("image_url")?.string("url");
}

/** The base64 text of a data URL. A picture elsewhere is never fetched. */
function dataOf(part: Fields, url: string): string {
  if (REMOTE.test(url)) throw remote(part.at("image_url"));
  const head = DATA_URL.exec(url)?.[0];
  const data = head === undefined ? undefined : url.slice(head.length);
  if (data !== undefined && isBase64(data)) return data;
  const other = OTHER_TYPE.exec(url)?.[1]?.toLowerCase();
  const hint = other === undefined
    ? `it must be a data URL, as in data:image/png;base64,…: ${BASE64_HINT}`
    : `its type is ${other}, must be a picture's: PNG, JPEG, GIF or BMP, as in data:image/png;base64,…` +
      (other === PDF_TYPE ? `; ${FILE_HINT}` : "");
  throw new SecLlamaError("bad-request", "invalid image input", {
    field: part.at("image_url"),
    hint,
  });
}

function notBase64(field: string, wanted: string): SecLlamaError {
  const hint = `send the file itself, without data: or a path in front: ${BASE64_HINT}`;
  return new SecLlamaError("bad-request", `${field} ${wanted}`, { field, fault: "value", hint });
}

/** The dialect keeps files and names one; here none is kept. */
function kept(part: Fields): SecLlamaError {
  return new SecLlamaError("bad-request", "no files are kept here", {
    field: part.at("file_id"),
    hint: "send the picture in the request, as base64",
  });
}

function remote(field: string): SecLlamaError {
  return new SecLlamaError(
    "bad-request",
    "image URLs are not currently supported, please use base64 encoded data instead",
    { field },
  );
}

function isBase64(text: string): boolean {
  if (text.length > LOOKED_AT) return BASE64.test(text.slice(0, LOOKED_AT));
  return text !== "" && BASE64.test(text) && text.replaceAll(/[\r\n]/g, "").length % 4 === 0;
}

/** What to do with a file. */
export const FILE_HINT = "of a PDF send the text, or its pages as PNG or JPEG pictures";

function unsupported(
  what: "images" | "audio" | "files",
  field: string,
  { textOnly = false }: { readonly textOnly?: boolean } = {},
): SecLlamaError {
  if (textOnly && what !== "files") {
    return new SecLlamaError("bad-request", `${field} must be text: ${what} cannot stand here`, {
      field,
      hint: "put it into a message of the user's, for a model that takes it",
    });
  }
  return new SecLlamaError("bad-request", `this model does not support ${what}`, {
    field,
    hint: what === "files"
      ? FILE_HINT
      : `secllama show MODEL lists what a model takes (${what === "images" ? "vision" : "audio"})`,
  });
}
