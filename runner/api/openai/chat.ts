/** POST /v1/chat/completions */
import { parseArguments } from "./call_arguments.ts";
import { generationPromptFields, templateValuesField, thinkOfTemplate } from "./chat_fields.ts";
import { EVENT_STREAM_TYPE } from "../../../src/api/media_types.ts";
import { topLogprobs } from "../options.ts";
import type { Handler } from "../app.ts";
import type { ChatMessage } from "../../engine/types.ts";
import type { Fields } from "../fields.ts";
import { newFrom, pictureField, takingFor } from "../images.ts";
import { nameToolMessages } from "../tool_names.ts";
import { newId } from "../reply_parser.ts";
import { wireVerbose } from "./verbose.ts";
import type {
  CollectedReply,
  InferenceRequest,
  ReplyEvent,
  Service,
  ToolCallDelta,
  Usage,
} from "../request.ts";
import { type Chunks, sse, streamResponse } from "../stream.ts";
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
  contentText,
  MAX_LIST,
  parallelField,
  replyFormat,
  samplingFields,
  telemetryFields,
  thinkOfEffort,
  toolChoiceField,
  toolDefinition,
  unixSeconds,
  wireLogprobs,
  wireProgress,
  wireTimings,
  wireToolCall,
  wireUsage,
  withErrorEvent,
} from "./common.ts";

const FINGERPRINT = "fp_secllama";

export const openaiChat: Handler = async (service, body, call, cancel) => {
  const request = parseChat(service, body);
  const stream = body.boolean("stream") ?? false;
  const { n, made } = choiceCount(body, stream);
  const told = { ...request, ...telemetryFields(body) };
  const requests = repeat(body, [told], { n, made });
  const verbose = body.boolean("verbose") ?? false;
  const includeUsage = body.object("stream_options")?.boolean("include_usage") ?? false;
  const head = { id: newId("chatcmpl-"), created: unixSeconds(), model: request.model };
  if (stream) {
    const usageOf = includeUsage ? n : 0;
    const choices = streamChoices(service, requests, call);
    const more = verbose ? { verbose: (done: Done) => wireVerbose(service, done, call) } : {};
    const chunks = events(head, choices, { n, usageOf, ...more });
    return await streamResponse(withErrorEvent(chunks), {
      contentType: EVENT_STREAM_TYPE,
      cancel,
      call,
      lifeSign: () =>
        chunk(head, [{ index: 0, delta: {}, logprobs: null, finish_reason: null }], usageOf),
    });
  }
  const replies = await collectChoices(service, requests, call);
  const usage = sumUsage(replies.map(({ done }) => done.usage), made);
  return await service.json({
    id: head.id,
    object: "chat.completion",
    created: head.created,
    model: head.model,
    system_fingerprint: FINGERPRINT,
    choices: best(replies, n, made).map((reply, index) =>
      choice(request.logprobs === undefined ? { ...reply, logprobs: [] } : reply, index)
    ),
    usage: wireUsage(usage),
    timings: wireTimings(usage),
    ...(verbose ? { __verbose: await wireVerbose(service, replies[0]!.done, call) } : {}),
  }, call);
};

function choice(reply: CollectedReply, index: number): Record<string, unknown> {
  const { text, thinking, toolCalls, logprobs, done } = reply;
  const message = {
    role: "assistant",
    content: text === "" && toolCalls.length > 0 ? null : text,
    refusal: null,
    ...(thinking === "" ? {} : { reasoning: thinking }),
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(wireToolCall) }),
  };
  return {
    index,
    message,
    logprobs: logprobs.length === 0 ? null : { content: wireLogprobs(logprobs), refusal: null },
    finish_reason: finishReason(done),
  };
}

/** What OpenAI's own models do: search, speak; and functions as they were before `tools`. */
const WITHOUT_EFFECT = ["functions", "function_call", "web_search_options", "audio"];

/** A request of this API, for whoever else takes one. */
export function parseChat(service: Service, body: Fields): InferenceRequest {
  const model = service.checkModel(body.string("model"));
  const messages = parseMessages(service, body);
  const choice = toolChoiceField(body, "nested");
  const tools = (body.objects("tools", 1024) ?? []).map((tool) => {
    if (tool.requiredString("type") !== "function") throw tool.fail("type", 'must be "function"');
    const fn = tool.object("function");
    if (fn === undefined) throw tool.missing("function");
    return toolDefinition(fn);
  });
  const reasoning = body.object("reasoning");
  const think =
    (reasoning?.has("effort")
      ? thinkOfEffort(reasoning, "effort")
      : thinkOfEffort(body, "reasoning_effort")) ?? thinkOfTemplate(service, body);
  const templateValues = templateValuesField(body);
  const format = replyFormat(body, "response_format");
  const logprobs = body.boolean("logprobs") ?? false;
  const top = topLogprobs(body) ?? 0;
  return {
    model,
    prompt: {
      kind: "chat",
      messages,
      tools: choice === undefined ? [] : tools.filter(({ name }) => choice.allows(name)),
      toolChoice: choice?.choice ?? "auto",
      ...parallelField(body),
      ...generationPromptFields(body, messages),
      ...(templateValues === undefined ? {} : { templateValues }),
    },
    options: samplingFields(service, body, ["max_completion_tokens", "max_tokens"]),
    truncate: false,
    ignored: WITHOUT_EFFECT.filter((name) => body.has(name)),
    ...(think === undefined ? {} : { think }),
    ...(format === undefined ? {} : { format }),
    ...(logprobs ? { logprobs: top } : {}),
  };
}

