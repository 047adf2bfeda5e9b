/**
 * Moves the bytes of one exchange between an HTTP request and a runner, both ways, without looking at them. Each side
 * waits for the other, and the end of either ends both: a client that goes away frees the runner's slot.
 */
import { IGNORED_HEADER } from "../api/ignored.ts";
import { RUNNER_HEADER } from "../api/runner_name.ts";
import { TRUNCATED_HEADER } from "../api/truncated.ts";
import {
  BYTES_TYPE,
  EVENT_STREAM_TYPE,
  JSON_TYPE,
  NDJSON_TYPE,
  SEALED_TYPE,
} from "../api/media_types.ts";
import { inOwnWords, problemResponse } from "../api/problems.ts";
import { concat, utf8Decode } from "../bytes.ts";
import { type SecLlamaError, toSecLlamaError } from "../errors.ts";
import { type OpenHead, parseAnswerHead } from "../api/pipe_messages.ts";
import type { Exchange } from "../pipe/pipe.ts";
import { ReplyEnd } from "./reply_end.ts";

interface RelayOptions {
  /** What is asked: it decides which types the answer may have. */
  readonly kind: OpenHead["kind"];
  /** The rest of the request's body; null: there is none. */
  readonly body: ReadableStreamDefaultReader<Uint8Array> | null;
  /** Bytes of the body that were read already. */
  readonly first: Uint8Array | undefined;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** Called when the whole request was sent. */
  readonly arrived: () => void;
  /** Called once, when the exchange is over. */
  readonly done: () => void;
  /** Called once, before the last bytes of the answer go out; if it fails they do not. */
  readonly ending?: (ending: Ending) => Promise<void>;
}

/** How an exchange ended, as far as the gateway sees it. */
export interface Ending {
  /** `answered`, `broken-off`, `client-gone`, or the code of an error. */
  readonly result: string;
  /** Of the request's body, as it went to the runner. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/**
 * What a runner may say of its answer. A runner is not trusted: it has no word on the connection, on who may read the answer
 * (CORS), on cookies, or on what protects it.
 */
const ANSWER_HEADERS = [
  "content-type",
  "cache-control",
  "retry-after",
  "request-id",
  "x-request-id",
  "allow",
  TRUNCATED_HEADER,
  IGNORED_HEADER,
];

/**
 * The types that an answer may have. The gateway's origin is the gateway's: a runner's document of a type that a browser runs, such as
 * HTML, would act in it for whoever was led there.
 */
const ANSWER_TYPES: { readonly [kind in OpenHead["kind"]]: readonly string[] } = {
  key: [JSON_TYPE],
  sealed: [SEALED_TYPE],
  plain: [JSON_TYPE, NDJSON_TYPE, essence(EVENT_STREAM_TYPE)],
};

/** "text/html; charset=utf-8" → "text/html". One that is sealed's is named with its version. */
function essence(type: string): string {
  return type === SEALED_TYPE ? type : type.split(";")[0]!.trim().toLowerCase();
}

/** More is no refusal. */
const MAX_PROBLEM_BYTES = 4096;

/**
 * Sends the request's bytes and returns the answer as it streams.
 * @throws {SecLlamaError} If the runner dies, or cancels, before it answers.
 */
export async function relay(exchange: Exchange, options: RelayOptions): Promise<Response> {
  const gone = () => exchange.cancel("client-gone");
  const finish = () => {
    options.signal.removeEventListener("abort", gone);
    options.done();
  };
  const count = { in: 0, out: 0 };
  let ended = false;
  const ending = async (result: string) => {
    if (ended) return;
    ended = true;
    await options.ending?.({ result, bytesIn: count.in, bytesOut: count.out });
  };
  const failed = async (error: unknown) => {
    const { code } = toSecLlamaError(error);
    await ending(options.signal.aborted ? "client-gone" : code);
  };
  try {
    if (options.signal.aborted) gone();
    options.signal.addEventListener("abort", gone);
    // The answer may come before the whole request was read: a refusal, for example.
    const sending = send(exchange, options, count).catch((error) =>
      exchange.cancel(toSecLlamaError(error).code)
    );
    const head = parseAnswerHead(await exchange.head());
    // However it is written: a client must find no problem document that is not the gateway's.
    if (/problem/i.test(head.headers["content-type"] ?? "")) {
      const problem = await readProblem(exchange);
      finish();
      await ending(problem.code);
      exchange.cancel("answered");
      await sending;
      return problemResponse(problem);
    }
    const headers = new Headers();
    for (const name of ANSWER_HEADERS) {
      if (Object.hasOwn(head.headers, name)) headers.set(name, head.headers[name]!);
    }
    // Its word is checked where it is passed on.
    if (options.kind === "key" && Object.hasOwn(head.headers, RUNNER_HEADER)) {
      headers.set(RUNNER_HEADER, head.headers[RUNNER_HEADER]!);
    }
    const type = headers.get("content-type");
    if (type !== null && !ANSWER_TYPES[options.kind].includes(essence(type))) {
      headers.set("content-type", BYTES_TYPE);
    }
    const chunks = exchange[Symbol.asyncIterator]();
    const end = headers.get("content-type") === SEALED_TYPE ? new ReplyEnd() : undefined;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          if (!done) {
            const before = ended ? value.length : end?.before(value) ?? value.length;
            count.out += value.length;
            if (before === value.length) return controller.enqueue(value);
            if (before > 0) controller.enqueue(value.subarray(0, before));
            await ending(end?.complete ? "answered" : "broken-off");
            return controller.enqueue(value.subarray(before));
          }
          finish();
          await ending(end === undefined ? "answered" : "broken-off");
          controller.close();
          // What the client still sends is for nobody: without this the exchange would wait for the runner's credit for ever.
          exchange.cancel("answered");
          await sending;
        } catch (error) {
          finish();
          exchange.cancel("failed");
          await failed(error).catch(() => {});
          controller.error(error);
        }
      },
      async cancel() {
        exchange.cancel("client-gone");
        finish();
        // Nobody is there to be told that it could not be recorded; the next one is.
        await ending("client-gone").catch(() => {});
      },
    }, { highWaterMark: 0 });
    return new Response(body, { status: head.status, headers });
  } catch (error) {
    exchange.cancel("failed");
    finish();
    await failed(error);
    throw error;
  }
}

/** A runner's refusal before it could seal one. */
async function readProblem(exchange: Exchange): Promise<SecLlamaError> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of exchange) {
    parts.push(part);
    size += part.length;
    if (size > MAX_PROBLEM_BYTES) break;
  }
  try {
    return inOwnWords(JSON.parse(utf8Decode(concat(...parts))));
  } catch {
    return inOwnWords(undefined);
  }
}

async function send(
  exchange: Exchange,
  options: RelayOptions,
  count: { in: number },
): Promise<void> {
  if (options.first) {
    count.in += options.first.length;
    await exchange.write(options.first);
  }
  if (options.body) {
    try {
      for (;;) {
        const { done, value } = await options.body.read();
        if (done) break;
        count.in += value.length;
        await exchange.write(value);
      }
    } catch (error) {
      void options.body.cancel().catch(() => {});
      throw error;
    }
  }
  options.arrived();
  await exchange.end();
}
