import assert from "node:assert/strict";
import { utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { brokenInWords } from "./broken_stream.ts";
import { EVENT_STREAM_TYPE, JSON_TYPE, NDJSON_TYPE } from "./media_types.ts";

const CUT = new SecLlamaError("truncated", "the connection broke", { hint: "ask again" });

/** A body of these pieces, which then fails. */
function failing(pieces: readonly string[], error: unknown): ReadableStream<Uint8Array> {
  const left = pieces.values();
  return new ReadableStream({
    pull(controller) {
      const { done, value } = left.next();
      if (done) controller.error(error);
      else controller.enqueue(utf8(value));
    },
  }, { highWaterMark: 0 });
}

/** What comes, and what it fails with. */
async function taken(body: ReadableStream<Uint8Array>): Promise<{ text: string; error: unknown }> {
  let text = "";
  try {
    for await (const piece of body) text += utf8Decode(piece);
  } catch (error) {
    return { text, error };
  }
  return { text, error: undefined };
}

const ENDS = [
  [
    "/api/chat",
    NDJSON_TYPE,
    /^\{"error":"the connection broke","code":"truncated","hint":"ask again"\}\n$/,
  ],
  [
    "/v1/chat/completions",
    EVENT_STREAM_TYPE,
    /^data: \{"error":\{"message":"the connection broke.*"code":"truncated".*\}\n\n$/,
  ],
  [
    "/v1/responses",
    EVENT_STREAM_TYPE,
    /^event: error\ndata: \{"type":"error","error":\{"message":.*\}\n\n$/,
  ],
  [
    "/v1/messages",
    EVENT_STREAM_TYPE,
    /^event: error\ndata: \{"type":"error","error":\{"type":"api_error".*\}\n\n$/,
  ],
] as const;

for (const [path, type, end] of ENDS) {
  Deno.test(`broken stream: ${path}: cut at every byte, the error follows whole lines only, and the stream fails`, async () => {
    const whole = type === NDJSON_TYPE
      ? '{"a":1}\n{"b":2}\n'
      : 'event: x\ndata: {"a":1}\n\ndata: 2\n\n';
    const boundary = type === NDJSON_TYPE ? "\n" : "\n\n";
    for (let at = 0; at <= whole.length; at++) {
      const begun = whole.slice(0, at);
      for (const pieces of [[begun], [...begun], begun.match(/.{1,3}/gs) ?? []]) {
        const { text, error } = await taken(brokenInWords(failing(pieces, CUT), { type, path }));
        assert.equal(error, CUT);
        assert.ok(text.startsWith(begun));
        const rest = text.slice(begun.length);
        if (begun === "" || begun.endsWith(boundary)) assert.match(rest, end);
        else assert.equal(rest, "", JSON.stringify(begun));
      }
    }
  });
}

Deno.test("broken stream: what is no stream of lines, a fault of ours, and a stream that ends well are as they were", async () => {
  const path = "/api/chat";
  const json = await taken(brokenInWords(failing(["{}"], CUT), { type: JSON_TYPE, path }));
  assert.deepEqual(json, { text: "{}", error: CUT });
  const fault = new TypeError("of ours");
  const broken = await taken(brokenInWords(failing(["{}\n"], fault), { type: NDJSON_TYPE, path }));
  assert.deepEqual(broken, { text: "{}\n", error: fault });
  const whole = new Response("{}\n").body!;
  const well = await taken(brokenInWords(whole, { type: NDJSON_TYPE, path }));
  assert.deepEqual(well, { text: "{}\n", error: undefined });
});

Deno.test("broken stream: who leaves ends what is read", async () => {
  let cancelled: unknown;
  const body = new ReadableStream<Uint8Array>({ cancel: (reason) => void (cancelled = reason) });
  await brokenInWords(body, { type: NDJSON_TYPE, path: "/api/chat" }).cancel("gone");
  assert.equal(cancelled, "gone");
});