function parseMessages(service: Service, body: Fields): ChatMessage[] {
  const list = body.objects("messages", MAX_LIST);
  if (list === undefined || list.length === 0) {
    const fault = list === undefined ? "missing" : "empty-array";
    throw body.fail("messages", "must be an array of at least one message", fault);
  }
  const isNew = newFrom(list, (message) => message.string("role") === "assistant");
  return nameToolMessages(list.map((message, index) => {
    const role = message.requiredString("role").toLowerCase();
    const toolCalls = message.objects("tool_calls", 1024)?.map((call) => {
      const fn = call.object("function");
      if (fn === undefined) throw call.missing("function");
      const id = call.string("id");
      return {
        name: fn.requiredString("name"),
        arguments: parseArguments(fn),
        ...(id ? { id } : {}),
      };
    });
    if (!message.has("content") && role !== "assistant") {
      throw message.missing("content");
    }
    const thinking = message.string("reasoning") ?? message.string("reasoning_content");
    const toolCallId = message.string("tool_call_id");
    const toolName = role === "tool" ? message.string("name") : undefined;
    const past = role === "tool" || index < isNew;
    const taking = takingFor(service, past);
    return {
      // Templates know "system"; "developer" is its newer name.
      role: role === "developer" ? "system" : role,
      content: contentText(message, "content", taking),
      ...pictureField(taking),
      ...(thinking ? { thinking } : {}),
      ...(toolCalls?.length ? { toolCalls } : {}),
      ...(toolCallId ? { toolCallId } : {}),
      ...(toolName ? { toolName } : {}),
    };
  }));
}

interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

function chunk(
  head: Head,
  choices: unknown[],
  usageOf: number,
  o: { usage?: unknown; timings?: unknown; prompt_progress?: unknown; __verbose?: unknown } = {},
) {
  const { usage = null, ...more } = o;
  return sse({
    id: head.id,
    object: "chat.completion.chunk",
    created: head.created,
    model: head.model,
    system_fingerprint: FINGERPRINT,
    choices,
    ...(usageOf > 0 ? { usage } : {}),
    ...more,
  });
}

/** `n`: the choices, which share a prompt; `usageOf`: 0 for no usage, else `n`; `verbose`: what the last chunk tells of a choice. */
async function* events(
  head: Head,
  choices: AsyncGenerator<ChoiceEvent, void, void>,
  { n, usageOf, verbose }: {
    n: number;
    usageOf: number;
    verbose?: (done: Done) => Promise<unknown>;
  },
): Chunks {
  const write = (choices: unknown[], o?: Parameters<typeof chunk>[3]) =>
    chunk(head, choices, usageOf, o);
  let calls = new CallChunks();
  const usages: Usage[] = [];
  for await (const { index, event } of choices) {
    if (event.type === "start" && event.progress !== undefined) {
      const prompt_progress = wireProgress(event.progress);
      const choices = [{ index, delta: {}, logprobs: null, finish_reason: null }];
      yield write(choices, { prompt_progress });
      continue;
    }
    if (event.type === "start") {
      calls = new CallChunks();
      // By itself, as OpenAI and llama-server send it.
      const delta = { role: "assistant", content: null };
      yield write([{ index, delta, logprobs: null, finish_reason: null }]);
      continue;
    }
    if (event.type === "delta") {
      const toolCalls = event.toolDeltas.map((delta) => calls.delta(delta));
      const delta = {
        ...(event.thinking === "" ? {} : { reasoning: event.thinking }),
        ...(event.text === "" && (event.thinking !== "" || toolCalls.length > 0)
          ? {}
          : { content: event.text }),
        ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
      };
      const logprobs = event.logprobs.length === 0
        ? null
        : { content: wireLogprobs(event.logprobs), refusal: null };
      const timings = event.soFar && { timings: wireTimings(event.soFar) };
      yield write([{ index, delta, logprobs, finish_reason: null }], timings);
    } else {
      const finish_reason = finishReason(event);
      usages.push(event.usage);
      const isLast = usageOf === 0 && usages.length === n;
      const timings = isLast ? { timings: wireTimings(sumUsage(usages, n)) } : {};
      const more = verbose === undefined ? {} : { __verbose: await verbose(event) };
      yield write([{ index, delta: {}, logprobs: null, finish_reason }], { ...timings, ...more });
    }
  }
  if (usageOf > 0) {
    const usage = sumUsage(usages, n);
    yield write([], { usage: wireUsage(usage), timings: wireTimings(usage) });
  }
  yield sse("[DONE]");
}

/** A call's pieces: id and name with the first, the arguments' text with each. */
class CallChunks {
  #index = -1;
  #id: string | undefined;

  delta({ id, name, json }: ToolCallDelta): Record<string, unknown> {
    if (this.#id === id) return { index: this.#index, function: { arguments: json } };
    this.#id = id;
    return { index: ++this.#index, id, type: "function", function: { name, arguments: json } };
  }
}

type Done = Extract<ReplyEvent, { type: "done" }>;

function finishReason(done: Done): string {
  return done.calledTools && done.reason === "stop" ? "tool_calls" : done.reason;
}
