/**
 * Pictures, sound and files in a request. The engine takes text only: llama.cpp's multimodal library is not part of the
 * package it comes in. So each is refused that a user sends now, and what is no picture at all is said to be that. What a tool
 * sent, or was sent before the last reply, cannot be taken back by anybody: a text stands in its place.
 */
import { SecLlamaError } from "../../src/errors.ts";
import type { Fields } from "./fields.ts";

const MAX_IMAGES = 1024;
/** Characters of an image that are looked at: it is refused in any case, and only the words depend on it. */
const LOOKED_AT = 4096;
/** RFC 4648 section 4, line breaks allowed as Go's decoder allows them. One pass, no backtracking. */
const BASE64 = /^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$/;
const DATA_URL = /^data:(?:image\/(?:jpeg|jpg|png|webp))?;base64,/;

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

/** What the model reads in place of a part that it cannot; undefined: no part of a known type. */
export function leftOut(type: string): string | undefined {
  const kind = KINDS.get(type);
  return kind === undefined ? undefined : `[a ${kind} was left out: this model reads text only]`;
}

/** Where the new part of a conversation begins: behind the last message of the assistant's. */
export function newFrom<T>(items: readonly T[], isReply: (item: T) => boolean): number {
  return items.findLastIndex(isReply) + 1;
}

/** Ollama's `images` as texts in their place; for those that are new, {@link refuseImages}. */
export function imagesLeftOut(fields: Fields): string[] {
  const images = fields.array("images", MAX_IMAGES) ?? [];
  return images.map(() => leftOut("image")!);
}

/** Ollama's `images`: base64 texts. An empty list is what clients send for "none". */
export function refuseImages(fields: Fields): void {
  const images = fields.array("images", MAX_IMAGES);
  if (images === undefined || images.length === 0) return;
  for (const image of images) {
    if (typeof image !== "string" || !isBase64(image)) {
      throw fields.fail("images", "must be an array of base64 strings");
    }
  }
  throw unsupported("images", fields.at("images"));
}

/** A part of a message that is not text, as OpenAI's chat and responses write them. @returns the error to throw. */
export function refusePart(part: Fields, type: string): SecLlamaError {
  switch (type) {
    case "image_url":
    case "input_image": {
      const value = part.raw("image_url");
      const url = typeof value === "string" ? value : part.object("image_url")?.string("url");
      if (url !== undefined) checkUrl(part, url);
      return unsupported("images", part.path);
    }
    case "input_audio":
      return unsupported("audio", part.path);
    case "file":
    case "input_file":
      return unsupported("files", part.path);
    default:
      return part.fail("type", 'must be "text"');
  }
}

/** Anthropic's `image` block. @returns the error to throw. */
export function refuseImageBlock(block: Fields): SecLlamaError {
  const source = block.object("source");
  if (source?.string("type") === "base64" && !isBase64(source.requiredString("data"))) {
    return source.fail("data", "must be base64");
  }
  return unsupported("images", block.path);
}

function checkUrl(part: Fields, url: string): void {
  if (/^https?:/i.test(url)) {
    throw new SecLlamaError(
      "bad-request",
      "image URLs are not currently supported, please use base64 encoded data instead",
      { field: part.at("image_url") },
    );
  }
  const head = DATA_URL.exec(url)?.[0];
  if (head !== undefined && isBase64(url.slice(head.length))) return;
  throw new SecLlamaError("bad-request", "invalid image input", { field: part.at("image_url") });
}

function isBase64(text: string): boolean {
  if (text.length > LOOKED_AT) return BASE64.test(text.slice(0, LOOKED_AT));
  return text !== "" && BASE64.test(text) && text.replaceAll(/[\r\n]/g, "").length % 4 === 0;
}

function unsupported(what: "images" | "audio" | "files", field: string): SecLlamaError {
  return new SecLlamaError("bad-request", `this model does not support ${what}`, { field });
}
