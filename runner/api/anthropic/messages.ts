/** POST /v1/messages and POST /v1/messages/count_tokens */
import { errorDocument } from "../../../src/api/errors.ts";
import { EVENT_STREAM_TYPE } from "../../../src/api/media_types.ts";
import { SecLlamaError } from "../../../src/errors.ts";
import type { Handler } from "../app.ts";
import { collect } from "../inference.ts";
import { newId } from "../reply_parser.ts";
import type { InferenceRequest, Reply, ReplyEvent, ToolCallDelta, Usage } from "../request.ts";
import { type Chunks, sse, streamResponse } from "../stream.ts";
import { nameToolMessages } from "../tool_names.ts";
import { asksForCache, parseMessagesRequest } from "./request.ts";

export const anthropicMessages: Handler = async (service, body, call, cancel) => {
  const request = named(parseMessagesRequest(service, body, true));
  const stream = body.boolean("stream") ?? false;
  const reply = service.infer(request, call);
  const cached = asksForCache(body);
  const head = { id: newId("msg_"), type: "message", role: "assistant", model: request.model };
  if (stream) {
    return await streamResponse(events(head, reply, { requestId: call.requestId, cached }), {
      contentType: EVENT_STREAM_TYPE,
      cancel,
      call,
      lifeSign: () => write({ type: "ping" }),
    });
  }
  const { text, thinking, toolCalls, done } = await collect(reply);
  const content: unknown[] = [];
  if (thinking !== "") content.push({ type: "thinking", thinking, signature: newId("sig_") });
  if (text !== "") content.push({ type: "text", text });
  for (const one of toolCalls) content.push(toolUse(one, one.arguments));
  return await service.json({
    ...head,
    content,
    ...stop(done),
    usage: wireUsage(done.usage, cached),
  }, call);
};

export const anthropicCountTokens: Handler = async (service, body, call) => {
  const request = named(parseMessagesRequest(service, body, false));
  return Response.json({ input_tokens: await service.countTokens(request, call) });
};

function named(request: InferenceRequest): InferenceRequest {
  const { prompt } = request;
  if (prompt.kind !== "chat") throw new SecLlamaError("internal", "messages are a chat");
  return { ...request, prompt: { ...prompt, messages: nameToolMessages(prompt.messages) } };
}

/** message_start, then for each block start, deltas and stop, then message_delta and message_stop. */
async function* events(
  head: Readonly<Record<string, unknown>>,
  reply: Reply,
  { requestId, cached }: { requestId: string | undefined; cached: boolean },
): Chunks {
  const blocks = new Blocks();
  let begun = false;
  try {
    for await (const event of reply) {
      if (event.type === "start") {
        const message = {
          ...head,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          stop_details: null,
          usage: wireUsage({ ...event, cachedTokens: 0, evalTokens: 0 }, false),
        };
        yield write({ type: "message_start", message });
        yield write({ type: "ping" });
        begun = true;
      } else if (event.type === "delta") {
        if (event.thinking !== "") {
          yield* blocks.delta("thinking", { thinking: event.thinking });
        }
        if (event.text !== "") yield* blocks.delta("text", { text: event.text });
        for (const delta of event.toolDeltas) yield* blocks.toolUse(delta);
      } else {
        yield* blocks.close();
        const usage = wireUsage(event.usage, cached);
        yield write({ type: "message_delta", delta: stop(event), usage });
        yield write({ type: "message_stop" });
      }
    }
  } catch (error) {
    if (!begun) throw error;
    yield sse(errorDocument(error, "anthropic", { requestId }), "error");
  }
}

function write(data: { readonly type: string; readonly [name: string]: unknown }) {
  return sse(data, data.type);
}

/** The blocks of one message: at most one is open, and each has the next index. */
class Blocks {
  #index = -1;
  #open: "thinking" | "text" | "tool_use" | undefined;

  *delta(kind: "thinking" | "text", delta: Record<string, string>) {
    if (this.#open !== kind) {
      yield* this.close();
      this.#open = kind;
      const content_block = kind === "text"
        ? { type: "text", text: "" }
        : { type: "thinking", thinking: "", signature: "" };
      yield write({ type: "content_block_start", index: ++this.#index, content_block });
    }
    yield write({
      type: "content_block_delta",
      index: this.#index,
      delta: { type: `${kind}_delta`, ...delta },
    });
  }

  *toolUse({ id, name, json, call }: ToolCallDelta) {
    if (this.#open !== "tool_use") {
      yield* this.close();
      this.#open = "tool_use";
      const content_block = toolUse({ id, name }, {});
      yield write({ type: "content_block_start", index: ++this.#index, content_block });
    }
    const delta = { type: "input_json_delta", partial_json: json };
    if (json !== "") yield write({ type: "content_block_delta", index: this.#index, delta });
    if (call !== undefined) yield* this.close();
  }

  *close() {
    if (this.#open === undefined) return;
    const isThought = this.#open === "thinking";
    this.#open = undefined;
    if (isThought) {
      // Clients send it back, and some drop a thought that has none. Nothing is read from it.
      yield write({
        type: "content_block_delta",
        index: this.#index,
        delta: { type: "signature_delta", signature: newId("sig_") },
      });
    }
    yield write({ type: "content_block_stop", index: this.#index });
  }
}

function toolUse(call: { id: string; name: string }, input: Readonly<Record<string, unknown>>) {
  return { type: "tool_use", id: call.id.replace(/^call_/, "toolu_"), name: call.name, input };
}

function stop(done: Extract<ReplyEvent, { type: "done" }>) {
  const stop_sequence = done.stopSequence ?? null;
  const stop_reason = done.reason === "length"
    ? "max_tokens"
    : done.calledTools
    ? "tool_use"
    : stop_sequence !== null
    ? "stop_sequence"
    : "end_turn";
  return { stop_reason, stop_sequence, stop_details: null };
}

/**
 * Tokens that were evaluated, and those that were there from an earlier request; together they are the prompt. As in Anthropic's
 * API, they are told apart where the request asks for a cache.
 */
function wireUsage({ promptTokens, cachedTokens, evalTokens }: Counts, cached: boolean) {
  const read = cached ? cachedTokens : 0;
  return {
    input_tokens: promptTokens - read,
    output_tokens: evalTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: read,
  };
}

type Counts = Pick<Usage, "promptTokens" | "cachedTokens" | "evalTokens">;
