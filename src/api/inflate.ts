/** Compressed request bodies: what is in them, no more than their route takes. */
import { pipeline, Readable } from "node:stream";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { SecLlamaError } from "../errors.ts";

/** Memory that a stream may ask for before it gives anything: 8 MiB, as RFC 9659 has it for the web. */
const ZSTD_WINDOW_LOG = 23;
/** Given to the inflater at a time: a bomb becomes no more than a few MiB before its size is looked at. */
const PIECE_BYTES = 4096;

const INFLATERS: Readonly<Record<string, () => ReturnType<typeof createGunzip>>> = {
  gzip: () => createGunzip(),
  "x-gzip": () => createGunzip(),
  zstd: () =>
    createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
};

/** The codings of bodies that are read, as `content-encoding` says them. */
export const INFLATED: readonly string[] = Object.keys(INFLATERS);

/**
 * The request's body as its `content-encoding` says it is to be read, one piece after the other as it is asked for.
 * @throws {SecLlamaError} While it is read, `bad-request`: it is not what the header says, or it ends too early.
 */
export function inflated(request: Request): AsyncIterable<Uint8Array> | null {
  const coding = (request.headers.get("content-encoding") ?? "").trim().toLowerCase();
  const make = Object.hasOwn(INFLATERS, coding) ? INFLATERS[coding] : undefined;
  const { body } = request;
  return make === undefined || body === null ? body : inflate(body, coding, make());
}

async function* inflate(
  body: AsyncIterable<Uint8Array>,
  coding: string,
  inflater: ReturnType<typeof createGunzip>,
): AsyncGenerator<Uint8Array> {
  // The body's own error, a limit or a client that left, is told as it is.
  let failure: unknown;
  const pieces = async function* () {
    try {
      for await (const chunk of body) {
        for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
          yield chunk.subarray(at, at + PIECE_BYTES);
        }
      }
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  const ended = Promise.withResolvers<void>();
  pipeline(Readable.from(pieces()), inflater, (error) => {
    if (error) ended.reject(error);
    else ended.resolve();
  });
  ended.promise.catch(() => {});
  let isEmpty = true;
  try {
    for await (const chunk of inflater) {
      isEmpty = false;
      yield chunk;
    }
    await ended.promise;
    // The beginning of a zstd frame is no error to its reader; a JSON body that is cut later is no JSON.
    if (isEmpty) throw new Error("nothing came of it");
  } catch (cause) {
    if (failure !== undefined) throw failure;
    throw new SecLlamaError("bad-request", `the request's body is no ${coding}`, {
      hint: "send it as its content-encoding says, or without one",
      cause,
    });
  } finally {
    inflater.destroy();
  }
}
