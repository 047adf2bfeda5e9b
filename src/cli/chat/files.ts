/** Files that a prompt brings along: text into the message, pictures beside it. */
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DOCUMENT_BYTES, SCANNED_PAGES, scanNote } from "../../api/documents.ts";
import { SecLlamaError } from "../../errors.ts";
import { readUpTo } from "../../read_up_to.ts";

/** More is no text for a prompt: the longest contexts hold some 4 MB of it. */
export const MAX_TEXT_BYTES = 16 * 2 ** 20;
const MAX_IMAGE_BYTES = 32 * 2 ** 20;

/**
 * A text file as a part of a message, its name before it.
 * @throws {SecLlamaError} `usage` if it cannot be read or is no text.
 */
export async function textFile(path: string): Promise<string> {
  const bytes = await readWhole(path, mostOf(path, MAX_TEXT_BYTES));
  if (!isDocument(path, bytes)) return textIn(path, bytes);
  const text = await documentText(path, bytes);
  if (text !== undefined) return text;
  throw new SecLlamaError("usage", `there is no text in ${path}`, {
    hint: "a PDF whose pages were scanned is given with --image",
  });
}

/** Bytes of a file: of a document most are pictures, fonts and packing. */
function mostOf(path: string, others: number): number {
  return /\.(?:pdf|docx)$/i.test(path) ? DOCUMENT_BYTES : others;
}

/** PDF or DOCX, which a thread reads that may nothing else. */
function isDocument(path: string, bytes: Uint8Array): boolean {
  return isPdf(bytes) || bytes[0] === 0x50 && bytes[1] === 0x4b && /\.docx$/i.test(path);
}

/** A document's text with its pages as a part of a message; undefined: it has none. */
async function documentText(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string | undefined> {
  const { wholeText } = await import("../../documents/parse.ts");
  const pages = await wholeText(path, bytes);
  if (pages.length === 0) return undefined;
  const text = pages.map(({ page, text }) => page === null ? text : `(page ${page})\n${text}`)
    .join("\n\n");
  if (text.length > MAX_TEXT_BYTES) throw tooLong(path, text.length, MAX_TEXT_BYTES);
  return `${path}:\n${text}`;
}

function textIn(path: string, bytes: Uint8Array): string {
  if (bytes.length > MAX_TEXT_BYTES) throw tooLong(path, bytes.length, MAX_TEXT_BYTES);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (!text.includes("\0")) return `${path}:\n${text.trimEnd()}`;
  } catch { /* said below */ }
  throw new SecLlamaError("usage", `${path} is not a text file in UTF-8`, {
    hint: "a picture or a scanned PDF is given with --image",
  });
}

/** A file that goes with the next message. */
export type Attached =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "images"; readonly base64: readonly string[] };

/**
 * A file as a part of a message, whatever it is.
 * @throws {SecLlamaError} `usage` if it cannot be read, or is neither text nor picture.
 */
export async function attach(path: string, note: (line: string) => void): Promise<Attached> {
  const { file, first } = await pageIn(path);
  const bytes = await readWhole(file, mostOf(file, MAX_IMAGE_BYTES));
  if (isDocument(file, bytes)) {
    // A thread takes them over.
    const text = await documentText(file, bytes.slice());
    if (text !== undefined) return { kind: "text", text };
  }
  return isPicture(bytes) || isPdf(bytes)
    ? { kind: "images", base64: await imagesIn(file, first, bytes, note) }
    : { kind: "text", text: textIn(path, bytes) };
}

function isPdf(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes.subarray(0, 5)) === "%PDF-";
}

/** A PDF's path may name the page to begin with: `scan.pdf#page=9` (RFC 8118, section 3). */
async function pageIn(path: string): Promise<{ readonly file: string; readonly first: number }> {
  const [, file, page] = /^(.+)#page=([1-9]\d{0,6})$/.exec(path) ?? [];
  if (file === undefined || await isThere(path)) return { file: path, first: 1 };
  return { file, first: Number(page) };
}

