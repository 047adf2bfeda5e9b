/**
 * How an answer's bytes become frames. For clients of this machine each piece goes out as it is made. For paired clients
 * frames leave at the ticks of a clock and in sizes of a few steps, so that a network in between learns less of when each
 * token came and how long it was. What it still learns: bench/traffic.ts and SECURITY.md.
 *
 * Frames that hold nothing at the ticks in between, and a round number of them, were tried: of a model that makes a token in
 * 25 ms they hid nothing more, for a quarter more bytes and an end up to an eighth later.
 */
import { type Bytes, concat } from "../src/bytes.ts";
import { settlesWithin } from "../src/pause.ts";
import type { ReplySealer } from "../src/sealed/reply_sealer.ts";

export interface Pacing {
  /** Frames leave at multiples of this after the reply's start. */
  readonly everyMs: number;
  /** Padding step of a frame's plaintext. */
  readonly bucketBytes: number;
}

/** For clients on the other side of a network. A token's line has some 130 bytes, so a step takes several. */
export const REMOTE_PACING: Pacing = { everyMs: 25, bucketBytes: 512 };

/** How long an answer's head waits for its first data. */
const HEAD_WAIT_MS = 50;
/** Bytes that wait for a tick before no more are asked for. */
const MAX_HELD_BYTES = 1024 * 1024;

/** Turns of the microtask queue in which a stream that has ended says so. */
const TURNS = 6;

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
    /** The client's new key after a rotation, sealed to it. */
    renewal?: Uint8Array | undefined;
  },
): Promise<void> {
  const { write, pacing, renewal } = options;
  // The head's frame waits a little for the first data, so that a short answer is one write.
  let pending: Bytes = reply.head(response.status, Object.fromEntries(response.headers), {
    renewal,
  });
  const body = response.body ?? emptyBody();
  const pieces = pacing ? ticked(body, pacing.everyMs) : ahead(body);
  let writing: Promise<void> | undefined;
  const send = async (bytes: Bytes) => {
    pending = new Uint8Array(0);
    writing = write(bytes);
    await writing;
    writing = undefined;
  };
  try {
    const first = pieces.next();
    if (!await settlesWithin(first, HEAD_WAIT_MS)) await send(pending);
    for (let next = await first; !next.done; next = await pieces.next()) {
      const { piece, last } = next.value;
      await send(concat(pending, last ? reply.final(piece) : reply.frame(piece)));
      if (last) return;
    }
  } catch (error) {
    // The client has gone: there is nobody to tell.
    if (writing !== undefined) throw error;
    return await write(concat(pending, reply.abort()));
  } finally {
    await pieces.return(undefined);
  }
  await write(concat(pending, reply.final()));
}

/** A part of a body; `last`: it is known that nothing follows. */
interface Piece {
  readonly piece: Uint8Array;
  readonly last: boolean;
}

/** The pieces as they come. An end that is there already goes out with the piece before it: a short answer is one frame. */
async function* ahead(body: ReadableStream<Uint8Array>): AsyncGenerator<Piece> {
  const reader = body.getReader();
  try {
    for (let next = reader.read();;) {
      const { done, value } = await next;
      if (done) return;
      next = reader.read();
      let last = false;
      // A failure shows when it is awaited.
      next.then((after) => last = after.done, () => {});
      for (let turn = 0; turn < TURNS && !last; turn++) await undefined;
      yield { piece: value, last };
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
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
): AsyncGenerator<Piece> {
  const started = performance.now();
  const reader = body.getReader();
  let parts: Uint8Array[] = [];
  let heldBytes = 0;
  let state: "open" | "ended" | { error: unknown } = "open";
  let woken = () => {};
  let drained = () => {};
  // Reads ahead of the ticks, and of a client that takes nothing, up to a limit.
  const pump = (async () => {
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        heldBytes += value.length;
        woken();
        while (heldBytes > MAX_HELD_BYTES) await new Promise<void>((resolve) => drained = resolve);
      }
      state = "ended";
    } catch (error) {
      state = { error };
    }
    woken();
  })();
  try {
    for (let last = false; !last;) {
      if (parts.length === 0 && state === "open") {
        await new Promise<void>((resolve) => woken = resolve);
      }
      await tick(started, everyMs);
      last = state !== "open";
      const data = concat(...parts);
      parts = [];
      heldBytes = 0;
      drained();
      const failed = typeof state === "object";
      if (data.length > 0) yield { piece: data, last: last && !failed };
    }
    if (typeof state === "object") throw (state as { error: unknown }).error;
  } finally {
    heldBytes = 0;
    drained();
    await reader.cancel().catch(() => {});
    await pump;
  }
}

/** Waits for the next multiple of `everyMs` after `started`. */
function tick(started: number, everyMs: number): Promise<void> {
  const left = everyMs - (performance.now() - started) % everyMs;
  // A timer leaves fractions away: it would come before its tick, and the tick itself would follow at once.
  return new Promise((resolve) => setTimeout(resolve, Math.ceil(left)));
}
