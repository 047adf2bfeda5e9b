/** Reads a file in a thread without any permission, within a time. */
import { SecLlamaError } from "../errors.ts";
import { startWorker } from "../worker.ts";
import { PASSAGE_CHARACTERS, type Piece } from "./chunks.ts";
import { typeOf } from "./text_of.ts";
import { PNG_SIGNATURE } from "./png.ts";
import type { Parsed, Said, ScannedPages } from "./thread_side.ts";
import type { DocumentType } from "../api/documents.ts";
import { plural } from "../plural.ts";

/** Longer than a thousand pages take on a slow machine. */
const TIME_MS = 5 * 60_000;

/** More memory of this process than any honest document takes: a PDF's streams unpack to a thousand times what they are. */
const MOST_MEMORY = 1 << 30;
const LOOK_MS = 50;
/** Of a page that was taken out: its pixels, unpacked. */
const MOST_PNG_BYTES = 8 << 20;

/**
 * The passages of a file.
 * @param bytes Taken over: they are moved into the thread.
 * @param mostMemory Bytes by which this process may grow meanwhile.
 * @throws {SecLlamaError} `bad-request` for what is no document, or takes too much memory; `unsupported-media-type`, `timeout`.
 */
export async function parseDocument(
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  mostMemory = MOST_MEMORY,
): Promise<Parsed & { readonly type: DocumentType }> {
  const type = typeRead(name, bytes);
  const question = { type, bytes, whole: false };
  const read = (parsed: unknown) => parsedBy(parsed, PASSAGE_CHARACTERS);
  return { ...await inThread(threadOf(type), question, read, mostMemory), type };
}

/**
 * The whole text of a file, a piece a page; none: it has no text.
 * @param bytes Taken over.
 * @throws {SecLlamaError} As {@link parseDocument}.
 */
