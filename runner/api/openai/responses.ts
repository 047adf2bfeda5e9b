/** POST /v1/responses and /v1/responses/input_tokens: the handlers, and the response object that echoes the request. */
import { SecLlamaError, toSecLlamaError } from "../../../src/errors.ts";
import type { Handler } from "../app.ts";
import { withHint } from "../../../src/api/errors.ts";
import { EVENT_STREAM_TYPE } from "../../../src/api/media_types.ts";
import type { Fields } from "../fields.ts";
import { newId } from "../reply_parser.ts";
import type { Call, InferenceRequest, Reply, ReplyEvent, Service, Usage } from "../request.ts";
import { type Chunks, sse, streamResponse } from "../stream.ts";
import { jsonSize } from "../../json_work.ts";
import {
  INT32_MAX,
  MAX_TOOLS,
  telemetryFields,
  unixSeconds,
  wireProgress,
  wireTimings,
} from "./common.ts";
import { ItemStore } from "./item_store.ts";
import { type OutputItem, type ResponseEvent, ResponseEvents } from "./responses_events.ts";
import { parseResponsesRequest, turnsOf } from "./responses_request.ts";

/** Characters of what a response repeats that is no part of the prompt: each event that tells of the whole has it. */
const MAX_ECHO = 2 * 1024 * 1024;

/** The handlers, with their own memory of what was answered. */
export function openaiResponses(): { create: Handler; countTokens: Handler } {
  const store = new ItemStore();
  const parse = (service: Service, body: Fields, { client }: Call) =>
    parseResponsesRequest(service, body, {
      item: (id) => store.item(client, id),
      conversation: (id) => store.conversation(client, id),
    });
  const create: Handler = async (service, body, call, cancel) => {
    const request = parse(service, body, call);
    const stream = body.boolean("stream") ?? false;
    const keep = body.boolean("store") ?? true;
    const frame = new ResponseFrame(request, body);
    if (await service.inTurns(jsonSize(frame.besidePrompt, MAX_ECHO), call) > MAX_ECHO) {
      const wanted = `and what else is only echoed must have at most ${MAX_ECHO} characters`;
      throw body.fail("metadata", wanted);
    }
    const telemetry = telemetryFields(body);
    const reply = remembering(service.infer({ ...request, ...telemetry }, call));
    if (stream) {
      const writer = new EventWriter();
      return await streamResponse(
        events(frame, reply, { writer, timed: telemetry.timings === true }),
        {
          contentType: EVENT_STREAM_TYPE,
          cancel,
          call,
          // Clients count events, not comments: one that is valid at any time.
          lifeSign: () =>
            writer.write("response.in_progress", {
              response: frame.build("in_progress", [], null),
            }),
        },
      );
    }
    let response: Response | undefined;
    for await (const { builder, event } of reply) {
      if (event.type === "done") {
        response = await service.json(frame.finished(builder, event), call);
      }
    }
    if (response !== undefined) return response;
    throw new SecLlamaError("model-failed", "the engine ended the reply without a result");

    async function* remembering(reply: Reply): AsyncGenerator<Step> {
      const builder = new ResponseEvents(request.tools);
      for await (const event of reply) {
        const written = builder.process(event);
        if (event.type === "done" && keep) {
          await service.inTurns(store.rememberItems(call.client, builder.items), call);
          const conversation = [...request.turns, ...turnsOf(builder.items, request.tools)];
          const remember = store.rememberConversation(call.client, frame.id, conversation);
          await service.inTurns(remember, call);
        }
        yield { builder, event, written };
      }
    }
  };
  /** POST /v1/responses/input_tokens */
  const countTokens: Handler = async (service, body, call) => {
    const input_tokens = await service.countTokens(parse(service, body, call), call);
    return Response.json({ object: "response.input_tokens", input_tokens });
  };
  return { create, countTokens };
}

/** An event of the reply, and what it came to. */
interface Step {
  readonly builder: ResponseEvents;
  readonly event: ReplyEvent;
  readonly written: readonly ResponseEvent[];
}

/** Numbers the events of one response. */
class EventWriter {
  #sequence = 0;

