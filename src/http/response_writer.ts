/**
 * Writes a `Response` to a connection: as one piece with its length if it is complete, else chunk by chunk as it comes.
 * A chunk is written before the next is asked for, so a slow client slows its own answer and nothing else.
 */
import { concat, utf8 } from "../bytes.ts";
import { reasonPhrase } from "./refusal.ts";

/** Header fields of a handler that are the connection's to decide. */
const OURS = new Set(["connection", "keep-alive", "transfer-encoding", "content-length", "date"]);
/** Chunks that are there at once go out as one, up to about this size; a larger one is not copied. */
const COPY_BYTES = 64 * 1024;
const CRLF = utf8("\r\n");
const LAST_CHUNK = utf8("0\r\n\r\n");

interface Sink {
  /** Writes all of `bytes`. @throws if the client has gone or takes nothing for too long. */
  write(bytes: Uint8Array): Promise<void>;
}

interface WriteOptions {
  readonly method: string;
  /** 0: an HTTP/1.0 client, to whom an answer of unknown length ends with the connection. */
  readonly minor: 0 | 1;
  /** Asked when the head is made, since the body of the request may fail until then. */
  readonly keepAlive: () => boolean;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

/**
 * Writes the whole answer.
 * @returns whether another request may follow on the connection.
 * @throws what the response's body or the sink threw; the connection must be closed then.
 */
export async function writeResponse(
  sink: Sink,
  response: Response,
  options: WriteOptions,
): Promise<boolean> {
  const { status } = response;
  const bodiless = options.method === "HEAD" || status === 204 || status === 304;
  const announced = announcedLength(response.headers);
  if (bodiless || response.body === null) {
    await response.body?.cancel();
    const length = status === 204 || status === 304 ? undefined : bodiless ? announced : 0;
    const keepAlive = options.keepAlive();
    await sink.write(utf8(head(response, { length, keepAlive, chunked: false })));
    return keepAlive;
  }
  const reader = response.body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  options.signal.addEventListener("abort", cancel, { once: true });
  try {
    return await writeBody(sink, response, reader, announced, options);
  } catch (error) {
    cancel();
    throw error;
  } finally {
    options.signal.removeEventListener("abort", cancel);
  }
}

type Chunk = Awaited<ReturnType<ReadableStreamDefaultReader<Uint8Array>["read"]>>;

/** A reader that can be asked for what is there already. */
class Source {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #next: Promise<Chunk> | undefined;

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
  }

  async read(): Promise<Chunk> {
    const chunk = await (this.#next ?? this.#reader.read());
    this.#next = undefined;
    return chunk;
  }

  /** The next chunk if it comes within a few turns of the microtask queue; else a later call gets it. */
  async ready(): Promise<Chunk | undefined> {
    let chunk: Chunk | undefined;
    const next = this.#next ??= this.#reader.read();
    // A failure shows in read().
    next.then((value) => chunk = value, () => {});
    for (let turn = 0; turn < 6 && chunk === undefined; turn++) await undefined;
    if (chunk) this.#next = undefined;
    return chunk;
  }
}

async function writeBody(
  sink: Sink,
  response: Response,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  announced: number | undefined,
  options: WriteOptions,
): Promise<boolean> {
  // A body made from a string or bytes is one chunk and its end, there at once: then its length is known. Anything that
  // would have to be waited for is a stream, whose head goes out before its first chunk.
  const source = new Source(reader);
  const first = await source.ready();
  let more = first?.done === false ? await source.ready() : undefined;
  const length = announced ??
    (first?.done ? 0 : first && more?.done ? first.value.length : undefined);
  const chunked = length === undefined && options.minor === 1;
  const keepAlive = options.keepAlive() && (length !== undefined || chunked);
  let lead: Uint8Array | undefined = utf8(head(response, { length, keepAlive, chunked }));
  if (!first) {
    await sink.write(lead);
    lead = undefined;
  }
  let written = 0;
  let chunk = first ?? await source.read();
  while (!chunk.done) {
    // What is there goes out together, and never waits for what is not.
    const parts = [bytesOf(chunk.value)];
    let size = chunk.value.length;
    more ??= await source.ready();
    while (more?.done === false && size + more.value.length <= COPY_BYTES) {
      parts.push(bytesOf(more.value));
      size += more.value.length;
      more = await source.ready();
    }
    written += size;
    if (length !== undefined && written > length) throw new TypeError("the body is too long");
    if (size > 0) {
      await writePieces(sink, lead, parts, { size, chunked });
      lead = undefined;
    }
    chunk = more ?? await source.read();
    more = undefined;
  }
  // A body that was cancelled because the client went ends like a whole one: it must not look like one.
  options.signal.throwIfAborted();
  if (length !== undefined && written !== length) throw new TypeError("the body is too short");
  if (lead) await sink.write(lead);
  if (chunked) await sink.write(LAST_CHUNK);
  return keepAlive;
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new TypeError("a response's body must be bytes");
}

/** Parts as one chunk with its framing and what must go before it; in one write unless that is large. */
async function writePieces(
  sink: Sink,
  lead: Uint8Array | undefined,
  parts: Uint8Array[],
  chunk: { size: number; chunked: boolean },
): Promise<void> {
  const pieces: Uint8Array[] = lead ? [lead] : [];
  if (chunk.chunked) pieces.push(utf8(`${chunk.size.toString(16)}\r\n`));
  pieces.push(...parts);
  if (chunk.chunked) pieces.push(CRLF);
  if (chunk.size <= COPY_BYTES) return await sink.write(concat(...pieces));
  for (const piece of pieces) await sink.write(piece);
}

/** The handler's own Content-Length, which its body must then match. */
function announcedLength(headers: Headers): number | undefined {
  const text = headers.get("content-length");
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function head(
  response: Response,
  framing: { length: number | undefined; keepAlive: boolean; chunked: boolean },
): string {
  let text = `HTTP/1.1 ${response.status} ${reasonPhrase(response.status)}\r\n`;
  for (const [name, value] of response.headers) {
    if (!OURS.has(name)) text += `${name}: ${value}\r\n`;
  }
  text += `date: ${new Date().toUTCString()}\r\n`;
  if (framing.chunked) text += "transfer-encoding: chunked\r\n";
  else if (framing.length !== undefined) text += `content-length: ${framing.length}\r\n`;
  const connection = [
    ...(framing.keepAlive ? [] : ["close"]),
    // RFC 9110 section 7.8: a server that sends Upgrade names it in Connection.
    ...(response.headers.has("upgrade") ? ["upgrade"] : []),
  ];
  if (connection.length > 0) text += `connection: ${connection.join(", ")}\r\n`;
  return `${text}\r\n`;
}