/** A picture, or pages of a scanned PDF, each as PNG. */
async function imagesIn(
  path: string,
  first: number,
  bytes: Uint8Array<ArrayBuffer>,
  note: (line: string) => void,
): Promise<string[]> {
  if (!isPdf(bytes)) return [Buffer.from(bytes).toString("base64")];
  const { scannedPages } = await import("../../documents/parse.ts");
  const { total, pages, ...more } = await scannedPages(bytes, { first, most: SCANNED_PAGES });
  const said = scanNote(
    { pages: total, scanned: pages, ...more },
    (next) => `those from ${next} on: ${path}#page=${next}`,
  );
  note(`${path}: ${said}`);
  return pages.map(({ png }) => Buffer.from(png).toString("base64"));
}

/** By its first bytes: PNG, JPEG, GIF, BMP, WebP. */
function isPicture(bytes: Uint8Array): boolean {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  return /^(?:\x89PNG\r\n|\xff\xd8\xff|GIF8|BM[^]{4}\0\0\0\0|RIFF[^]{4}WEBP)/.test(head);
}

/**
 * The path that is meant by one that was typed, pasted or dropped on the terminal: in quotes, with `\\` before its spaces, from `~`,
 * or as a `file:` URL.
 * @param home Of the user.
 */
export async function typedPath(text: string, home: string | undefined): Promise<string> {
  const typed = text.trim();
  if (await isThere(typed)) return typed;
  const [, quoted] = /^(?:"([^"]*)"|'([^']*)')$/.exec(typed)?.filter((one) => one !== undefined) ??
    [];
  let path = quoted ?? typed;
  if (/^file:\/\//i.test(path)) {
    try {
      return fileURLToPath(path);
    } catch {
      return path;
    }
  }
  // On Windows it parts folders.
  if (quoted === undefined && Deno.build.os !== "windows") path = path.replace(/\\(.)/g, "$1");
  return home !== undefined && /^~(?=\/|$)/.test(path) ? join(home, path.slice(1)) : path;
}

/** Whether it is a file. */
export function isThere(path: string): Promise<boolean> {
  return Deno.stat(path).then(({ isFile }) => isFile, () => false);
}

/**
 * A picture in base64, as Ollama's API takes it, or those of a scanned PDF. What it is, the model's runner decides.
 * @throws {SecLlamaError} `usage` if it cannot be read; `bad-request` for a PDF whose pages are no pictures.
 */
export async function imagesOf(path: string, note: (line: string) => void): Promise<string[]> {
  const { file, first } = await pageIn(path);
  const bytes = await readWhole(file, mostOf(file, MAX_IMAGE_BYTES));
  return await imagesIn(file, first, bytes, note);
}

/** A picture that a prompt names by its path. */
interface Named {
  /** As it stands in the prompt, its quotes with it, and where. */
  readonly typed: string;
  readonly at: number;
  readonly path: string;
  /** It says where it is: from the root, `~`, `.` or `..`, or as a URL. A bare word may be a word. */
  readonly exact: boolean;
}

