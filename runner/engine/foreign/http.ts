/**
 * HTTP/1.1 as a client of one engine speaks it: one request a connection, and its answer as it comes. Strict: what is not
 * understood ends the request. The engine is not trusted with more than its answer.
 */
import { concat } from "../../../src/bytes.ts";
import { Connection } from "./connection.ts";

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_LINE_BYTES = 1024;
/** Of one event: a token with its likeliest neighbours takes a few thousand. */
const MAX_EVENT_CHARS = 2 ** 20;

/** An engine that answers in another way than HTTP says. */
export class HttpError extends Error {
  constructor(message: string) {
    super(`the engine's answer: ${message}`);
    this.name = "HttpError";
  }
}

/** What was answered; the body is read as it is asked for. */
interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Asks. Whoever leaves the body's iteration early, or the signal, ends the connection, by which engines notice.
 * @param body JSON; absent: GET.
 * @throws {ConnectionError} Nobody listens. @throws {HttpError}
 */
export async function ask(
  socket: string,
  path: string,
  o: { readonly body?: unknown; readonly signal?: AbortSignal } = {},
): Promise<Answer> {
  const connection = Connection.open(socket);
  const end = () => connection.close();
  o.signal?.addEventListener("abort", end);
  if (o.signal?.aborted) end();
  const done = () => {
    o.signal?.removeEventListener("abort", end);
    connection.close();
  };
  try {
    const bytes = o.body === undefined ? undefined : new TextEncoder().encode(
      JSON.stringify(o.body),
    );
    const head = [
      `${bytes ? "POST" : "GET"} ${path} HTTP/1.1`,
      "Host: engine",
      "Connection: close",
      ...(bytes ? ["Content-Type: application/json", `Content-Length: ${bytes.length}`] : []),
    ];
    const text = new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`);
    await connection.write(bytes ? concat(text, bytes) : text);
    const reader = new ByteReader(() => connection.read());
    const { status, headers } = await readHead(reader);
    return {
      status,
      type: (headers.get("content-type") ?? "").split(";")[0]!.trim(),
      body: readBody(reader, headers, done),
    };
  } catch (error) {
    done();
    throw error;
  }
}

/** Bytes by lines and by counts. */
class ByteReader {
  readonly #read: () => Promise<Uint8Array | undefined>;
  #have: Uint8Array = new Uint8Array();

  constructor(read: () => Promise<Uint8Array | undefined>) {
    this.#read = read;
  }

  /** Up to `most` bytes, at least one; undefined: there are no more. */
  async some(most: number): Promise<Uint8Array | undefined> {
    if (this.#have.length === 0) {
      const more = await this.#read();
      if (more === undefined) return undefined;
      this.#have = more;
    }
    const taken = this.#have.subarray(0, most);
    this.#have = this.#have.subarray(taken.length);
    return taken;
  }

  /** Up to CR LF, which is left out. */
  async line(most: number): Promise<string> {
    for (;;) {
      const end = this.#have.indexOf(10);
      if (end > 0 && this.#have[end - 1] === 13) {
        const line = new TextDecoder("latin1").decode(this.#have.subarray(0, end - 1));
        this.#have = this.#have.subarray(end + 1);
        return line;
      }
      if (end >= 0) throw new HttpError("a line that does not end in CR LF");
      if (this.#have.length > most) throw new HttpError("a line is too long");
      const more = await this.#read();
      if (more === undefined) throw new HttpError("it was cut short");
      this.#have = concat(this.#have, more);
    }
  }
}

async function readHead(
  reader: ByteReader,
): Promise<{ status: number; headers: Map<string, string> }> {
  const match = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(await reader.line(MAX_LINE_BYTES));
  if (!match) throw new HttpError("no status line");
  const headers = new Map<string, string>();
  for (let bytes = 0;;) {
    const line = await reader.line(MAX_HEAD_BYTES);
    if (line === "") return { status: Number(match[1]), headers };
    bytes += line.length;
    const colon = line.indexOf(":");
    if (bytes > MAX_HEAD_BYTES || colon <= 0) throw new HttpError("headers that cannot be read");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
}

async function* readBody(
  reader: ByteReader,
  headers: ReadonlyMap<string, string>,
  done: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    const coding = headers.get("transfer-encoding");
    const length = headers.get("content-length");
    if (coding !== undefined) {
      if (coding.toLowerCase() !== "chunked") throw new HttpError("a coding that is not known");
      yield* readChunks(reader);
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) throw new HttpError("a length that is none");
      yield* readExactly(reader, Number(length));
    } else {
      for (let some = await reader.some(65_536); some; some = await reader.some(65_536)) yield some;
    }
  } finally {
    done();
  }
}

async function* readExactly(reader: ByteReader, length: number): AsyncGenerator<Uint8Array> {
  for (let left = length; left > 0;) {
    const some = await reader.some(left);
    if (some === undefined) throw new HttpError("it was cut short");
    left -= some.length;
    yield some;
  }
}

async function* readChunks(reader: ByteReader): AsyncGenerator<Uint8Array> {
  for (;;) {
    const line = (await reader.line(MAX_LINE_BYTES)).split(";")[0]!.trim();
    if (!/^[0-9a-fA-F]{1,12}$/.test(line)) throw new HttpError("a chunk without a size");
    const size = parseInt(line, 16);
    if (size === 0) {
      while (await reader.line(MAX_LINE_BYTES) !== "");
      return;
    }
    yield* readExactly(reader, size);
    if (await reader.line(MAX_LINE_BYTES) !== "") throw new HttpError("a chunk is too long");
  }
}

/**
 * The data of each event of a stream (text/event-stream), until `[DONE]` or the end.
 * @throws {HttpError} If an event is too long, or no JSON.
 */
export async function* events(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  let text = "";
  let searched = 0;
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true });
    for (;;) {
      const end = text.indexOf("\n\n", searched);
      if (end < 0) {
        searched = Math.max(0, text.length - 1);
        if (text.length > MAX_EVENT_CHARS) throw new HttpError("an event is too long");
        break;
      }
      const event = text.slice(0, end);
      text = text.slice(end + 2);
      searched = 0;
      const data = event.split("\n").filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trim()).join("\n");
      if (data === "[DONE]") return;
      if (data !== "") yield parse(data);
    }
  }
}

/** A whole body as JSON. @throws {HttpError} If it is none, or too long. */
export async function json(body: AsyncIterable<Uint8Array>): Promise<unknown> {
  return parse(await wholeText(body));
}

/** A whole body. @throws {HttpError} If it is too long. */
export async function wholeText(
  body: AsyncIterable<Uint8Array>,
  most = 64 * 2 ** 20,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const bytes of body) {
    length += bytes.length;
    if (length > most) throw new HttpError("it is too long");
    chunks.push(bytes);
  }
  return new TextDecoder().decode(concat(...chunks));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError("no JSON");
  }
}
