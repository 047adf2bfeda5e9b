/** Streaming: events to bytes as they come, one chunk each, with the client's leaving felt at once. */
import type { Work } from "../../src/budget.ts";
import { exactText } from "../../src/exact_json.ts";
import { JSON_TYPE } from "../../src/api/media_types.ts";
import { type JsonPieces, nextPiece } from "../json_work.ts";
import type { Call } from "./request.ts";

const encoder = new TextEncoder();

/** `value` as one line of NDJSON. */
export function ndjson(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(exactText(value) + "\n");
}

/** One server-sent event (HTML standard section 9.2.6); `event` absent: an unnamed one. */
export function sse(data: unknown, event?: string): Uint8Array<ArrayBuffer> {
  const name = event === undefined ? "" : `event: ${event}\n`;
  return encoder.encode(
    `${name}data: ${typeof data === "string" ? data : exactText(data)}\n\n`,
  );
}

/**
 * An answer whose JSON is written as it is taken: of one that is long, never all is held.
 * @param run Runs work in turns.
 */
export async function jsonResponse(
  pieces: JsonPieces,
  run: (work: Work<string | undefined>) => Promise<string | undefined>,
): Promise<Response> {
  const headers = { "content-type": JSON_TYPE };
  const next = () => run(nextPiece(pieces));
  const written = [await next() ?? "", await next()];
  if (written[1] === undefined) return new Response(written[0], { headers });
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = written.shift() ?? await next();
      if (piece === undefined) controller.close();
      else controller.enqueue(encoder.encode(piece));
    },
  }, { highWaterMark: 0 });
  return new Response(body, { headers });
}

type Chunk = Uint8Array<ArrayBuffer>;
export type Chunks = AsyncGenerator<Chunk, void, void>;

/**
 * The chunks, and after an error in their middle what `last` makes of it. One before the first is thrown on: it is an answer of its
 * own.
 */
export async function* withLast(chunks: Chunks, last: (error: unknown) => Chunk): Chunks {
  let begun = false;
  try {
    for await (const chunk of chunks) {
      begun = true;
      yield chunk;
    }
  } catch (error) {
    if (!begun) throw error;
    yield last(error);
  }
}

/** The first chunk of a dialect that has nothing to say before there is output: the answer's head may go out. */
export const BEGUN = new Uint8Array(0);

interface StreamOptions {
  readonly contentType: string;
  readonly cancel: AbortController;
  readonly call: Call;
  /** What says, in the dialect's own form, that the model is still at work. */
  readonly lifeSign: () => Uint8Array<ArrayBuffer>;
}

/**
 * A response whose body is the chunks. The first one is awaited before there is a response, so that a refusal has a status of
 * its own; it comes when the prompt has been read, before there is any output. While no other chunk comes, signs of life do:
 * a client gives up on a connection that is silent. Cancelling the body aborts `cancel` at once, in the middle of a token too.
 */
export async function streamResponse(
  chunks: Chunks,
  { contentType, cancel, call, lifeSign }: StreamOptions,
): Promise<Response> {
  let next: Promise<IteratorResult<Uint8Array<ArrayBuffer>, void>> | undefined;
  const first = await chunks.next();
  let pending = first.done ? undefined : first.value;
  const quiet = new Quiet(call.lifeSignMs);
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        for (;;) {
          let chunk = pending;
          pending = undefined;
          if (chunk === undefined) {
            next ??= chunks.next();
            const step = await quiet.awaited(next);
            if (step === undefined) chunk = lifeSign();
            else {
              next = undefined;
              if (step.done) {
                quiet.stop();
                return controller.close();
              }
              chunk = step.value;
            }
          }
          quiet.broken();
          if (chunk.length > 0) return controller.enqueue(chunk);
        }
      } catch (error) {
        quiet.stop();
        controller.error(error);
      }
    },
    async cancel() {
      quiet.stop();
      cancel.abort();
      await chunks.return();
    },
  }, { highWaterMark: 0 });
  return new Response(body, {
    headers: { "content-type": contentType, "cache-control": "no-cache" },
  });
}

/** Tells when nothing was sent for a while. One timer for a whole stream: tokens come too fast for one each. */
class Quiet {
  readonly #forMs: number;
  #since = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tell = () => {};

  constructor(forMs: number) {
    this.#forMs = forMs;
    this.#arm(forMs);
  }

  /** What comes; undefined if the silence has lasted before. */
  awaited<T>(coming: Promise<T>): Promise<T | undefined> {
    // Not Promise.race: it would keep something of every token until the silence ends, that is for ever.
    return new Promise((resolve, reject) => {
      this.#tell = () => resolve(undefined);
      coming.then(resolve, reject);
    });
  }

  /** Something is sent now. */
  broken(): void {
    this.#since = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      const left = this.#forMs - (performance.now() - this.#since);
      if (left > 0) return this.#arm(left);
      this.#since = performance.now();
      this.#tell();
      this.#arm(this.#forMs);
    }, ms);
  }
}
