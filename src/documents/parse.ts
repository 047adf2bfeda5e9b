/** Reads a file in a thread without any permission, within a time. */
import { SecLlamaError } from "../errors.ts";
import { startWorker } from "../worker.ts";
import { PASSAGE_CHARACTERS, type Piece } from "./chunks.ts";
import { typeOf } from "./text_of.ts";
import type { Parsed, Said } from "./thread_side.ts";
import type { DocumentType } from "../api/documents.ts";

/** Longer than a thousand pages take on a slow machine. */
const TIME_MS = 5 * 60_000;

/** More memory of this process than any honest document takes: a PDF's streams unpack to a thousand times what they are. */
const MOST_MEMORY = 1 << 30;
const LOOK_MS = 50;

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
  const type = typeOf(name, bytes);
  if (type === undefined) {
    throw new SecLlamaError("unsupported-media-type", "this is no kind of document that is read", {
      hint: "give text, Markdown, HTML, CSV, DOCX or PDF",
    });
  }
  const worker = startWorker(
    type === "pdf" ? "documents/parse_pdf_main" : "documents/parse_main",
    {},
  );
  const said = Promise.withResolvers<Said>();
  worker.onmessage = ({ data }: MessageEvent<unknown>) => said.resolve(saidBy(data));
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
    worker.postMessage({ type, bytes }, [bytes.buffer]);
    const answer = await said.promise;
    if ("parsed" in answer) return { ...answer.parsed, type };
    throw new SecLlamaError("bad-request", `this document cannot be read: ${answer.why}`, {
      hint: "open it in the program that made it, and save it again",
    });
  } finally {
    clearTimeout(timer);
    clearInterval(looking);
    worker.terminate();
  }
}

/** What a thread says, that has read a stranger's file and may be a stranger itself since: in the form that it should have, or nothing. */
function saidBy(data: unknown): Said {
  const { parsed, why } = Object(data) as Readonly<Record<string, unknown>>;
  if (typeof why === "string") return { why: why.slice(0, 200) };
  const { pages, passages } = Object(parsed) as Readonly<Record<string, unknown>>;
  if (!isPage(pages) || !Array.isArray(passages)) return { why: "it is broken" };
  const pieces: Piece[] = [];
  for (const one of passages) {
    const { page, text } = Object(one) as Readonly<Record<string, unknown>>;
    const fits = typeof text === "string" && text.length <= PASSAGE_CHARACTERS;
    if (!fits || !isPage(page)) return { why: "it is broken" };
    pieces.push({ page, text });
  }
  return { parsed: { pages, passages: pieces } };
}

function isPage(value: unknown): value is number | null {
  return value === null || Number.isSafeInteger(value) && Number(value) >= 0;
}
