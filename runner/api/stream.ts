/** Streaming: events to bytes as they come, one chunk each, with the client's leaving felt at once. */

const encoder = new TextEncoder();

/** `value` as one line of NDJSON. */
export function ndjson(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(value) + "\n");
}

/** One server-sent event (HTML standard section 9.2.6); `event` absent: an unnamed one. */
export function sse(data: unknown, event?: string): Uint8Array<ArrayBuffer> {
  const name = event === undefined ? "" : `event: ${event}\n`;
  return encoder.encode(
    `${name}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`,
  );
}

export type Chunks = AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;

/**
 * A response whose body is the chunks. The first one is awaited before there is a response, so that an error before any
 * output still has a status of its own. Cancelling the body aborts `cancel` at once, in the middle of a token too.
 */
export async function streamResponse(
  chunks: Chunks,
  contentType: string,
  cancel: AbortController,
): Promise<Response> {
  const first = await chunks.next();
  let pending = first.done ? undefined : first.value;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        if (pending !== undefined) {
          controller.enqueue(pending);
          pending = undefined;
          return;
        }
        const next = await chunks.next();
        if (next.done) controller.close();
        else controller.enqueue(next.value);
      } catch (error) {
        controller.error(error);
      }
    },
    async cancel() {
      cancel.abort();
      await chunks.return();
    },
  }, { highWaterMark: 0 });
  return new Response(body, {
    headers: { "content-type": contentType, "cache-control": "no-cache" },
  });
}