export async function wholeText(
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<readonly Piece[]> {
  const type = typeRead(name, bytes);
  const read = (parsed: unknown) => parsedBy(parsed, Infinity);
  return (await inThread(threadOf(type), { type, bytes, whole: true }, read)).passages;
}

/** PDF is read by a library that is loaded for it alone. */
function threadOf(type: DocumentType): string {
  return type === "pdf" ? "documents/parse_pdf_main" : "documents/parse_main";
}

function typeRead(name: string, bytes: Uint8Array): DocumentType {
  const type = typeOf(name, bytes);
  if (type !== undefined) return type;
  throw new SecLlamaError("unsupported-media-type", "this is no kind of document that is read", {
    hint: "give text, Markdown, HTML, CSV, DOCX or PDF",
  });
}

/**
 * The pages of a PDF that are pictures, of one after the other: those that a scanner made.
 * @param bytes Taken over.
 * @param first The page to begin with, from 1.
 * @param most Pages that are given at once.
 * @throws {SecLlamaError} As {@link parseDocument}; `unsupported-media-type` for what is no PDF, `bad-request` where there is none.
 */
export async function scannedPages(
  bytes: Uint8Array<ArrayBuffer>,
  { first, most }: { readonly first: number; readonly most: number },
): Promise<ScannedPages> {
  if (typeOf("", bytes) !== "pdf") {
    throw new SecLlamaError("unsupported-media-type", "this is no PDF", {
      hint: "a picture goes with a question as it is",
    });
  }
  const read = (parsed: unknown) => scannedBy(parsed, most);
  const scan = await inThread("documents/scan_main", { bytes, first, most }, read);
  if (scan.pages.length > 0) return scan;
  if (first > scan.total) {
    throw new SecLlamaError("bad-request", `this PDF has ${plural(scan.total, "page")}`, {
      field: "first",
      hint: "begin with one of them",
    });
  }
  throw scan.unread > 0
    ? new SecLlamaError(
      "bad-request",
      "the pages of this PDF are pictures that cannot be taken as they are seen",
      {
        hint:
          "something is painted over them, such as a black bar; or they are packed as fax machines do (CCITT, JBIG2), as JPEG 2000, or are too large or " +
          "broken: print the file to a new PDF, or give its pages as PNG or JPEG",
      },
    )
    : new SecLlamaError("bad-request", "no page of this PDF is a picture", {
      hint: "if it has text, have it looked up in: secllama docs add",
    });
}

/** Asks a thread once. @param read What it says, in the form that it should have. */
async function inThread<T>(
  entry: string,
  question: { readonly bytes: Uint8Array<ArrayBuffer> } & Readonly<Record<string, unknown>>,
  read: (parsed: unknown) => T | undefined,
  mostMemory = MOST_MEMORY,
): Promise<T> {
  const worker = startWorker(entry, {});
  const said = Promise.withResolvers<Said<T>>();
  worker.onmessage = ({ data }: MessageEvent<unknown>) => said.resolve(saidBy(data, read));
  worker.onerror = (event) => {
    event.preventDefault();
    said.resolve({ why: "it is broken" });
  };
  const timer = setTimeout(() =>
    said.reject(
      new SecLlamaError("timeout", "this document takes too long to read", {
        hint: "split it, or save it as text",
      }),
    ), TIME_MS);
  const before = Deno.memoryUsage().rss;
  const looking = setInterval(() => {
    if (Deno.memoryUsage().rss - before > mostMemory) {
      // Said like the rest; the thread ends below.
      said.resolve({ why: "it takes too much memory" });
    }
  }, LOOK_MS);
  try {
    worker.postMessage(question, [question.bytes.buffer]);
    const answer = await said.promise;
    if ("parsed" in answer) return answer.parsed;
    throw new SecLlamaError("bad-request", `this document cannot be read: ${answer.why}`, {
      hint: answer.why.endsWith("a password")
        ? "save it without one, in the program that opens it"
        : "open it in the program that made it, and save it again",
    });
  } finally {
    clearTimeout(timer);
    clearInterval(looking);
    worker.terminate();
  }
}

/**
 * What a thread says, that has read a stranger's file and may be a stranger itself since: in the form that it should have, or
 * nothing.
 */
function saidBy<T>(data: unknown, read: (parsed: unknown) => T | undefined): Said<T> {
  const { parsed, why } = Object(data) as Readonly<Record<string, unknown>>;
  if (typeof why === "string") return { why: why.slice(0, 200) };
  const answer = read(parsed);
  return answer === undefined ? { why: "it is broken" } : { parsed: answer };
}

/** @param most Characters of a piece. */
function parsedBy(parsed: unknown, most: number): Parsed | undefined {
  const { pages, passages } = Object(parsed) as Readonly<Record<string, unknown>>;
  if (!isPage(pages) || !Array.isArray(passages)) return undefined;
  const pieces: Piece[] = [];
  for (const one of passages) {
    const { page, text } = Object(one) as Readonly<Record<string, unknown>>;
    const fits = typeof text === "string" && text.length <= most;
    if (!fits || !isPage(page)) return undefined;
    pieces.push({ page, text });
  }
  return { pages, passages: pieces };
}

function scannedBy(parsed: unknown, most: number): ScannedPages | undefined {
  const { total, next, unread, pages } = Object(parsed) as Readonly<Record<string, unknown>>;
  if (!isPage(total) || total === null || !isPage(next) || !isPage(unread)) return undefined;
  if (!Array.isArray(pages) || pages.length > most) return undefined;
  const found: { page: number; png: Uint8Array<ArrayBuffer> }[] = [];
  for (const one of pages) {
    const { page, png } = Object(one) as Readonly<Record<string, unknown>>;
    if (!isPage(page) || page === null || !(png instanceof Uint8Array)) return undefined;
    if (!(png.buffer instanceof ArrayBuffer) || png.length > MOST_PNG_BYTES) return undefined;
    if (!PNG_SIGNATURE.every((byte, at) => png[at] === byte)) return undefined;
    found.push({ page, png: png as Uint8Array<ArrayBuffer> });
  }
  return { total, next, unread: unread ?? 0, pages: found };
}

function isPage(value: unknown): value is number | null {
  return value === null || Number.isSafeInteger(value) && Number(value) >= 0;
}
