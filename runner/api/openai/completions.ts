/** POST /v1/completions: the older API, where a prompt is one text. */
import type { Handler } from "../app.ts";
import type { Fields } from "../fields.ts";
import { collect } from "../inference.ts";
import { newId } from "../reply_parser.ts";
import type { InferenceRequest, Reply, Service, TokenLogprobs } from "../request.ts";
import { type Chunks, sse, streamResponse } from "../stream.ts";
import {
  EVENT_STREAM,
  MAX_LIST,
  refuseMany,
  samplingFields,
  unixSeconds,
  wireUsage,
  withErrorEvent,
} from "./common.ts";
import { tokenIds } from "./embeddings.ts";

export const openaiCompletions: Handler = async (service, body, call, cancel) => {
  const request = parseRequest(service, body);
  const stream = body.boolean("stream") ?? false;
  const includeUsage = body.object("stream_options")?.boolean("include_usage") ?? false;
  const head = {
    id: newId("cmpl-"),
    object: "text_completion",
    created: unixSeconds(),
    model: request.model,
    system_fingerprint: "fp_secllama",
  };
  const reply = service.infer(request, call);
  if (stream) {
    const chunks = events(head, reply, includeUsage);
    return await streamResponse(withErrorEvent(chunks), EVENT_STREAM, cancel);
  }
  const { text, thinking, logprobs, done } = await collect(reply);
  return Response.json({
    ...head,
    choices: [{
      text: thinking === "" ? text : `${thinking}\n\n${text}`,
      index: 0,
      logprobs: wireLogprobs(logprobs, 0),
      finish_reason: done.reason,
    }],
    usage: wireUsage(done.usage),
  });
};

/**
 * A text goes through the model's chat template as the user's turn, as in Ollama; tokens are taken as they are. With a
 * `suffix` the model fills in what is between.
 */
function parseRequest(service: Service, body: Fields): InferenceRequest {
  const model = service.checkModel(body.string("model"));
  refuseMany(body);
  if (body.boolean("echo")) throw body.fail("echo", "is not supported, it must be false");
  const suffix = body.string("suffix") ?? "";
  const given = promptField(service, body);
  const prompt: InferenceRequest["prompt"] = typeof given !== "string"
    ? { kind: "raw", text: given }
    : suffix !== ""
    ? { kind: "insert", prefix: given, suffix }
    : {
      kind: "chat",
      messages: [{ role: "user", content: given }],
      tools: [],
      toolChoice: "auto",
    };
  const logprobs = body.integer("logprobs", { min: 0, max: 20 });
  return {
    model,
    prompt,
    options: samplingFields(service, body, ["max_tokens"]),
    truncate: true,
    // There is no place for thoughts in this API.
    think: false,
    ...(logprobs === undefined ? {} : { logprobs }),
  };
}

/** A string, one string in an array, or tokens; several prompts would be several requests. */
function promptField(service: Service, body: Fields): string | Int32Array {
  const value = body.raw("prompt");
  if (typeof value === "string") return value.toWellFormed();
  const list = body.array("prompt", MAX_LIST);
  if (list === undefined) throw body.fail("prompt", "is required");
  if (list.length === 1 && typeof list[0] === "string") return list[0].toWellFormed();
  const tokens = list.length === 1 && Array.isArray(list[0]) ? list[0] : list;
  if (tokens.length > 0 && typeof tokens[0] === "number") {
    return tokenIds(service, body, "prompt", tokens);
  }
  throw body.fail("prompt", "must be one string or one array of token ids");
}

async function* events(
  head: Readonly<Record<string, unknown>>,
  reply: Reply,
  includeUsage: boolean,
): Chunks {
  const chunk = (choices: unknown[], usage: unknown = null) =>
    sse({ ...head, choices, ...(includeUsage ? { usage } : {}) });
  let offset = 0;
  for await (const event of reply) {
    if (event.type === "delta") {
      const text = event.thinking + event.text;
      const logprobs = wireLogprobs(event.logprobs, offset);
      offset += text.length;
      yield chunk([{ text, index: 0, logprobs, finish_reason: null }]);
    } else if (event.type === "done") {
      yield chunk([{ text: "", index: 0, logprobs: null, finish_reason: event.reason }]);
      if (includeUsage) yield chunk([], wireUsage(event.usage));
      yield sse("[DONE]");
    }
  }
}

/** The older API's parallel arrays. */
function wireLogprobs(logprobs: readonly TokenLogprobs[], start: number) {
  if (logprobs.length === 0) return null;
  let offset = start;
  const text_offset = logprobs.map(({ token }) => {
    const at = offset;
    offset += token.length;
    return at;
  });
  return {
    tokens: logprobs.map(({ token }) => token),
    token_logprobs: logprobs.map(({ logprob }) => logprob),
    top_logprobs: logprobs.map(({ top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [token, logprob]))
    ),
    text_offset,
  };
}