  write(type: string, fields: Record<string, unknown>) {
    return sse({ type, sequence_number: this.#sequence++, ...fields }, type);
  }
}

/** `timed`: whether events tell what the reply cost, as llama-server's do. */
async function* events(
  frame: ResponseFrame,
  reply: AsyncGenerator<Step>,
  { writer, timed }: { writer: EventWriter; timed: boolean },
): Chunks {
  let items: readonly OutputItem[] = [];
  const write = (type: string, fields: Record<string, unknown>) => writer.write(type, fields);
  let begun = false;
  try {
    for await (const { builder, event, written } of reply) {
      items = builder.items;
      if (event.type === "start" && event.progress !== undefined) {
        const response = frame.brief("in_progress");
        const prompt_progress = wireProgress(event.progress);
        yield write("response.in_progress", { response, prompt_progress });
      } else if (event.type === "start") {
        yield write("response.created", { response: frame.build("in_progress", [], null) });
        yield write("response.in_progress", { response: frame.build("in_progress", [], null) });
        begun = true;
      }
      const soFar = event.type === "delta" && event.soFar;
      for (const [type, fields] of written) {
        const timings = soFar && type.endsWith(".delta") && { timings: wireTimings(soFar) };
        yield write(type, { ...fields, ...timings });
      }
      if (event.type === "done") {
        const response = frame.finished(builder, event);
        const timings = timed && { timings: wireTimings(event.usage) };
        yield write(`response.${response.status}`, { response, ...timings });
      }
    }
  } catch (thrown) {
    if (!begun) throw thrown;
    const response = frame.build("failed", items, null);
    response.error = { code: "server_error", message: withHint(toSecLlamaError(thrown)) };
    yield write("response.failed", { response });
  }
}

type Done = Extract<ReplyEvent, { type: "done" }>;

/** The response object, whose fields are those of the request that made it. */
class ResponseFrame {
  readonly id = newId("resp_");
  readonly #created = unixSeconds();
  readonly #echo: Readonly<Record<string, unknown>>;

  constructor(request: InferenceRequest, body: Fields) {
    const { sampling, maxTokens } = request.options;
    const reasoning = body.object("reasoning");
    this.#echo = {
      model: request.model,
      instructions: body.string("instructions") ?? null,
      tools: echoTools(body),
      tool_choice: body.raw("tool_choice") ?? "auto",
      parallel_tool_calls: body.boolean("parallel_tool_calls") ?? true,
      max_tool_calls: body.integer("max_tool_calls", { min: 1, max: INT32_MAX }) ?? null,
      text: echoText(body),
      reasoning: {
        effort: reasoning?.string("effort") ?? null,
        summary: reasoning?.string("summary") ?? null,
      },
      temperature: sampling.temperature,
      top_p: sampling.topP,
      top_logprobs: request.logprobs ?? 0,
      presence_penalty: sampling.presencePenalty,
      frequency_penalty: sampling.frequencyPenalty,
      max_output_tokens: maxTokens < 0 ? null : maxTokens,
      truncation: request.truncate ? "auto" : "disabled",
      metadata: body.object("metadata")?.value() ?? {},
      user: body.string("user") ?? null,
      safety_identifier: body.string("safety_identifier") ?? null,
      prompt_cache_key: body.string("prompt_cache_key") ?? null,
      previous_response_id: body.string("previous_response_id") ?? null,
      background: false,
      store: body.boolean("store") ?? true,
      service_tier: "default",
    };
  }

  /** What of the request is repeated, and no context bounds. */
  get besidePrompt(): Readonly<Record<string, unknown>> {
    const { instructions: _, tools: __, ...rest } = this.#echo;
    return rest;
  }

  build(status: string, output: readonly OutputItem[], usage: unknown): Record<string, unknown> {
    return {
      id: this.id,
      object: "response",
      created_at: this.#created,
      status,
      completed_at: status === "completed" ? unixSeconds() : null,
      error: null,
      incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
      output,
      usage,
      ...this.#echo,
    };
  }

  /** Without what the request said: it comes often. */
  brief(status: string): Record<string, unknown> {
    return { id: this.id, object: "response", created_at: this.#created, status, output: [] };
  }

  finished(builder: ResponseEvents, done: Done): Record<string, unknown> {
    const status = done.reason === "length" ? "incomplete" : "completed";
    return this.build(status, builder.items, wireUsage(done.usage));
  }
}

/** A function tool has every field that Open Responses wants of one; other kinds are as they came. */
function echoTools(body: Fields): unknown[] {
  return (body.objects("tools", MAX_TOOLS) ?? []).map((tool) => {
    const value = tool.value();
    if (value["type"] !== "function") return value;
    return {
      ...value,
      description: tool.string("description") ?? null,
      parameters: tool.object("parameters")?.value() ?? null,
      strict: tool.boolean("strict") ?? null,
    };
  });
}

/** `text` with its format; a JSON schema's has every field that Open Responses wants of one. */
function echoText(body: Fields): Record<string, unknown> {
  const text = body.object("text");
  const format = text?.object("format");
  const value = format?.value() ?? { type: "text" };
  return {
    ...text?.value(),
    format: value["type"] === "json_schema"
      ? {
        description: null,
        ...value,
        schema: value["schema"] ?? null,
        strict: format!.boolean("strict") ?? false,
      }
      : value,
  };
}

function wireUsage(usage: Usage) {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens },
    output_tokens: usage.evalTokens,
    output_tokens_details: { reasoning_tokens: usage.thinkingTokens },
    total_tokens: usage.promptTokens + usage.evalTokens,
  };
}
