/**
 * How an answer's bytes become frames. For clients of this machine each piece goes out as it is made. For paired clients
 * frames leave at the ticks of a clock and in sizes of a few steps, so that a network in between learns less of when each
 * token came and how long it was. What it still learns: bench/traffic.ts and SECURITY.md.
 */
import { type Bytes, concat } from "../src/bytes.ts";
import type { Renewal } from "../src/sealed/envelope.ts";
import type { ReplySealer } from "../src/sealed/reply_sealer.ts";

export interface Pacing {
  /** Frames leave at multiples of this after the reply's start. */
  readonly everyMs: number;
  /** Padding step of a frame's plaintext. */
  readonly bucketBytes: number;
}

/** For clients on the other side of a network. A token's line has some 130 bytes, so a step takes several. */
export const REMOTE_PACING: Pacing = { everyMs: 25, bucketBytes: 512 };

/** The pacing of replies to the client with this psk_id; undefined: none, as on loopback nobody is in between. */
export function pacingOf(pskId: string): Pacing | undefined {
  return pskId.startsWith("local.") ? undefined : REMOTE_PACING;
}

/**
 * Seals a whole response into `write`, head to FINAL. A body that fails becomes an ABORT frame.
 * @throws What `write` throws.
 */
export async function sendReply(
  reply: ReplySealer,
  response: Response,
  options: {
    write: (bytes: Bytes) => Promise<void>;
    pacing?: Pacing | undefined;
    /** The client's key after a rotation. */
    renewal?: Renewal | undefined;
  },
): Promise<void> {
  const { write, pacing, renewal } = options;
  // The head's frame waits for the first data, so that a short answer is one write.
  let pending: Bytes = reply.head(response.status, Object.fromEntries(response.headers), {
    renewal,
  });
  let writing: Promise<void> | undefined;
  try {
    const body = response.body ?? emptyBody();
    for await (const piece of pacing ? ticked(body, pacing.everyMs) : body) {
      writing = write(concat(pending, reply.frame(piece)));
      await writing;
      writing = undefined;
      pending = new Uint8Array(0);
    }
  } catch (error) {
    // The client has gone: there is nobody to tell.
    if (writing !== undefined) throw error;
    return await write(concat(pending, reply.abort()));
  }
  await write(concat(pending, reply.final()));
}

function emptyBody(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() });
}

/**
 * The pieces joined, handed on at the ticks of a clock that starts now; the end waits for a tick as well. What came before
 * a failure is handed on before it is thrown.
 */
export async function* ticked(
  body: ReadableStream<Uint8Array>,
  everyMs: number,
): AsyncGenerator<Uint8Array> {
  const started = performance.now();
  const reader = body.getReader();
  try {
    let next = reader.read();
    for (let ended = false; !ended;) {
      const parts: Uint8Array[] = [];
      let failure: { error: unknown } | undefined;
      const take = async () => {
        try {
          const { done, value } = await next;
          if (done) ended = true;
          else parts.push(value);
        } catch (error) {
          failure = { error };
        }
      };
      await take();
      const { tick, passed, stop } = nextTick(started, everyMs);
      while (!ended && !failure && !passed()) {
        next = reader.read();
        // Awaited again in the next round; a failure before that must not end the process.
        next.catch(() => {});
        await Promise.race([tick, next]).catch(() => {});
        if (!passed()) await take();
      }
      await tick.finally(stop);
      if (parts.length > 0) yield concat(...parts);
      if (failure) throw failure.error;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function nextTick(started: number, everyMs: number) {
  let over = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tick = new Promise<void>((resolve) => {
    const left = everyMs - (performance.now() - started) % everyMs;
    timer = setTimeout(() => {
      over = true;
      resolve();
    }, left);
  });
  return { tick, passed: () => over, stop: () => clearTimeout(timer) };
}