const PICTURE_END = /\.(?:png|jpe?g|webp|gif|bmp)\b/gi;
const EXACT = /(?<=^|[\s"'(])(?:~\/|\.{0,2}\/|file:\/\/)/gi;
/** A path has at most so many bytes (limits.h, PATH_MAX). */
const LONGEST_PATH = 4096;
/** A prompt is no list of files: more places than this are not looked at. */
const MOST_TRIES = 200;

/**
 * The files of a prompt with a picture's ending: quoted, with `\\` before spaces or with bare ones, as a terminal writes a dropped
 * file. Files that are not there are words.
 * @param home Of the user.
 */
export async function picturesNamedIn(prompt: string, home: string | undefined): Promise<Named[]> {
  const found: Named[] = [];
  let tries = 0;
  const isFile = async (typed: string) => {
    tries++;
    const path = await typedPath(typed, home);
    return await isThere(path) ? path : undefined;
  };
  const free = (at: number, length: number) =>
    !found.some((other) => at < other.at + other.typed.length && other.at < at + length);
  const add = (one: Named) => {
    if (!found.some(({ path }) => path === one.path)) found.push(one);
  };
  const ends = [...prompt.matchAll(PICTURE_END)].map((end) => end.index + end[0].length);
  let first = 0;
  for (const { index } of prompt.matchAll(EXACT)) {
    while (first < ends.length && ends[first]! <= index) first++;
    for (let i = first; i < ends.length && ends[i]! - index <= LONGEST_PATH; i++) {
      const bare = prompt.slice(index, ends[i]);
      if (bare.includes("\n")) break;
      if (tries >= MOST_TRIES) return found;
      const path = await isFile(bare);
      if (path === undefined) continue;
      const quote = prompt[index - 1] ?? "";
      const quoted = /["']/.test(quote) && prompt[ends[i]!] === quote;
      const [typed, at] = quoted ? [`${quote}${bare}${quote}`, index - 1] : [bare, index];
      if (free(at, typed.length)) add({ typed, at, path, exact: true });
      break;
    }
  }
  const tried = new Set<string>();
  for (const { 0: word, index } of ends.length === 0 ? [] : prompt.matchAll(/\S+/g)) {
    const before = /^["'(`]*/.exec(word)![0].length;
    const typed = word.slice(before).replace(/["'),.;:?!`]+$/, "");
    if (typed.search(PICTURE_END) < 0 || tried.has(typed)) continue;
    if (!free(index + before, typed.length)) continue;
    if (tries >= MOST_TRIES) return found;
    tried.add(typed);
    const path = await isFile(typed);
    if (path !== undefined) add({ typed, at: index + before, path, exact: false });
  }
  return found;
}

const refusal = (message: string, hint: string, cause?: unknown) =>
  new SecLlamaError("usage", message, { hint, cause });

const tooLong = (path: string, size: number, most: number) =>
  refusal(
    `${path} has ${size} bytes, and at most ${most} can be part of a message`,
    "give a part of it",
  );

/**
 * Takes along the pictures that a prompt names by their exact paths, as Ollama does, if the model sees; their paths leave the text.
 * Of every other one it is said that it goes as a word.
 * @param how What takes one along otherwise: "/file".
 */
export async function takePictures(
  prompt: string,
  o: {
    readonly home: string | undefined;
    readonly how: string;
    readonly given?: readonly string[];
    sees(): Promise<boolean>;
    note(line: string): void;
  },
): Promise<{ readonly text: string; readonly images: readonly string[] }> {
  const named = (await picturesNamedIn(prompt, o.home)).filter(({ path }) =>
    !o.given?.includes(path)
  );
  if (named.length === 0) return { text: prompt, images: [] };
  const sees = await o.sees();
  const images: string[] = [];
  let text = "";
  let from = 0;
  for (const { typed, at, path, exact } of named) {
    if (!sees) {
      o.note(`${path} goes as a word: this model reads no pictures`);
    } else if (!exact) {
      o.note(`${path} goes as a word: the picture itself goes along by ${o.how} ${path}`);
    } else {
      images.push(...await imagesOf(path, o.note));
      text = `${text}${prompt.slice(from, at)}`;
      from = at + typed.length;
      // Of the spaces around it one stays; what else is in the prompt is as it was.
      if (/(?:^| )$/.test(text) && prompt[from] === " ") from++;
      o.note(`${path} goes along as a picture.`);
    }
  }
  text += prompt.slice(from);
  return { text: images.length === 0 ? text : text.trim(), images };
}

async function readWhole(path: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { isFile, isDirectory, size } = await Deno.stat(path);
    if (isDirectory) throw refusal(`${path} is a folder`, "give the files in it one by one");
    if (!isFile) throw refusal(`${path} is not a file`, "give the path of a file");
    if (size > most) throw tooLong(path, size, most);
    const bytes = await readUpTo(path, most);
    if (bytes.length > most) throw tooLong(path, bytes.length, most);
    return bytes;
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    if (/^https?:\/\//i.test(path)) {
      throw refusal(
        "a file of this machine is taken, no web address: nothing is fetched",
        "download it first, and give the file",
        cause,
      );
    }
    if (cause instanceof Deno.errors.NotFound) {
      throw refusal(
        `there is no file ${path}`,
        "check the path, from the folder you are in",
        cause,
      );
    }
    throw refusal(`${path} cannot be read`, `see whose it is: ls -ld ${path}`, cause);
  }
}
