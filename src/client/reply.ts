/** A sealed HTTP answer → the `Response` inside it, its body released frame by frame as each verifies. */
import { LIMITS_HEADER } from "../api/limits.ts";
import { RECEIPT_HEADER, RECEIPT_SECRET_HEADER } from "../api/receipt.ts";
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { ReplyEnvelope } from "../sealed/envelope.ts";
import type { ReplyOpener } from "../sealed/sender.ts";

/** Headers of the inner reply that say nothing about the body we hand out. */
const DROPPED = ["connection", "content-encoding", "content-length", "transfer-encoding"];

/** Statuses that a `Response` refuses a body for. */
const NO_BODY = new Set([204, 205, 304]);

/**
 * Opens an answer. Resolves once the first frame has verified.
 * @throws {SecLlamaError} `downgrade`, `auth`, `malformed` or `truncated`, as {@link ReplyOpener}. Later failures error
 * the body's stream in the same way.
 */
export async function openReply(
  outer: ReadableStream<Uint8Array>,
  opener: ReplyOpener,
  options: {
    method: string;
    signal: AbortSignal;
    /** Headers of the outer answer that are shown with the inner's; the inner's of these names are not. */
    outer?: { readonly [name: string]: string };
    /** Called once the first frame has verified, with what it carries of the client's next key. */
    onOpened?: (renewal: Uint8Array | undefined) => Promise<void>;
  },
): Promise<Response> {
  const parts = new VerifiedParts(outer, opener, options.signal);
  // The opener hands out the envelope before anything else, or throws.
  const { status, headers: fields, renewal } = await parts.next() as ReplyEnvelope;
  await options.onOpened?.(renewal);
  const headers = new Headers({ ...fields });
  for (const name of [...DROPPED, LIMITS_HEADER, RECEIPT_HEADER, RECEIPT_SECRET_HEADER]) {
    headers.delete(name);
  }
  for (const [name, value] of Object.entries(options.outer ?? {})) headers.set(name, value);
  if (options.method === "HEAD" || NO_BODY.has(status)) {
    while (await parts.next() !== undefined);
    return new Response(null, { status, headers });
  }
  return new Response(bodyStream(parts), { status, headers });
}

/** What the opener verifies, in order. */
class VerifiedParts {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #opener: ReplyOpener;
  readonly #signal: AbortSignal;
  readonly #abort = () => void this.cancel();
  #ready: (ReplyEnvelope | Bytes)[] = [];

  constructor(outer: ReadableStream<Uint8Array>, opener: ReplyOpener, signal: AbortSignal) {
    this.#reader = outer.getReader();
    this.#opener = opener;
    this.#signal = signal;
    // Node 20 forgets to end a stream on abort once its Response has been collected, so it is ended here.
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  /** The next part, or undefined at the verified end. An error lets go of the connection. */
  async next(): Promise<ReplyEnvelope | Bytes | undefined> {
    try {
      while (this.#ready.length === 0) {
        const chunk = await this.#read();
        if (chunk === undefined) {
          this.#opener.end();
          this.#signal.removeEventListener("abort", this.#abort);
          return undefined;
        }
        this.#ready = await this.#opener.push(chunk);
      }
      return this.#ready.shift();
    } catch (error) {
      await this.cancel();
      throw error;
    }
  }

  /** Ends the connection, also under a pending `next`. */
  async cancel(): Promise<void> {
    this.#signal.removeEventListener("abort", this.#abort);
    await this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await this.#reader.read();
      if (this.#signal.aborted) throw this.#signal.reason;
      return done ? undefined : value;
    } catch (cause) {
      if (this.#signal.aborted) throw this.#signal.reason;
      throw new SecLlamaError("truncated", "the connection broke before the reply's last frame", {
        cause,
      });
    }
  }
}

function bodyStream(parts: VerifiedParts): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>({
    async pull(controller) {
      const next = await parts.next();
      if (next === undefined) controller.close();
      else controller.enqueue(next as Bytes);
    },
    cancel: () => parts.cancel(),
  }, { highWaterMark: 0 });
}
