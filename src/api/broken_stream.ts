/**
 * A streamed reply that breaks in its middle, because its runner or its connection ended: its client is told why, as its dialect says
 * errors. The stream still breaks after that, so that whoever does not look for an error does not take a part for the whole.
 */
import { type Bytes, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { errorDocument } from "./errors.ts";
import { EVENT_STREAM_TYPE, NDJSON_TYPE } from "./media_types.ts";
import { dialectOf, routeOf, ROUTES } from "./routes.ts";

const LF = 10;
/** What a piece of a stream ends with, where something may follow. */
const ENDS: ReadonlyMap<string, readonly number[]> = new Map([
  [NDJSON_TYPE, [LF]],
  [EVENT_STREAM_TYPE, [LF, LF]],
]);

/** The answer whose body it is. */
interface Answered {
  /** Its content type. */
  readonly type: string | null;
  /** That was asked for. */
  readonly path: string;
  /** Its id in Anthropic's dialect. */
  readonly requestId?: string | null | undefined;
  /** Why it broke, for who knows more than the stream does. */
  readonly why?: ((error: SecLlamaError) => SecLlamaError) | undefined;
}

/**
 * The body, and after a failure an error of the path's dialect before the failure itself. A body that is no stream of lines or of
 * events, and one that fails within a line, are as they were.
 *
 * @example `data: {"choices":[…]}` … → `data: {"error":{"message":"the runner broke off the reply",…},"code":"truncated"}`, then the error.
 */
export function brokenInWords(
  body: ReadableStream<Uint8Array>,
  { type, path, requestId, why = (error) => error }: Answered,
): ReadableStream<Uint8Array> {
  const end = ENDS.get(type ?? "");
  if (end === undefined) return body;
  const reader = body.getReader();
  /** The last bytes that went out, as many as an end has. Before the first, something may follow. */
  let last: readonly number[] = end;
  let failure: { readonly error: unknown } | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (failure !== undefined) throw failure.error;
      try {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        last = [...last, ...value.subarray(-end.length)].slice(-end.length);
        controller.enqueue(value);
      } catch (error) {
        // Of whoever has left there is nobody to tell; a fault of ours is not a reply's.
        const tells = error instanceof SecLlamaError && end.every((byte, at) => byte === last[at]);
        if (!tells) throw error;
        const told = why(error);
        failure = { error: told };
        controller.enqueue(errorPiece(told, { type, path, requestId }));
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

/** An error as a line, or as an event. */
function errorPiece(error: SecLlamaError, { type, path, requestId }: Answered): Bytes {
  const dialect = dialectOf(path);
  const document = errorDocument(error, dialect, {
    row: routeOf(path),
    requestId: requestId ?? undefined,
  });
  if (type === NDJSON_TYPE) return utf8(`${JSON.stringify(document)}\n`);
  // The events of these have names, and say them in their data too.
  const named = dialect === "anthropic" || routeOf(path) === ROUTES.openaiResponses;
  const data = JSON.stringify(named ? { type: "error", ...document } : document);
  return utf8(`${named ? "event: error\n" : ""}data: ${data}\n\n`);
}
