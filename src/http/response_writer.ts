/**
 * Writes a `Response` to a connection: as one piece with its length if it is complete, else chunk by chunk as it comes.
 * A chunk is written before the next is asked for, so a slow client slows its own answer and nothing else.
 */
import { concat, utf8 } from "../bytes.ts";
import { reasonPhrase } from "./refusal.ts";

/** Header fields of a handler that are the connection's to decide. */
const OURS = new Set(["connection", "keep-alive", "transfer-encoding", "content-length", "date"]);
/** Beyond this a chunk is not copied to stand beside its framing. */
const COPY_BYTES = 64 * 1024;
const CRLF = utf8("\r\n");
const LAST_CHUNK = utf8("0\r\n\r\n");

export interface Sink {
  /** Writes all of `bytes`. @throws if the client has gone or takes nothing for too long. */
  write(bytes: Uint8Array): Promise<void>;
}

export interface WriteOptions {
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

async function writeBody(
  sink: Sink,
  response: Response,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  announced: number | undefined,
  options: WriteOptions,
): Promise<boolean> {
  // A body made from a string or bytes is one chunk and its end, there at once: then its length is known. Anything that
  // would have to be waited for is a stream, whose head goes out before its first chunk.
  let next: Promise<Chunk> | undefined = reader.read();
  const first = await settled(next);
  let length = announced;
  if (first?.done) length ??= 0;
  else if (first) {
    next = reader.read();
    if ((await settled(next))?.done) length ??= first.value.length;
  }
  const chunked = length === undefined && options.minor === 1;
  const keepAlive = options.keepAlive() && (length !== undefined || chunked);
  let lead: Uint8Array | undefined = utf8(head(response, { length, keepAlive, chunked }));
  if (!first) {
    await sink.write(lead);
    lead = undefined;
  }
  let written = 0;
  let chunk = first ?? await next;
  if (!first) next = undefined;
  while (!chunk.done) {
    const { value } = chunk;
    if (!(value instanceof Uint8Array)) throw new TypeError("a response's body must be bytes");
    written += value.length;
    if (length !== undefined && written > length) throw new TypeError("the body is too long");
    if (value.length > 0) {
      await writePieces(sink, lead, value, chunked);
      lead = undefined;
    }
    chunk = await (next ?? reader.read());
    next = undefined;
  }
  // A body that was cancelled because the client went ends like a whole one: it must not look like one.
  options.signal.throwIfAborted();
  if (length !== undefined && written !== length) throw new TypeError("the body is too short");
  if (lead) await sink.write(lead);
  if (chunked) await sink.write(LAST_CHUNK);
  return keepAlive;
}

/** The value if the promise is settled within a few turns of the microtask queue, else undefined. */
async function settled<T>(promise: Promise<T>): Promise<T | undefined> {
  let value: T | undefined;
  // A failure shows where the promise itself is awaited.
  promise.then((v) => value = v, () => {});
  for (let turn = 0; turn < 6 && value === undefined; turn++) await undefined;
  return value;
}

/** A chunk with its framing and what must go before it, in one write unless it is large. */
async function writePieces(
  sink: Sink,
  lead: Uint8Array | undefined,
  value: Uint8Array,
  chunked: boolean,
): Promise<void> {
  const pieces: Uint8Array[] = lead ? [lead] : [];
  if (chunked) pieces.push(utf8(`${value.length.toString(16)}\r\n`));
  pieces.push(value);
  if (chunked) pieces.push(CRLF);
  if (pieces.length === 1) return await sink.write(value);
  if (value.length <= COPY_BYTES) return await sink.write(concat(...pieces));
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
