/** POST /v1/completions: the older API, where a prompt is one text. */
import { EVENT_STREAM_TYPE } from "../../../src/api/media_types.ts";
import type { Handler } from "../app.ts";
import type { Fields } from "../fields.ts";
import { newId } from "../reply_parser.ts";
import type { InferenceRequest, Service, TokenLogprobs, Usage } from "../request.ts";
import { BEGUN, type Chunks, sse, streamResponse } from "../stream.ts";
import {
  best,
  choiceCount,
  type ChoiceEvent,
  collectChoices,
  repeat,
  streamChoices,
  sumUsage,
} from "./choices.ts";
import {
  MAX_LIST,
  replyFormat,
  samplingFields,
  telemetryFields,
  unixSeconds,
  wireProgress,
  wireTimings,
  wireUsage,
  withErrorEvent,
} from "./common.ts";
import { tokenIds } from "./embeddings.ts";

export const openaiCompletions: Handler = async (service, body, call, cancel) => {
  const stream = body.boolean("stream") ?? false;
  const { requests, echoes, n, made, wantsLogprobs } = parseRequests(service, body, stream);
  const includeUsage = body.object("stream_options")?.boolean("include_usage") ?? false;
  const head = {
    id: newId("cmpl-"),
    object: "text_completion",
    created: unixSeconds(),
    model: requests[0]!.model,
    system_fingerprint: "fp_secllama",
  };
  if (stream) {
    const telemetry = telemetryFields(body);
    const told = requests.map((request) => ({ ...request, ...telemetry }));
    const choices = streamChoices(service, told, call);
    const chunks = events(head, choices, echoes, { n, usageOf: includeUsage ? n : 0 });
    return await streamResponse(withErrorEvent(chunks), {
      contentType: EVENT_STREAM_TYPE,
      cancel,
      call,
      lifeSign: () =>
        sse({
          ...head,
          choices: [{ text: "", index: 0, logprobs: null, finish_reason: null }],
          ...(includeUsage ? { usage: null } : {}),
        }),
    });
  }
  const replies = await collectChoices(service, requests, call);
  const usage = sumUsage(replies.map(({ done }) => done.usage), made);
  return await service.json({
    ...head,
    choices: best(replies, n, made).map(({ text, thinking, logprobs, done }, index) => ({
      text: echoes[index] + (thinking === "" ? text : `${thinking}\n\n${text}`),
      index,
      logprobs: wantsLogprobs ? wireLogprobs(logprobs, 0) : null,
      finish_reason: done.reason,
    })),
    usage: wireUsage(usage),
    timings: wireTimings(usage),
  }, call);
};

/**
 * Texts and tokens are taken as they are, without a template, as vLLM, llama-server and LM Studio take them; or, if it is so set, a
 * text is a user's message, as in Ollama. With a `suffix` the model fills in what is between. `echoes`: what `echo` puts before
 * each choice.
 */
function parseRequests(service: Service, body: Fields, stream: boolean) {
  const model = service.checkModel(body.string("model"));
  const { n, made } = choiceCount(body, stream);
  const format = replyFormat(body, "response_format");
  const logprobs = body.integer("logprobs", { min: 0, max: 20 });
  const echo = body.boolean("echo") ?? false;
  if (echo && logprobs !== undefined) {
    const wanted = "with logprobs is not supported: a prompt's tokens have none here";
    throw body.fail("echo", wanted, "unsupported");
  }
  const suffix = body.string("suffix") ?? "";
  const given = promptField(service, body);
  if (echo && given.some((one) => typeof one !== "string")) {
    throw body.fail("echo", "is for a prompt of text");
  }
  const shared = {
    model,
    options: samplingFields(service, body, ["max_tokens"]),
    truncate: false,
    // There is no place for thoughts in this API.
    think: false,
    ...(format === undefined ? {} : { format }),
    ...(logprobs === undefined ? {} : { logprobs }),
  };
  const requests = repeat(
    body,
    given.map((one): InferenceRequest => ({ ...shared, prompt: promptOf(service, one, suffix) })),
    { n, made },
  );
  // Of the choices that are answered.
  const echoes = given.flatMap((one) => Array<string>(n).fill(echo ? String(one) : ""));
  return { requests, echoes, n, made, wantsLogprobs: logprobs !== undefined };
}

function promptOf(
  { templateCompletions }: Service,
  given: string | Int32Array,
  suffix: string,
): InferenceRequest["prompt"] {
  if (typeof given !== "string") return { kind: "raw", text: given };
  if (suffix !== "") return { kind: "insert", prefix: given, suffix };
  if (templateCompletions) {
    const messages = [{ role: "user", content: given }];
    return { kind: "chat", messages, tools: [], toolChoice: "auto" };
  }
  return { kind: "raw", text: given };
}

/** A string, tokens, or an array of either. */
function promptField(service: Service, body: Fields): (string | Int32Array)[] {
  const value = body.raw("prompt");
  if (typeof value === "string") return [value.toWellFormed()];
  const list = body.array("prompt", MAX_LIST);
  if (list === undefined || list.length === 0) throw body.missing("prompt");
  if (typeof list[0] === "number") return [tokenIds(service, body, "prompt", list)];
  return list.map((one) => {
    if (typeof one === "string") return one.toWellFormed();
    if (Array.isArray(one) && one.length > 0) return tokenIds(service, body, "prompt", one);
    throw body.fail("prompt", "must be a string, an array of token ids, or an array of either");
  });
}

/** `n`: the choices that share a prompt; `usageOf`: 0 for no usage, else `n`. */
async function* events(
  head: Readonly<Record<string, unknown>>,
  choices: AsyncGenerator<ChoiceEvent, void, void>,
  echoes: readonly string[],
  { n, usageOf }: { n: number; usageOf: number },
): Chunks {
  const chunk = (choices: unknown[], more: Record<string, unknown> = {}) =>
    sse({ ...head, choices, ...(usageOf > 0 ? { usage: null } : {}), ...more });
  let offset = 0;
  const usages: Usage[] = [];
  for await (const { index, event } of choices) {
    if (event.type === "start" && event.progress !== undefined) {
      const choices = [{ text: "", index, logprobs: null, finish_reason: null }];
      yield chunk(choices, { prompt_progress: wireProgress(event.progress) });
    } else if (event.type === "start") {
      offset = 0;
      const text = echoes[index];
      yield text ? chunk([{ text, index, logprobs: null, finish_reason: null }]) : BEGUN;
    } else if (event.type === "delta") {
      const text = event.thinking + event.text;
      const logprobs = wireLogprobs(event.logprobs, offset);
      offset += text.length;
      const timings = event.soFar && { timings: wireTimings(event.soFar) };
      yield chunk([{ text, index, logprobs, finish_reason: null }], timings);
    } else {
      usages.push(event.usage);
      const isLast = usageOf === 0 && usages.length === echoes.length;
      const timings = isLast ? { timings: wireTimings(sumUsage(usages, n)) } : {};
      yield chunk([{ text: "", index, logprobs: null, finish_reason: event.reason }], timings);
    }
  }
  if (usageOf > 0) {
    const usage = sumUsage(usages, n);
    yield chunk([], { usage: wireUsage(usage), timings: wireTimings(usage) });
  }
  yield sse("[DONE]");
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
